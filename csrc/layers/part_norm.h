/* A norm of a part of each row, such as the queries among q k v: of all its features together, or of each head's apart. */
#ifndef ADM_LAYERS_PART_NORM_H
#define ADM_LAYERS_PART_NORM_H

#include "layers/norm.h"

typedef struct adm_part_norm {
    adm_norm norm;    /* of n features; its statistics are [M, count] */
    int64_t count;    /* norms in a row: heads, or 1 */
    int64_t rows;     /* M */
    int64_t stride;   /* from a row to the next */
    adm_real *y;      /* [M, stride] where the part lies, before its norm and after it */
    adm_real *dy;     /* [M, stride] its gradient, which becomes that before the norm */
    adm_real *before; /* [M, count n] what it was, for the backward pass */
} adm_part_norm;

/* In place; nothing where there is no norm. */
void adm_part_norm_forward(const adm_kernels *kernels, const adm_part_norm *part);
void adm_part_norm_backward(const adm_kernels *kernels, const adm_part_norm *part);

#endif
