/* What tests of threads and forks share: how many threads a region has, and how a child ends. */
#ifndef ADM_TESTS_THREADS_H
#define ADM_TESTS_THREADS_H

#include "base/base.h"

#include <signal.h>
#include <sys/wait.h>

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER /* which ends children of processes with threads */
#endif
#endif

#define LONGEST 300 /* seconds, after which a test that hangs is ended by the alarm */
#define TASKS 2000

static int thread_of[TASKS];

static void note_thread(void *context, int64_t task, int thread)
{
    (void)context;
    thread_of[task] = thread;
}

static inline int threads_used(int wanted)
{
    int most = 0;
    adm_parallel_for(wanted, TASKS, note_thread, NULL);
    for (int i = 0; i < TASKS; i++)
        most = thread_of[i] > most ? thread_of[i] : most;
    return most + 1;
}

#ifndef THREAD_SANITIZER
/* Whether the child has come to its end, a signal that no leak check follows: what the threads had that it has not is
   lost. */
static inline bool ended_well(pid_t child)
{
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}
#endif

#endif
