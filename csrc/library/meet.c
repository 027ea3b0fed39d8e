/* The library's two precisions in one process: what a region's thread asks may compute in the other precision, and that does
   not wait for a fork, which waits for the region. In Python the two builds meet in csrc/python/forks.c. */
#include "base/base.h"

#include <pthread.h>

#ifdef ADM_DOUBLE
#define inside_other_region adm_f32_inside_region
#else
#define inside_other_region adm_f64_inside_region
#endif

ADM_API bool inside_other_region(void);

/* Where a program was linked with one precision alone. */
__attribute__((weak)) bool inside_other_region(void)
{
    return false;
}

static void begin_fork(void)
{
    if (adm_fork_begin())
        adm_fork_await();
}

/* Forks await the regions of both precisions before they take the lock of either, which a region that goes on would want.
   Without memory for the handlers they do not. */
__attribute__((constructor)) static void meet(void)
{
    adm_region_know(inside_other_region);
    (void)pthread_atfork(begin_fork, adm_fork_end, NULL);
}
