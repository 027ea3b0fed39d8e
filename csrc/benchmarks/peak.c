/* What a core can do at most: multiply-adds in registers, by the instructions of each kernel table. */
#include "benchmarks/timing.h"

#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

/* At least latency times multiply-adds a cycle, 8 or 10 on current processors; AVX2 has 16 registers. */
#define SUMS 12
#define CALL_FLOPS ((int64_t)SUMS << 22)
#define STEPS_OF(bytes) (CALL_FLOPS / (2 * SUMS * (int64_t)((bytes) / sizeof(adm_real))))

#ifdef ADM_DOUBLE
#define OF_REALS(name) name##_pd
#else
#define OF_REALS(name) name##_ps
#endif

typedef struct peak_work {
    adm_real factor, addend; /* sums go to addend / (1 - factor) */
    adm_real *result;
} peak_work;

#define PEAK_FUNCTION multiply_add_generic
#define PEAK_VECTOR vector_generic
#define PEAK_VECTOR_BYTES 16
#define PEAK_MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#include "benchmarks/peak.inc"
#undef PEAK_FUNCTION
#undef PEAK_VECTOR
#undef PEAK_VECTOR_BYTES
#undef PEAK_MULTIPLY_ADD

#ifdef __x86_64__
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define PEAK_FUNCTION multiply_add_avx2
#define PEAK_VECTOR vector_avx2
#define PEAK_VECTOR_BYTES 32
#define PEAK_MULTIPLY_ADD OF_REALS(_mm256_fmadd)
#include "benchmarks/peak.inc"
#undef PEAK_FUNCTION
#undef PEAK_VECTOR
#undef PEAK_VECTOR_BYTES
#undef PEAK_MULTIPLY_ADD
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f")
#define PEAK_FUNCTION multiply_add_avx512
#define PEAK_VECTOR vector_avx512
#define PEAK_VECTOR_BYTES 64
#define PEAK_MULTIPLY_ADD OF_REALS(_mm512_fmadd)
#include "benchmarks/peak.inc"
#pragma GCC pop_options
#endif

bench_side bench_peak(const adm_kernels *kernels)
{
    static adm_real result;
    static const peak_work work = {.factor = (adm_real)0.5, .addend = (adm_real)0.5, .result = &result};
    bench_side side = {"multiply-adds", multiply_add_generic, &work};
#ifdef __x86_64__
    if (strcmp(kernels->name, "avx2") == 0)
        side.call = multiply_add_avx2;
    if (strcmp(kernels->name, "avx512") == 0)
        side.call = multiply_add_avx512;
#endif
    return side;
}

double bench_peak_flops(void)
{
    return (double)CALL_FLOPS;
}
