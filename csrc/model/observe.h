/* Statistics of sub-layers from the sums that the chunks left, and the activations of the last observed pass. */
#ifndef ADM_MODEL_OBSERVE_H
#define ADM_MODEL_OBSERVE_H

#include "model/model.h"

/* Biased, from sums over `count` values. */
static inline double adm_variance(double sum, double sum_squares, double count)
{
    const double mean = sum / count;
    return sum_squares / count - mean * mean;
}

typedef struct adm_variances {
    double input, branch; /* Var(x_{i-1}), Var(a_i) */
} adm_variances;

/* Of a sub-layer, from an observed pass; chunks are added in their order. */
adm_variances adm_observe_variances(const adm_model *model, int stack, int64_t index);

void adm_observe_forward(adm_model *model);
void adm_observe_backward(adm_model *model);

#endif
