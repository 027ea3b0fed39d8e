/* The kernels for 64-bit Arm processors, all of which have NEON and multiply-adds: the same source, other instructions.
   Of 32 registers a tile takes 6 x 4 for its sums, 4 for a row of B, and leaves 4 for elements of A. */
#ifdef __aarch64__
#include <arm_neon.h>

#ifndef __clang__
#pragma GCC push_options
#pragma GCC optimize("no-schedule-insns") /* ahead of registers: a tile's sums would not stay in them */
#endif
#define KERNELS_TABLE adm_kernels_neon
#define KERNELS_NAME "neon"
#define KERNELS_VECTOR_BYTES 16
#define KERNELS_TILE_VECTORS 4
#ifdef ADM_DOUBLE
#define KERNELS_MULTIPLY_ADD(a, b, c) vfmaq_f64(c, a, b)
#else
#define KERNELS_MULTIPLY_ADD(a, b, c) vfmaq_f32(c, a, b)
#endif
#include "kernels/table.inc"
#ifndef __clang__
#pragma GCC pop_options
#endif
#endif
