#define _GNU_SOURCE
#include "base/base.h"

#include <sched.h>
#include <unistd.h>

int adm_system_num_procs(void)
{
    for (int possible = 1024; possible <= 1 << 20;
         possible *= 2) { /* as large as the kernel's own set may be */
        cpu_set_t *set = CPU_ALLOC(possible);
        if (set == NULL)
            break;
        const size_t size = CPU_ALLOC_SIZE(possible);
        const int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return count;
    }
    const int online = (int)sysconf(_SC_NPROCESSORS_ONLN);
    return online > 1 ? online : 1;
}
