#define _GNU_SOURCE
#include "base/portable.h"

#include "admin/system.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static int online(void)
{
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 1 ? (int)count : 1;
}

#ifdef __linux__

#include <linux/futex.h>
#include <sys/syscall.h>

void adm_sleep_while(atomic_uint *state, unsigned int seen)
{
    (void)syscall(SYS_futex, state, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

void adm_wake_one(atomic_uint *state)
{
    (void)syscall(SYS_futex, state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void adm_pages_prefer_huge(void *pages, size_t size)
{
    (void)madvise(pages, size, MADV_HUGEPAGE); /* advice: refusal costs speed only */
}

bool adm_pages_clear(void *pages, size_t size)
{
    return madvise(pages, size, MADV_DONTNEED) == 0;
}

bool adm_is_main_thread(void)
{
    return syscall(SYS_gettid) == (long)getpid(); /* also after a fork */
}

void *adm_stack_of_thread(size_t *size)
{
    pthread_attr_t attributes;
    void *lowest = NULL;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return NULL;
    if (pthread_attr_getstack(&attributes, &lowest, size) != 0)
        lowest = NULL;
    (void)pthread_attr_destroy(&attributes);
    return lowest;
}

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
    return online();
}

#else /* macOS */

/* Of libSystem, in no header; the C++ library waits by them, too. */
extern int __ulock_wait(uint32_t operation, void *address, uint64_t value, uint32_t timeout);
extern int __ulock_wake(uint32_t operation, void *address, uint64_t value);
#define COMPARE_AND_WAIT 1

void adm_sleep_while(atomic_uint *state, unsigned int seen)
{
    (void)__ulock_wait(COMPARE_AND_WAIT, state, seen, 0);
}

void adm_wake_one(atomic_uint *state)
{
    (void)__ulock_wake(COMPARE_AND_WAIT, state, 0);
}

void adm_pages_prefer_huge(void *pages, size_t size)
{
    (void)pages;
    (void)size;
}

/* Advice leaves numbers there: new pages take their place. */
bool adm_pages_clear(void *pages, size_t size)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    return mmap(pages, size, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED;
}

bool adm_is_main_thread(void)
{
    return pthread_main_np() != 0;
}

void *adm_stack_of_thread(size_t *size)
{
    *size = pthread_get_stacksize_np(pthread_self());
    return (char *)pthread_get_stackaddr_np(pthread_self()) - *size; /* it tells the upper end */
}

int adm_system_num_procs(void)
{
    return online();
}

#endif
