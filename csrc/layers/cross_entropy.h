/* Label-smoothed cross-entropy of rows of logits, each row's apart, and its gradient in their place */
#ifndef ADM_LAYERS_CROSS_ENTROPY_H
#define ADM_LAYERS_CROSS_ENTROPY_H

#include "layers/worker.h"

typedef struct adm_cross_entropy {
    int64_t rows, classes; /* M, V */
    adm_real *logits;      /* [M, V]; with gradient they become factor * d loss / d logits */
    const int32_t *labels; /* [M] */
    double smoothing;
    bool gradient;
    adm_real factor;
    double *losses; /* [M, 2] the loss and what it is without smoothing; added to */
} adm_cross_entropy;

void adm_cross_entropy_rows(adm_worker *worker, const adm_cross_entropy *entropy);

#endif
