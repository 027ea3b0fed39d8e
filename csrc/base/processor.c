/* Asked of the processor itself: what __builtin_cpu_supports reads is empty where a compiler's run-time library does not
   fill it (zig's). */
#include "base/processor.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <stdint.h>

enum { /* what the system saves of a thread, in XCR0 */
       SAVED_AVX = 1 << 1 | 1 << 2,
       SAVED_AVX512 = SAVED_AVX | 1 << 5 | 1 << 6 | 1 << 7
};

/* Leaf 1, ECX. */
enum { FMA = 1 << 12, OSXSAVE = 1 << 27, AVX = 1 << 28 };

/* Leaf 7, EBX. */
enum { AVX2 = 1 << 5, AVX512F = 1 << 16, AVX512DQ = 1 << 17, AVX512BW = 1 << 30 };
#define AVX512VL (1u << 31)

static uint32_t saved(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool has(uint32_t set, uint32_t bits)
{
    return (set & bits) == bits;
}

/* Whether it has these features of leaf 7, beside AVX and its multiply-adds, and the system saves what they need. */
static bool supports(uint32_t features, uint32_t state)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, FMA | OSXSAVE | AVX) || !has(saved(), state))
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && has(b, features);
}

bool adm_has_avx2(void)
{
    return supports(AVX2, SAVED_AVX);
}

bool adm_has_avx512(void)
{
    return supports(AVX2 | AVX512F | AVX512DQ | AVX512BW | AVX512VL, SAVED_AVX512);
}

#endif
