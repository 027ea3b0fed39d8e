/* The products of the kernel table in use against three plain loops, and the BLAS library's against them too:
   awkward sizes, strides, alignments and layouts. */
#define _GNU_SOURCE
#include "base/base.h"
#include "kernels/kernels.h"

#include "openblas.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef ADM_DOUBLE
#define EPSILON 0x1p-53
#else
#define EPSILON 0x1p-24
#endif
#define OUTSIDE 12345 /* what stands where nothing may be written */

static adm_real scratch[ADM_GEMM_SCRATCH] __attribute__((aligned(ADM_ALIGN)));

/* The oracle: C = A B (+ C) (+ bias), in double; `bound` gets the sums of absolute values. */
static void plain_gemm(const adm_gemm *gemm, const adm_real *b_rows, double *c, double *bound)
{
    for (int64_t i = 0; i < gemm->m; i++) {
        for (int64_t j = 0; j < gemm->n; j++) {
            const double bias = gemm->bias != NULL ? (double)gemm->bias[j] : 0;
            double sum = (gemm->accumulate ? (double)gemm->c[i * gemm->ldc + j] : 0) + bias;
            double size = fabs(sum) + fabs(bias);
            for (int64_t p = 0; p < gemm->k; p++) {
                const double term =
                    (double)gemm->a[i * gemm->row + p * gemm->step] * (double)b_rows[p * gemm->n + j];
                sum += term;
                size += fabs(term);
            }
            c[i * gemm->n + j] = gemm->relu && sum < 0 ? 0 : sum;
            bound[i * gemm->n + j] = size;
        }
    }
}

/* The same to the last bit, as every table computes it: sums of DEPTH steps by multiply-adds, added up in their order,
   to C where it accumulates; then the bias. */
#define DEPTH 256
static adm_real ordered(const adm_gemm *gemm, const adm_real *b_rows, int64_t i, int64_t j)
{
    adm_real total = gemm->c[i * gemm->ldc + j];
    for (int64_t first = 0; first < gemm->k; first += DEPTH) {
        adm_real sum = 0;
        for (int64_t p = first; p < gemm->k && p < first + DEPTH; p++) {
            const adm_real a = gemm->a[i * gemm->row + p * gemm->step], b = b_rows[p * gemm->n + j];
            sum = sizeof sum == sizeof(double) ? (adm_real)fma(a, b, sum)
                                               : (adm_real)fmaf((float)a, (float)b, (float)sum);
        }
        total = gemm->accumulate || first > 0 ? sum + total : sum;
    }
    total += gemm->bias != NULL ? gemm->bias[j] : 0;
    return gemm->relu && total < 0 ? 0 : total;
}

static adm_real *filled(int64_t count, uint64_t seed)
{
    adm_real *x = malloc((size_t)count * sizeof *x);
    assert(x != NULL);
    const uint64_t key = adm_random_key(seed, 0, 0);
    for (int64_t i = 0; i < count; i++)
        x[i] = (adm_real)adm_random_normal(key, (uint64_t)i);
    return x;
}

/* Whether the triangle of a product has element (i, j) of the matrix it is about. */
static bool inside(const adm_gemm *gemm, int64_t i, int64_t j)
{
    return gemm->triangle == ADM_TRIANGLE_A_T ? j < i + gemm->diagonal : i < j + gemm->diagonal;
}

/* A is 0 outside of its triangle. */
static void clear_outside(const adm_gemm *gemm, adm_real *a)
{
    for (int64_t i = 0; i < gemm->m; i++)
        for (int64_t p = 0; p < gemm->k; p++)
            if (!inside(gemm, i, p))
                a[i * gemm->row + p * gemm->step] = 0;
}

/* One product: C lies between rows of OUTSIDE, A and B begin `shift` elements after an aligned place. */
static void check(const adm_kernels *kernels, int64_t m, int64_t n, int64_t k, int variant)
{
    const bool transposed_a = (variant & 1) != 0, accumulate = (variant & 2) != 0, bias = (variant & 4) != 0;
    const adm_layout layout = (adm_layout)(variant / 8 % 3);
    const int64_t shift = variant % 5, more = variant % 7;
    const uint64_t seed = (uint64_t)(m * 1000003 + n * 1009 + k * 31 + variant);
    const int64_t lda = (transposed_a ? m : k) + more;
    int64_t ldc = n + more;
    const adm_layout packed_from = variant % 2 == 0 ? ADM_B_TRANSPOSED : ADM_B_ROWS;
    const bool rows = (layout == ADM_B_PACKED ? packed_from : layout) == ADM_B_ROWS;
    const int64_t ldb = (rows ? n : k) + more;
    adm_real *a = filled(shift + (transposed_a ? k : m) * lda, seed);
    adm_real *b_rows = filled(k * n, seed + 1), *vector = filled(n, seed + 2), *c = filled(m * ldc, seed + 3);
    adm_real *b = filled(shift + (rows ? k : n) * ldb, seed + 4);
    adm_real *packed = malloc((size_t)((n + ADM_PANEL_MAX) * k) * sizeof *packed);
    double *wanted = malloc((size_t)(2 * m * n) * sizeof *wanted), *bound = wanted + m * n;
    assert(packed != NULL && wanted != NULL);
    for (int64_t p = 0; p < k; p++)
        for (int64_t j = 0; j < n; j++)
            b[shift + (rows ? p * ldb + j : j * ldb + p)] = b_rows[p * n + j];
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = n; j < ldc; j++)
            c[i * ldc + j] = OUTSIDE;
    adm_gemm gemm = {
        .m = m,
        .n = n,
        .k = k,
        .a = a + shift,
        .row = transposed_a ? 1 : lda,
        .step = transposed_a ? lda : 1,
        .b = b + shift,
        .ldb = ldb,
        .layout = layout,
        .c = c,
        .ldc = ldc,
        .bias = bias ? vector : NULL,
        .accumulate = accumulate,
        .relu = variant % 11 == 0,
        .triangle = (adm_triangle)(variant % 17 % 4),
        .diagonal = variant % 9 - 2 + variant / 9 % 3 * m / 2,
        .scratch = scratch,
    };
    if (gemm.triangle == ADM_TRIANGLE_A || gemm.triangle == ADM_TRIANGLE_A_T)
        clear_outside(&gemm, a + shift);
    if (bias == false && variant % 13 == 0) { /* room for whole vectors */
        gemm.padded = true;
        free(c);
        gemm.ldc = ldc = (n + ADM_PANEL_MAX - 1) / ADM_PANEL_MAX * ADM_PANEL_MAX;
        gemm.c = c = filled(m * ldc, seed + 3);
    }
    if (layout == ADM_B_PACKED && !kernels->by_blas) {
        kernels->gemm_pack(n, k, b + shift, ldb, packed_from, packed);
        gemm.b = packed;
    } else if (layout == ADM_B_PACKED) {
        gemm.layout = packed_from;
    }
    plain_gemm(&gemm, b_rows, wanted, bound);
    adm_real *exact = malloc((size_t)(m * n) * sizeof *exact);
    assert(exact != NULL);
    for (int64_t at = 0; at < m * n; at++)
        exact[at] = ordered(&gemm, b_rows, at / n, at % n);
    kernels->gemm(&gemm);
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < ldc; j++) {
            const double got = (double)c[i * ldc + j];
            if (j < n && gemm.triangle == ADM_TRIANGLE_C && !inside(&gemm, i, j))
                continue;
            assert(j >= n || kernels->by_blas || c[i * ldc + j] == exact[i * n + j]);
            if (j >= n ? (gemm.padded ? isfinite(got) : got == OUTSIDE)
                       : fabs(got - wanted[i * n + j]) <= /* k roundings of the sum's size */
                             (double)(k + 2) * EPSILON * bound[i * n + j])
                continue;
            fprintf(stderr, "%s %lldx%lldx%lld variant %d: element %lld,%lld is %.9g, plain %.9g\n",
                    kernels->name, (long long)m, (long long)n, (long long)k, variant, (long long)i,
                    (long long)j, got, j >= n ? OUTSIDE : wanted[i * n + j]);
            abort();
        }
    }
    free(a);
    free(b);
    free(b_rows);
    free(vector);
    free(c);
    free(packed);
    free(wanted);
    free(exact);
}

typedef struct sizes {
    int count;
    int64_t values[16];
} sizes;

/* All m x n x k; which layout, stride, alignment and epilogue they meet goes round. */
static void check_all(const adm_kernels *kernels, sizes ms, sizes ns, sizes ks, int times)
{
    static int variant = 0;
    for (int i = 0; i < ms.count; i++)
        for (int j = 0; j < ns.count; j++)
            for (int l = 0; l < ks.count; l++)
                for (int time = 0; time < times; time++)
                    check(kernels, ms.values[i], ns.values[j], ks.values[l], variant++);
}

/* Sizes around those of registers, tiles, panels, depths and blocks of rows. */
static void test_sizes(const adm_kernels *kernels)
{
    const sizes few = {7, {1, 5, 6, 7, 12, 19, 31}}, many = {3, {121, 265, 540}};
    const sizes columns = {13, {1, 3, 4, 8, 15, 16, 17, 32, 47, 48, 64, 65, 130}}, some = {3, {1, 17, 65}};
    check_all(kernels, few, columns, (sizes){5, {1, 2, 7, 16, 33}}, 3);
    check_all(kernels, (sizes){3, {1, 7, 31}}, columns, (sizes){4, {64, 256, 257, 300}}, 1);
    check_all(kernels, many, some, (sizes){2, {16, 257}}, 1);
    for (int v = 0; v < 24; v++) /* rows of B a page apart */
        check(kernels, 40, 4096 / (int64_t)sizeof(adm_real), 33, v);
}

/* An element of C has the same bits wherever its row and column stand in the product. */
static void test_places(const adm_kernels *kernels)
{
    enum { M = 29, N = 80, K = 300 };
    adm_real *a = filled(M * K, 5), *b = filled(K * N, 6), *whole = filled(M * N, 7),
             *part = filled(M * N, 8);
    adm_gemm gemm = {.m = M,
                     .n = N,
                     .k = K,
                     .a = a,
                     .row = K,
                     .step = 1,
                     .b = b,
                     .ldb = N,
                     .c = whole,
                     .ldc = N,
                     .scratch = scratch};
    kernels->gemm(&gemm);
    gemm.c = part;
    for (int64_t first = 0; first < M; first += 4) {
        gemm.m = M - first < 4 ? M - first : 4;
        gemm.a = a + first * K;
        gemm.c = part + first * N;
        kernels->gemm(&gemm);
    }
    assert(memcmp(whole, part, M * N * sizeof *whole) == 0);
    for (int64_t first = 0; first < N; first += 16) {
        gemm = (adm_gemm){.m = M,
                          .n = 16,
                          .k = K,
                          .a = a,
                          .row = K,
                          .step = 1,
                          .b = b + first,
                          .ldb = N,
                          .scratch = scratch};
        gemm.c = part + first;
        gemm.ldc = N;
        kernels->gemm(&gemm);
    }
    assert(memcmp(whole, part, M * N * sizeof *whole) == 0);
    free(a);
    free(b);
    free(whole);
    free(part);
}

/* Multiply-adds are rounded once, whatever the sizes of their parts: of three terms the first two nearly cancel. */
static void test_rounding(const adm_kernels *kernels)
{
    enum { N = 64, TIMES = 400 };
    const uint64_t key = adm_random_key(9, 0, 0);
    const int range = sizeof(adm_real) == 8 ? 500 : 70;
    uint64_t next = 0;
    for (int time = 0; time < TIMES; time++) {
        adm_real a[3], b[3 * N], c[N];
        const int scale = (int)(adm_random_uniform(key, next++) * 2 * range) - range;
        for (int p = 0; p < 3; p++)
            a[p] = (adm_real)ldexp(adm_random_normal(key, next++), p < 2 ? scale : 0);
        for (int j = 0; j < N; j++) {
            b[j] = (adm_real)ldexp(adm_random_normal(key, next++), scale / 2);
            b[N + j] = -a[0] * b[j] / a[1];
            b[2 * N + j] = (adm_real)ldexp(a[0] * b[j], (int)(-60 * adm_random_uniform(key, next++)));
        }
        const adm_gemm gemm = {.m = 1,
                               .n = N,
                               .k = 3,
                               .a = a,
                               .row = 3,
                               .step = 1,
                               .b = b,
                               .ldb = N,
                               .c = c,
                               .ldc = N,
                               .scratch = scratch};
        kernels->gemm(&gemm);
        for (int j = 0; j < N; j++) {
            const adm_real got = c[j], wanted = ordered(&gemm, b, 0, j);
            assert(got == wanted || (isnan(got) && isnan(wanted)));
        }
    }
}

/* Panels can be packed a part of their steps at a time, each in its place. */
static void test_packing_by_steps(const adm_kernels *kernels)
{
    enum { K = 150, N = 131, STEPS = 64, SIZE = K * (N + ADM_PANEL_MAX) };
    adm_real *b = filled(K * N, 4), *whole = calloc(2 * SIZE, sizeof *whole), *parts = whole + SIZE;
    assert(whole != NULL);
    kernels->gemm_pack(N, K, b, N, ADM_B_ROWS, whole);
    for (int64_t p = 0; p < K; p += STEPS)
        for (int64_t j = 0; j < N; j += kernels->panel)
            kernels->gemm_pack(adm_min(kernels->panel, N - j), adm_min(STEPS, K - p), b + p * N + j, N,
                               ADM_B_ROWS, parts + j * K + p * kernels->panel);
    assert(memcmp(whole, parts, SIZE * sizeof *whole) == 0);
    free(b);
    free(whole);
}

/* What is written has the bits of what is added to zeros, where a sum rounds to -0, too. */
static void test_negative_zero(const adm_kernels *kernels)
{
    enum { M = 7, N = 67 };
    adm_real a[M], b[N], c[2][M * N];
    for (int i = 0; i < M; i++)
        a[i] = i % 2 == 0 ? ADM_REAL_MIN : 1;
    for (int j = 0; j < N; j++)
        b[j] = (j % 3 == 0 ? ADM_REAL_MIN : 1) * (j % 2 == 0 ? 1 : -1);
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        for (int i = 0; i < M * N; i++)
            c[accumulate][i] = accumulate ? 0 : OUTSIDE;
        const adm_flushing outer = adm_flush_begin();
        kernels->gemm(&(adm_gemm){.scratch = scratch,
                                  .m = M,
                                  .n = N,
                                  .k = 1,
                                  .a = a,
                                  .row = 1,
                                  .step = M,
                                  .b = b,
                                  .ldb = N,
                                  .c = c[accumulate],
                                  .ldc = N,
                                  .accumulate = accumulate});
        adm_flush_end(outer);
    }
    assert(memcmp(c[0], c[1], sizeof c[0]) == 0);
}

/* What is not finite shows. */
static void test_nan(const adm_kernels *kernels)
{
    adm_real a[3] = {1, (adm_real)NAN, 2}, b[3] = {1, 1, 1}, c[9];
    kernels->gemm(&(adm_gemm){.scratch = scratch,
                              .m = 3,
                              .n = 3,
                              .k = 1,
                              .a = a,
                              .row = 1,
                              .step = 1,
                              .b = b,
                              .ldb = 3,
                              .c = c,
                              .ldc = 3,
                              .relu = true});
    for (int i = 0; i < 9; i++)
        assert(i / 3 == 1 ? isnan(c[i]) : c[i] == a[i / 3]);
}

/* The library's products, which are the same for every table. */
static void test_library(const adm_kernels *kernels)
{
    setenv("ADMIN_PY_GEMM", "openblas", 1);
    assert(adm_kernels_select() == kernels); /* none is loaded yet */
    if (!load_openblas())
        return;
    const adm_kernels *library = adm_kernels_select();
    assert(library->by_blas && library->name == kernels->name);
    if (strcmp(kernels->name, "generic") != 0)
        return;
    test_sizes(library);
    test_nan(library);
}

int main(void)
{
    const adm_kernels *kernels = adm_kernels_select();
    assert(!kernels->by_blas);
    test_sizes(kernels);
    test_places(kernels);
    test_rounding(kernels);
    test_packing_by_steps(kernels);
    test_negative_zero(kernels);
    test_nan(kernels);
    test_library(kernels);
    return 0;
}
