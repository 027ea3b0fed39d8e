/* The one thread pool: OpenMP's. What is here besides the loop keeps it safe in a process that is not ours alone:
   it may fork, several of its threads may compute, and others may speak to the libraries that we use (threadpoolctl
   speaks to every copy). Results do not depend on the number of threads, so fewer may be given than are wanted. */
#define _GNU_SOURCE
#include "base/base.h"

#include <assert.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

/* In all regions at once. OpenBLAS has room for 640 callers (its 128 buffers and 512 more) and crashes beyond; two
   builds of this core and threads that are not in regions share them. */
#define MAX_RUNNING 256

#define ZERO_BLOCK ((int64_t)1 << 18) /* elements that one task sets to zero */

#define STACK_LEAST                                                                                          \
    ((size_t)4 << 20) /* bytes; a thread of the runtime's has no more unless others have, too */

#define BRIEF 2e-3 /* seconds for which a thread that waits stays awake */

/* The only state of the core that belongs to the process. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int running; /* threads in regions */
static int forks;   /* that have begun and not ended */
static int threads_at_start;
static bool threads_lost; /* the process was forked amid a region of several threads, and has one of them */

/* The most threads that the system let a region have when it did not let it have all; 0: it always did. */
static int shortage;
#define SHORTAGE_TOLD (-1)

/* Threads that this one's last region of several had, itself among them: the runtime keeps these. */
static _Thread_local int pool = 1;

/* Of `running`, those of the regions that this thread has begun. */
static _Thread_local int own;

/* With the lock: whether a fork has to wait. What a region's thread asks does not: neither that region nor another one
   in which the same is done would end before. The regions of the other build are known by OpenMP, which both share. */
static bool others_run(void)
{
    return running > 0 && own == 0 && !omp_in_parallel();
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

/* A fork copies the thread that calls it and no other. OpenMP would wait for ever for the pool that the child has
   not, and BLAS for a lock that a missing thread held. So a fork waits until no region runs, and the pool of its
   thread ends before: parent and child both start a new one with their next region, and both keep their threads. */
static void before_fork(void)
{
    pthread_mutex_lock(&lock);
    forks++;
    await_others();
    /* fails only inside of a region of several threads, which then has the pool and is lost to the child */
    (void)omp_pause_resource_all(omp_pause_hard);
    pool = 1;
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
    running = own;
    threads_lost |= omp_in_parallel();
}

/* When the library is loaded. Without memory for the handlers forks are as before. */
__attribute__((constructor)) static void set_up(void)
{
    threads_at_start = omp_get_max_threads();
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* How many threads a region has: as many as wanted; fewer where the calling thread's limit has been lowered since
   the start, or where there is no room. */
static int begin_region(int wanted)
{
    const int limit = omp_get_max_threads();
    pthread_mutex_lock(&lock);
    while (forks > 0 && own == 0 && !omp_in_parallel())
        pthread_cond_wait(&changed, &lock);
    const int allowed = smaller(wanted, limit < threads_at_start ? limit : wanted);
    const int room = smaller(allowed, MAX_RUNNING - running);
    const int threads = room > 1 ? room : 1;
    running += threads;
    own += threads;
    adm_blas_setup(); /* others may have given it its threads back: slower by far in ours, and other bits */
    pthread_mutex_unlock(&lock);
    return threads;
}

/* Part of a region's threads, before it begins. */
static void leave_unused(int threads)
{
    if (threads == 0)
        return;
    pthread_mutex_lock(&lock);
    running -= threads;
    own -= threads;
    pthread_mutex_unlock(&lock);
}

static void end_region(int threads)
{
    pthread_mutex_lock(&lock);
    running -= threads;
    own -= threads;
    if (running == 0 && forks > 0)
        pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* ---- threads that cannot be made ---- */

/* The runtime ends the process where it cannot make a thread. So the threads that a region would add to the pool are
   made by hand before, all at once and one more, since the runtime wants memory besides. They do nothing, and end. */

static void *pass_gate(void *gate)
{
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

/* How many of `wanted` threads can be made beside those that are there. */
static int count_possible(int wanted)
{
    pthread_t made[MAX_RUNNING];
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_attr_t attributes;
    size_t stack = 0;
    int count = 0;
    if (pthread_attr_init(&attributes) != 0)
        return 0;
    (void)pthread_attr_getstacksize(&attributes, &stack);
    (void)pthread_attr_setstacksize(&attributes, stack > STACK_LEAST ? stack : STACK_LEAST);
    pthread_mutex_lock(&gate);
    while (count < wanted && pthread_create(&made[count], &attributes, pass_gate, &gate) == 0)
        count++;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < count; i++)
        (void)pthread_join(made[i], NULL);
    (void)pthread_attr_destroy(&attributes);
    return count;
}

/* Threads that a region of so many can have in fact. Where it is fewer, this thread does not try again for the same. */
static int possible_threads(int wanted)
{
    static _Thread_local int refused, granted;
    if (wanted == refused && granted <= pool)
        return granted;
    const int more = wanted - pool, found = more > 0 ? count_possible(more + 1) : 0;
    if (more <= 0 || found > more)
        return wanted;
    int none = 0;
    refused = wanted;
    granted = pool + (found > 1 ? found - 1 : 0);
    (void)__atomic_compare_exchange_n(&shortage, &none, granted, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return granted;
}

int adm_threads_missing(void)
{
    int found = __atomic_load_n(&shortage, __ATOMIC_RELAXED);
    if (found <= 0 || !__atomic_compare_exchange_n(&shortage, &found, SHORTAGE_TOLD, false, __ATOMIC_RELAXED,
                                                   __ATOMIC_RELAXED))
        return 0;
    return found;
}

static int64_t take(int64_t *next)
{
    return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
}

/* What thread 0 does at the end of a region: it waits as the pool does, but asks. */
static void wait_and_ask(adm_stop *stop, const int64_t *done, int64_t count)
{
    const struct timespec nap = {.tv_nsec = 20000};
    const double since = adm_clock();
    while (__atomic_load_n(done, __ATOMIC_ACQUIRE) < count) {
        adm_stop_asked(stop, 0);
        if (adm_clock() - since < BRIEF)
            sched_yield();
        else
            (void)nanosleep(&nap, NULL);
    }
}

void adm_parallel_for_until(adm_stop *stop, int threads, int64_t count, adm_task_fn fn, void *context)
{
    assert(!omp_in_parallel() || adm_stop_is_asking());
    threads = begin_region(count > 1 ? threads : 1);
    if (threads > 1) {
        const int possible = possible_threads(threads);
        leave_unused(threads - possible);
        threads = possible;
        pool = threads > 1 ? threads : pool;
    }
    if (threads == 1) {
        const adm_flushing outer = adm_flush_begin();
        for (int64_t task = 0; task < count; task++)
            fn(context, task, 0);
        adm_flush_end(outer);
    } else {
        int64_t next = 0, done = 0;
#pragma omp parallel num_threads(threads)
        {
            const adm_flushing outer = adm_flush_begin();
            const int thread = omp_get_thread_num();
            for (int64_t task = take(&next); task < count; task = take(&next)) {
                fn(context, task, thread);
                if (stop != NULL)
                    adm_count_done(&done);
            }
            if (stop != NULL && thread == 0)
                wait_and_ask(stop, &done, count);
            adm_flush_end(outer);
        }
    }
    end_region(threads);
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
    adm_parallel_for_until(stop, threads, (length + ZERO_BLOCK - 1) / ZERO_BLOCK, zero_task, &all);
}

void adm_count_done(int64_t *count)
{
    __atomic_fetch_add(count, 1, __ATOMIC_RELEASE);
}

/* Seldom, and then for some time: who waits gives its processor to the others. */
void adm_wait_for(const int64_t *count, int64_t value)
{
    while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < value)
        sched_yield();
}

double adm_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int adm_system_num_procs(void)
{
    return omp_get_num_procs();
}
