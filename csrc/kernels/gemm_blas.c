/* A product of the kernel table by the BLAS library, which knows neither packed matrices nor biases. */
#include "kernels/kernels.h"

#include "base/base.h"

#include <assert.h>

static void finish_row(const adm_gemm *gemm, adm_real *c)
{
    for (int64_t j = 0; gemm->bias != NULL && j < gemm->n; j++)
        c[j] += gemm->bias[j];
    for (int64_t j = 0; gemm->relu && j < gemm->n; j++)
        c[j] = c[j] < 0 ? 0 : c[j]; /* NaN stays NaN */
}

void adm_gemm_by_blas(const adm_gemm *gemm)
{
    assert(gemm->layout != ADM_B_PACKED);
    const bool transposed_a = gemm->step != 1;
    assert(!transposed_a || gemm->row == 1);
    if (gemm->k == 0)
        return;
    /* rows of one element, or one row: both strides are 1, and the library wants rows of at least k */
    const int64_t row = gemm->row < gemm->k ? gemm->k : gemm->row;
    adm_blas_gemm(transposed_a, gemm->layout == ADM_B_TRANSPOSED, gemm->m, gemm->n, gemm->k, 1, gemm->a,
                  transposed_a ? gemm->step : row, gemm->b, gemm->ldb, gemm->accumulate ? 1 : 0, gemm->c,
                  gemm->ldc);
    for (int64_t i = 0; gemm->padded && i < gemm->m; i++)
        for (int64_t j = gemm->n; j < gemm->ldc; j++)
            gemm->c[i * gemm->ldc + j] = 0;
    if (gemm->bias == NULL && !gemm->relu)
        return;
    for (int64_t i = 0; i < gemm->m; i++)
        finish_row(gemm, gemm->c + i * gemm->ldc);
}
