/* y = norm(x), row by row; its statistics are kept for the backward pass. */
#ifndef ADM_LAYERS_NORM_H
#define ADM_LAYERS_NORM_H

#include "kernels/kernels.h"
#include "layers/span.h"

typedef struct adm_norm {
    adm_norm_args args;   /* of kind ADM_NORM_NONE: there is none, and nothing else is set */
    adm_norm_grads grads; /* added to */
    adm_real *mean;       /* [M] */
    adm_real *rstd;       /* [M] */
} adm_norm;

static inline bool adm_norm_exists(const adm_norm *norm)
{
    return norm->args.kind != ADM_NORM_NONE;
}

void adm_norm_forward(const adm_kernels *kernels, const adm_norm *norm, const adm_real *x, /* [M, n] */
                      adm_real *y,                                                         /* [M, n] */
                      adm_span span);                                                      /* rows of both */
void adm_norm_backward(const adm_kernels *kernels, const adm_norm *norm, const adm_real *dy, /* [M, n] */
                       const adm_real *x,                                                    /* [M, n] */
                       adm_real *dx, /* [M, n], may be dy */
                       adm_span span);

#endif
