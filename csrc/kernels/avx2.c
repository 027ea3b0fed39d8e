/* The kernels for processors with AVX2 and FMA: the same source, other instructions. */
#ifdef __x86_64__
#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,prefer-vector-width=256")
#endif
#define KERNELS_TABLE adm_kernels_avx2
#define KERNELS_NAME "avx2"
#define KERNELS_VECTOR_BYTES 32
#define KERNELS_TILE_VECTORS 2
#ifdef ADM_DOUBLE
#define KERNELS_MULTIPLY_ADD _mm256_fmadd_pd
#else
#define KERNELS_MULTIPLY_ADD _mm256_fmadd_ps
#endif
#include "kernels/table.inc"
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
