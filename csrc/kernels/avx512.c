/* The kernels for processors with AVX-512: the same source, other instructions. */
#ifdef __x86_64__
#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl"))),         \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl,prefer-vector-width=512")
#endif
#define KERNELS_TABLE adm_kernels_avx512
#define KERNELS_NAME "avx512"
#define KERNELS_VECTOR_BYTES 64
#define KERNELS_TILE_VECTORS 4
#ifdef ADM_DOUBLE
#define KERNELS_MULTIPLY_ADD _mm512_fmadd_pd
#else
#define KERNELS_MULTIPLY_ADD _mm512_fmadd_ps
#endif
#include "kernels/table.inc"
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
