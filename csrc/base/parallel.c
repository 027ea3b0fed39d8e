#define _GNU_SOURCE
#include "base/base.h"

#include <omp.h>
#include <time.h>

void adm_parallel_for(int threads, int64_t count, adm_task_fn fn, void *context)
{
    if (threads <= 1 || count <= 1) {
        for (int64_t task = 0; task < count; task++)
            fn(context, task, 0);
        return;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int64_t task = 0; task < count; task++)
        fn(context, task, omp_get_thread_num());
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
