/* y = x W^T + bias */
#ifndef ADM_LAYERS_LINEAR_H
#define ADM_LAYERS_LINEAR_H

#include "layers/worker.h"

typedef struct adm_matrix {
    const adm_real *weight;      /* [outputs, inputs] */
    const adm_real *bias;        /* [outputs] or NULL */
    const adm_real *packed;      /* panels of W^T, for x W^T, or NULL: few rows do not pay for them */
    const adm_real *packed_back; /* panels of W, for dy W, or NULL */
    int64_t outputs, inputs;
} adm_matrix;

/* One map of rows; a forward pass needs no gradients. */
typedef struct adm_linear {
    adm_matrix matrix;
    int64_t rows;      /* M */
    const adm_real *x; /* [M, inputs] */
    adm_real *y;       /* [M, outputs] */
    adm_real *dy;      /* [M, outputs] */
    adm_real *dx;      /* [M, inputs] */
    adm_real *dweight; /* [outputs, inputs] */
    adm_real *dbias;   /* [outputs] of these rows alone, or NULL: there is no bias */
} adm_linear;

void adm_linear_forward(adm_worker *worker, const adm_linear *linear, bool relu);
/* Columns [first, last) of y alone; first is a multiple of ADM_PANEL_MAX. */
void adm_linear_forward_columns(adm_worker *worker, const adm_linear *linear, int64_t first, int64_t last);
/* dx = dy W (+ dx where accumulate) */
void adm_linear_backward_input(adm_worker *worker, const adm_linear *linear, bool accumulate);
/* Columns [first, last) of dx alone; first is a multiple of ADM_PANEL_MAX. */
void adm_linear_backward_input_columns(adm_worker *worker, const adm_linear *linear, int64_t first,
                                       int64_t last);
/* dbias += sum over rows of dy */
void adm_linear_backward_bias(adm_worker *worker, const adm_linear *linear);
/* How the gradient of a weight is cut into tiles, which are numbered row by row: its bits do not depend on that. */
typedef struct adm_weight_tiles {
    int64_t rows, columns; /* of one; the last ones may have fewer */
    int64_t across, count; /* tiles beside each other, and all */
} adm_weight_tiles;

/* For about so many tasks. */
adm_weight_tiles adm_linear_weight_tiles(const adm_kernels *kernels, const adm_matrix *matrix, int64_t tasks);
/* A tile of dW = dy^T x (+ dW where accumulate) */
void adm_linear_backward_weight(adm_worker *worker, const adm_linear *linear, const adm_weight_tiles *tiles,
                                int64_t tile, bool accumulate);

#endif
