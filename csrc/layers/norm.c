#include "layers/norm.h"

/* y = norm(x) */
void adm_norm_forward(const adm_kernels *kernels, const adm_norm *norm, const adm_real *x, adm_real *y,
                      adm_span span)
{
    const int64_t i = span.first, at = i * norm->args.n;
    kernels->norm_forward(&norm->args, x + at, y + at, norm->mean + i, norm->rstd + i, span.rows);
}

/* y = norm(x):  dx = norm'(x) dy */
void adm_norm_backward(const adm_kernels *kernels, const adm_norm *norm, const adm_real *dy,
                       const adm_real *x, adm_real *dx, adm_span span)
{
    const int64_t i = span.first, at = i * norm->args.n;
    kernels->norm_backward(&(adm_norm_gradient){
        .norm = &norm->args,
        .rows = span.rows,
        .dy = dy + at,
        .x = x + at,
        .mean = norm->mean + i,
        .rstd = norm->rstd + i,
        .dx = dx + at,
        .grads = norm->grads,
    });
}
