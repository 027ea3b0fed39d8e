/* Regions of threads, the teams for which are pool.c's. What is here keeps them safe in a process that is not ours alone:
   it may fork, several of its threads may compute, and others may speak to the BLAS library (threadpoolctl speaks to every
   copy). Results do not depend on the number of threads, so fewer may be given than are wanted. */
#define _GNU_SOURCE
#include "base/base.h"
#include "base/pool.h"
#include "base/trace.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

/* In all regions at once. OpenBLAS has room for 640 callers (its 128 buffers and 512 more) and crashes beyond; two
   builds of this core and threads that are not in regions share them. */
#define MAX_RUNNING ADM_TEAM_MAX

#define ZERO_BLOCK ((int64_t)1 << 18) /* elements that one task sets to zero */

#define LOOKS 100   /* of who waits for a task, before it gives its processor to others, ... */
#define YIELDS 2000 /* ... and times that it does so before it sleeps */

/* The only state of the core that belongs to the process. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int running;  /* threads in regions */
static int forks;    /* that have begun and not ended */
static int shortage; /* threads of a region that had fewer than it wanted, until that is told */
static bool shortage_told;
static bool (*inside_other)(void); /* of the other build, where there is one */
static bool threads_lost; /* the process was forked amid a region of several threads, and has one of them */
static pthread_key_t team_key; /* ends a thread's team with it */
static bool key_made;

/* Of `running`, those of the regions that this thread has begun, and how many of these have several threads. */
static _Thread_local int begun, several;
static _Thread_local adm_team *team;

bool adm_inside_region(void)
{
    return begun > 0;
}

void adm_region_know(bool (*inside)(void))
{
    inside_other = inside;
}

/* With the lock: whether this thread has to wait for others. What a region's thread asks does not: neither that region
   nor another one in which the same is done would end before. */
static bool may_wait(void)
{
    return begun == 0 && (inside_other == NULL || !inside_other());
}

static bool others_run(void)
{
    return running > 0 && may_wait();
}

static void await_others(void)
{
    while (others_run())
        pthread_cond_wait(&changed, &lock);
}

bool adm_fork_begin(void)
{
    pthread_mutex_lock(&lock);
    forks++;
    const bool wait = others_run();
    pthread_mutex_unlock(&lock);
    return wait;
}

void adm_fork_await(void)
{
    pthread_mutex_lock(&lock);
    await_others();
    pthread_mutex_unlock(&lock);
}

void adm_fork_end(void)
{
    pthread_mutex_lock(&lock);
    forks--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

bool adm_fork_lost_threads(void)
{
    return threads_lost;
}

/* A fork copies the thread that calls it and no other. A region would wait for ever for threads that the child has not,
   and BLAS for a lock that a missing thread held. So a fork waits until no region runs; the child makes its workers
   anew. */
static void before_fork(void)
{
    pthread_mutex_lock(&lock);
    forks++;
    await_others();
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&lock);
    adm_fork_end();
}

/* Made anew: the threads that waited are not here, nor are the regions of others. */
static void after_fork_in_child(void)
{
    lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    forks = 0;
    running = begun;
    threads_lost |= several > 0;
    if (team != NULL)
        adm_team_forget(team);
}

static void end_team(void *ending)
{
    adm_team_end(ending);
    team = NULL;
}

/* When the library is loaded, before library/meet.c: who registers later is asked sooner at a fork. Without memory for the handlers forks are as before, and without a key there are no teams. */
__attribute__((constructor(101))) static void set_up(void)
{
    key_made = pthread_key_create(&team_key, end_team) == 0;
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* The threads of this thread's team that a region can have, made now if need be. Amid a region of several it is at work. */
static int team_threads(int wanted)
{
    if (wanted <= 1 || several > 0 || !key_made)
        return 1;
    if (team == NULL && (team = adm_team_new()) != NULL && pthread_setspecific(team_key, team) != 0) {
        adm_team_end(team);
        team = NULL;
    }
    const int threads = team == NULL ? 1 : adm_team_grow(team, wanted);
    if (threads < wanted) {
        pthread_mutex_lock(&lock);
        shortage = shortage_told ? 0 : threads;
        pthread_mutex_unlock(&lock);
    }
    return threads;
}

int adm_threads_missing(void)
{
    pthread_mutex_lock(&lock);
    const int threads = shortage;
    shortage_told |= shortage > 0;
    shortage = 0;
    pthread_mutex_unlock(&lock);
    return threads;
}

/* Changes how many threads run; with the lock. */
static void count_running(int threads)
{
    running += threads;
    begun += threads;
}

/* How many threads a region has: as many as wanted, or fewer where there is no room, or the system makes no more. */
static int begin_region(int wanted)
{
    pthread_mutex_lock(&lock);
    while (forks > 0 && may_wait())
        pthread_cond_wait(&changed, &lock);
    const int room = larger(smaller(wanted, MAX_RUNNING - running), 1);
    count_running(room);
    adm_blas_one_thread(); /* its threads would be slower by far beside ours, and sum in another order */
    pthread_mutex_unlock(&lock);
    const int threads = team_threads(room);
    if (threads < room) {
        pthread_mutex_lock(&lock);
        count_running(threads - room);
        pthread_mutex_unlock(&lock);
    }
    several += threads > 1;
    return threads;
}

static void end_region(int threads)
{
    pthread_mutex_lock(&lock);
    count_running(-threads);
    several -= threads > 1;
    if (running == 0 && forks > 0)
        pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

typedef struct region {
    adm_stop *stop;
    int64_t count;
    adm_task_fn fn;
    void *context;
    _Alignas(ADM_ALIGN) int64_t next; /* task that was not begun */
    _Alignas(ADM_ALIGN) int64_t done; /* tasks, where somebody is to be asked */
} region;

static int64_t take(int64_t *next)
{
    return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
}

/* Who waits looks for a short while, then gives its processor to the others, and then sleeps between looks. */
static void wait_once(int *turns)
{
    const struct timespec nap = {.tv_nsec = 20000};
    if (++*turns > LOOKS + YIELDS)
        (void)nanosleep(&nap, NULL);
    else if (*turns > LOOKS)
        sched_yield();
}

/* What thread 0 does at the end of a region: it waits as the pool does, but asks. */
static void wait_and_ask(adm_stop *stop, const int64_t *done, int64_t count)
{
    for (int turns = 0; __atomic_load_n(done, __ATOMIC_ACQUIRE) < count; wait_once(&turns))
        adm_stop_asked(stop, 0);
}

static void run_tasks(void *context, int thread)
{
    region *all = context;
    const adm_flushing outer = adm_flush_begin();
    for (int64_t task = take(&all->next); task < all->count; task = take(&all->next)) {
        adm_trace(ADM_EVENT_TASK, (double)task, 0);
        all->fn(all->context, task, thread);
        adm_trace(ADM_EVENT_TASK_END, (double)task, 0);
        if (all->stop != NULL)
            adm_count_done(&all->done);
    }
    if (all->stop != NULL && thread == 0)
        wait_and_ask(all->stop, &all->done, all->count);
    adm_flush_end(outer);
}

void adm_parallel_for_until(adm_stop *stop, int threads, int64_t count, adm_task_fn fn, void *context)
{
    region all = {.stop = stop, .count = count, .fn = fn, .context = context};
    assert(several == 0 || adm_stop_is_asking());
    adm_trace(ADM_EVENT_REGION, (double)(uintptr_t)fn, (double)count);
    threads = begin_region(count > 1 && !adm_tracing() ? threads : 1);
    if (threads == 1)
        run_tasks(&all, 0);
    else
        adm_team_run(team, threads, run_tasks, &all);
    end_region(threads);
    adm_trace(ADM_EVENT_REGION_END, 0, 0);
}

void adm_parallel_for(int threads, int64_t count, adm_task_fn fn, void *context)
{
    adm_parallel_for_until(NULL, threads, count, fn, context);
}

typedef struct zeroing {
    adm_real *values;
    int64_t length;
    adm_stop *stop;
} zeroing;

static void zero_task(void *context, int64_t task, int thread)
{
    const zeroing *zeroed = context;
    const int64_t first = task * ZERO_BLOCK, left = zeroed->length - first;
    if (!adm_stop_asked(zeroed->stop, thread))
        memset(zeroed->values + first, 0, (size_t)adm_min(ZERO_BLOCK, left) * sizeof *zeroed->values);
}

void adm_zero(adm_real *values, int64_t length, int threads, adm_stop *stop)
{
    zeroing all = {values, length, stop};
    if (length <= ZERO_BLOCK) /* one task needs no region */
        zero_task(&all, 0, 0);
    else
        adm_parallel_for_until(stop, threads, (length + ZERO_BLOCK - 1) / ZERO_BLOCK, zero_task, &all);
}

void adm_count_done(int64_t *count)
{
    adm_trace(ADM_EVENT_DONE, (double)(uintptr_t)count, 0);
    __atomic_fetch_add(count, 1, __ATOMIC_RELEASE);
}

void adm_wait_for(const int64_t *count, int64_t value)
{
    adm_trace(ADM_EVENT_WAIT, (double)(uintptr_t)count, (double)value);
    for (int turns = 0; __atomic_load_n(count, __ATOMIC_ACQUIRE) < value;)
        wait_once(&turns);
}
