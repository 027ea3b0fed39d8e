/* Where the parameters lie: every position is an offset in the flat buffers, -1 where there is none. */
#ifndef ADM_MODEL_PARAMS_H
#define ADM_MODEL_PARAMS_H

#include "admin/model.h"
#include "model/branch.h"

#define ADM_ENCODER 0
#define ADM_DECODER 1
#define ADM_MAX_SLOTS 24

typedef struct adm_norm_params {
    adm_norm_kind kind;
    int64_t n;
    int64_t gamma, nu, scale;
    int64_t partial_gamma, partial_nu, partial_scale; /* in the chunk's partial gradients */
} adm_norm_params;

/* Places among the workspace's packed weights: of panels of W^T, for forward passes, and of W, for backward passes. */
typedef struct adm_packing {
    int64_t forward, backward;
} adm_packing;

typedef struct adm_linear_params {
    int64_t weight, bias, outputs, inputs;
    int64_t partial_bias;
    adm_packing packing;
} adm_linear_params;

/* A vector whose gradient is summed in every chunk apart and then over the chunks in their order. */
typedef struct adm_slot {
    int64_t offset, length, partial;
    bool to_scalar; /* the parameter is the scalar sum of the `length` partials */
} adm_slot;

typedef struct adm_slots {
    adm_slot items[ADM_MAX_SLOTS];
    int count;
    int64_t length; /* of the partial gradients of one chunk */
} adm_slots;

typedef struct adm_sublayer {
    const adm_sublayer_config *config;
    const adm_branch *kind;
    int stack;
    int64_t index;
    bool first_in_layer, last_in_layer;
    bool layer_is_kept; /* its input is read again: by a kappa, or in parallel */
    adm_norm_params pre, branch, post, inner, q, k;
    adm_linear_params maps[ADM_NUM_MAPS];
    int num_maps;
    int64_t omega, alpha;
    int64_t partial_omega, partial_alpha; /* -1: not trained */
    adm_slots slots;
} adm_sublayer;

typedef struct adm_stack {
    const adm_stack_config *config;
    int64_t num_sublayers, per_layer;
    adm_sublayer *sublayers; /* [R] */
    adm_norm_params embedded, final;
    int64_t input_scale, partial_input_scale;
    adm_slots edge_slots; /* of embedded, input_scale and final */
    int64_t embedding, positions;
} adm_stack;

/* The one table of parameters, and where all find their own in it. */
typedef struct adm_params {
    adm_param_table table;
    adm_stack stacks[2];
    adm_linear_params output; /* to logits: the output embedding, maybe a bias; weight -1: there is none */
} adm_params;

static inline bool adm_has_stack(const adm_params *params, int stack)
{
    return params->stacks[stack].num_sublayers > 0;
}

/* For a configuration that was checked; to be freed even after an error. */
adm_status adm_params_build(const adm_config *config, adm_params *params, adm_error *error);
void adm_params_free(adm_params *params);

#endif
