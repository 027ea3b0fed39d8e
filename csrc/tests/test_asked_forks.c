/* Forks from what a region's thread asks: the child goes on with that thread, and its own forks wait for regions as
   ever. */
#define _GNU_SOURCE
#include "base/base.h"
#include "tests/threads.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#ifndef THREAD_SANITIZER
static int waits; /* that have begun for others to end their regions */

int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    __atomic_add_fetch(&waits, 1, __ATOMIC_SEQ_CST);
    return __real_pthread_cond_wait(condition, mutex);
}

static int inside; /* of the region of another thread */

/* Until somebody waits for the end. */
static void stay_inside(void *context, int64_t task, int thread)
{
    (void)context, (void)task, (void)thread;
    __atomic_store_n(&inside, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&waits, __ATOMIC_SEQ_CST) == 0)
        sched_yield();
    __atomic_store_n(&inside, 0, __ATOMIC_SEQ_CST);
}

static void *run_region(void *ignored)
{
    (void)ignored;
    adm_parallel_for(1, 1, stay_inside, NULL);
    return NULL;
}

/* Forks while another thread is in a region, of one thread at that. */
static pid_t fork_beside_region(void)
{
    pthread_t thread;
    waits = 0;
    (void)alarm(LONGEST);
    assert(pthread_create(&thread, NULL, run_region, NULL) == 0);
    while (!__atomic_load_n(&inside, __ATOMIC_SEQ_CST))
        sched_yield();
    const pid_t child = fork();
    assert(child >= 0 && !__atomic_load_n(&inside, __ATOMIC_SEQ_CST));
    if (child > 0) {
        assert(pthread_join(thread, NULL) == 0);
        (void)alarm(0);
    }
    return child;
}

static pid_t forked; /* what the last fork amid a region gave; -1: there was none yet */

static bool fork_amid_region(void *context)
{
    (void)context;
    __atomic_store_n(&forked, fork(), __ATOMIC_SEQ_CST);
    return false;
}

static void await_fork(void *stop, int64_t task, int thread)
{
    (void)task;
    (void)adm_stop_asked(stop, thread);
    while (__atomic_load_n(&forked, __ATOMIC_SEQ_CST) < 0)
        sched_yield();
}

/* A region of one thread goes on in both; forks of the child wait for regions as ever. */
static void test_fork_amid_a_region_of_one_thread(void)
{
    adm_stop stop = {.asked = fork_amid_region};
    forked = -1;
    adm_parallel_for_until(&stop, 1, 1, await_fork, &stop);
    assert(!adm_fork_lost_threads());
    if (forked == 0) {
        alarm(LONGEST);
        const pid_t grandchild = fork_beside_region();
        (void)raise(grandchild == 0 || ended_well(grandchild) ? SIGKILL : SIGABRT);
    }
    assert(ended_well(forked));
}

static bool fork_and_begin_region(void *context)
{
    (void)fork_amid_region(context);
    if (forked > 0)
        return false;
    alarm(LONGEST);
    assert(threads_used(3) == 1);
    (void)raise(adm_fork_lost_threads() ? SIGKILL : SIGABRT);
    return true;
}

/* Of a region of several threads the child has one, and can begin regions with that. */
static void test_fork_amid_a_region_of_several_threads(void)
{
    adm_stop stop = {.asked = fork_and_begin_region};
    forked = -1;
    adm_parallel_for_until(&stop, 3, 6, await_fork, &stop);
    assert(!adm_fork_lost_threads() && ended_well(forked));
}
#endif

int main(void)
{
#ifndef THREAD_SANITIZER
    test_fork_amid_a_region_of_one_thread();
    test_fork_amid_a_region_of_several_threads();
#endif
    return 0;
}
