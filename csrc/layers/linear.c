#include "layers/layers.h"

#include "base/base.h"

/* Rows of a weight gradient in one task: at most ADM_GEMM_ROWS, ... */
#define LEAST_ROWS 32    /* and at least, since fewer do not pay for the copied panels */
#define LIBRARY_ROWS 120 /* where BLAS computes them: its sums may depend on how many rows it is given */

/* y = x W^T + bias, negative elements 0 where relu */
void adm_linear_forward(const adm_kernels *kernels, const adm_matrix *linear, const adm_real *x, adm_real *y,
                        bool relu, int64_t rows)
{
    const bool packed = linear->packed != NULL;
    kernels->gemm(&(adm_gemm){
        .m = rows,
        .n = linear->out,
        .k = linear->in,
        .a = x,
        .row = linear->in,
        .step = 1,
        .b = packed ? linear->packed : linear->weight,
        .ldb = linear->in,
        .layout = packed ? ADM_B_PACKED : ADM_B_TRANSPOSED,
        .c = y,
        .ldc = linear->out,
        .bias = linear->bias,
        .relu = relu,
    });
}

/* dx = dy W */
void adm_linear_backward_input(const adm_kernels *kernels, const adm_matrix *linear, const adm_real *dy,
                               adm_real *dx, bool accumulate, int64_t rows)
{
    const bool packed = linear->packed_back != NULL;
    kernels->gemm(&(adm_gemm){
        .m = rows,
        .n = linear->in,
        .k = linear->out,
        .a = dy,
        .row = linear->out,
        .step = 1,
        .b = packed ? linear->packed_back : linear->weight,
        .ldb = linear->in,
        .layout = packed ? ADM_B_PACKED : ADM_B_ROWS,
        .c = dx,
        .ldc = linear->in,
        .accumulate = accumulate,
    });
}

int64_t adm_linear_weight_rows(const adm_kernels *kernels, int64_t out, int64_t tasks)
{
    const int64_t fewest = (out + ADM_GEMM_ROWS - 1) / ADM_GEMM_ROWS, most = adm_max(out / LEAST_ROWS, 1);
    const bool library = kernels->gemm == adm_gemm_by_blas;
    const int64_t cut =
        library ? (out + LIBRARY_ROWS - 1) / LIBRARY_ROWS : adm_max(adm_min(tasks, most), fewest);
    return (out + cut - 1) / cut;
}

/* dW += dy^T x */
void adm_linear_backward_weight(const adm_kernels *kernels, const adm_matrix *linear, const adm_real *x,
                                const adm_real *dy, adm_real *dw, int64_t first, int64_t last, int64_t rows)
{
    kernels->gemm(&(adm_gemm){
        .m = last - first,
        .n = linear->in,
        .k = rows,
        .a = dy + first,
        .row = 1,
        .step = linear->out,
        .b = x,
        .ldb = linear->in,
        .c = dw + first * linear->in,
        .ldc = linear->in,
        .accumulate = true,
    });
}
