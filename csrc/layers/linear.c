#include "layers/layers.h"

#include "base/base.h"

/* y = x W^T + bias */
void adm_linear_forward(const adm_kernels *kernels, const adm_matrix *linear, const adm_real *x, adm_real *y,
                        int64_t rows)
{
    adm_gemm(false, true, rows, linear->out, linear->in, 1, x, linear->in, linear->weight, linear->in, 0, y,
             linear->out);
    if (linear->bias != NULL)
        kernels->add_bias(y, linear->bias, rows, linear->out);
}

/* dx = dy W */
void adm_linear_backward_input(const adm_matrix *linear, const adm_real *dy, adm_real *dx, bool accumulate,
                               int64_t rows)
{
    adm_gemm(false, false, rows, linear->in, linear->out, 1, dy, linear->out, linear->weight, linear->in,
             accumulate ? 1 : 0, dx, linear->in);
}

/* dW += dy^T x */
void adm_linear_backward_weight(const adm_matrix *linear, const adm_real *x, const adm_real *dy, adm_real *dw,
                                int64_t first, int64_t last, int64_t rows)
{
    adm_gemm(true, false, last - first, linear->in, rows, 1, dy + first, linear->out, x, linear->in, 1,
             dw + first * linear->in, linear->in);
}
