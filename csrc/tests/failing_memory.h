/* Calls of the core for memory, counted, one of which may be made to fail. For programs that are linked with --wrap for
   every function that takes memory from the system (Makefile). */
#ifndef ADM_TESTS_FAILING_MEMORY_H
#define ADM_TESTS_FAILING_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

static int64_t memory_calls;          /* so far */
static int64_t memory_successes = -1; /* calls that succeed before the one that does not; negative: all do */
static bool memory_failed;            /* whether one did not since it was set to false */

static bool memory_fails(void)
{
    const bool now = memory_successes == 0;
    memory_calls++;
    memory_failed |= now;
    memory_successes -= memory_successes >= 0;
    return now;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset);

void *__wrap_malloc(size_t size)
{
    return memory_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return memory_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return memory_fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset)
{
    return memory_fails() ? MAP_FAILED : __real_mmap(address, size, protection, flags, file, offset);
}

#endif
