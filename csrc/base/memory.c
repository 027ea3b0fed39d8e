/* Aligned buffers straight from the system: large, zeroed lazily by the kernel, on huge pages where it has
   them. Page faults on small pages cost more than the arithmetic of a small model. */
#define _GNU_SOURCE
#include "base/base.h"
#include "base/portable.h"

#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

static size_t mapped_size(size_t bytes)
{
    return round_up(bytes, bytes >= HUGE_PAGE ? HUGE_PAGE : 4096);
}

static char *map_pages(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* From a boundary of huge pages, or the kernel could use none for the ends: mapped with room for it, the rest is
   given back. */
static char *map_aligned(size_t size)
{
    char *memory = map_pages(size + HUGE_PAGE);
    if (memory == NULL)
        return NULL;
    const size_t before = (HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE) % HUGE_PAGE;
    if (before > 0)
        (void)munmap(memory, before);
    (void)munmap(memory + before + size, HUGE_PAGE - before);
    return memory + before;
}

void *adm_alloc(size_t bytes)
{
    if (bytes == 0)
        bytes = 1;
    if (bytes > SIZE_MAX / 2)
        return NULL;
    const size_t size = mapped_size(bytes);
    if (size < HUGE_PAGE)
        return map_pages(size);
    void *memory = map_aligned(size);
    if (memory != NULL)
        adm_pages_prefer_huge(memory, size);
    return memory;
}

void adm_release(void *memory, size_t bytes)
{
    if (memory != NULL)
        munmap(memory, mapped_size(bytes == 0 ? 1 : bytes));
}

void adm_clear(void *memory, size_t bytes)
{
    if (memory != NULL && !adm_pages_clear(memory, mapped_size(bytes == 0 ? 1 : bytes)))
        memset(memory, 0, bytes);
}

/* To MemorySanitizer what is taken was never written, whoever had it before. */
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
#define forget __msan_allocated_memory
#endif
#endif
#ifndef forget
static void forget(const volatile void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
}
#endif

static void *arena_take(adm_arena *arena, int64_t count, size_t size)
{
    const size_t start = arena->used;
    size_t bytes, end;
    if (__builtin_mul_overflow((size_t)count, size, &bytes) || __builtin_add_overflow(start, bytes, &end) ||
        end > SIZE_MAX - ADM_ALIGN) {
        arena->too_large = true;
        return NULL;
    }
    arena->used = round_up(end, ADM_ALIGN);
    if (arena->base == NULL)
        return NULL;
    forget(arena->base + start, bytes);
    return arena->base + start;
}

adm_real *adm_arena_real(adm_arena *arena, int64_t count)
{
    return arena_take(arena, count, sizeof(adm_real));
}

double *adm_arena_double(adm_arena *arena, int64_t count)
{
    return arena_take(arena, count, sizeof(double));
}

int64_t *adm_arena_int64(adm_arena *arena, int64_t count)
{
    return arena_take(arena, count, sizeof(int64_t));
}

adm_status adm_arena_reserve(adm_arena *arena, size_t bytes, adm_error *error)
{
    if (bytes <= arena->capacity)
        return ADM_OK;
    char *base = adm_alloc(bytes);
    if (base == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for %zu bytes of activations", bytes);
    adm_release(arena->base, arena->capacity);
    arena->base = base;
    arena->capacity = bytes;
    return ADM_OK;
}

void adm_arena_free(adm_arena *arena)
{
    adm_release(arena->base, arena->capacity);
    *arena = (adm_arena){0};
}
