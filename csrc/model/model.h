/* What a model is inside.

   Work is cut into chunks of whole sequences by the data's shape alone. A forward task takes one chunk through all
   sub-layers; a backward task takes it through one, and others compute the weight gradients of those above, cut by
   output rows, which no sum crosses (pass.c). */
#ifndef ADM_MODEL_MODEL_H
#define ADM_MODEL_MODEL_H

#include "admin/model.h"
#include "kernels/kernels.h"
#include "model/buffers.h"
#include "model/params.h"

/* The last observation of one stack: an allocation of its own, since it outlives the pass. */
typedef struct adm_observed {
    double *var_input, *var_branch; /* [R] */
    double *grad_norm;              /* [R + 1] */
} adm_observed;

struct adm_model {
    adm_config config;
    const adm_kernels *kernels;
    adm_params params;
    adm_packing packed_lengths; /* of all packed weights */
    adm_real *weights, *gradients;
    adm_real *
        positions; /* [num_positions, D] sinusoids, or angles [num_positions, rotary width]; grows with the longest
                            sequence read */
    int64_t num_positions;
    adm_observed observed[2];
    double work[ADM_WORK_KINDS]; /* seconds of the passes before the last */
    bool activations_kept;       /* adm_model_activation may be asked */
    bool gradients_kept;         /* and for gradients */
    adm_workspace ws;
};

static inline bool adm_is_stack(int stack)
{
    return stack == ADM_ENCODER || stack == ADM_DECODER;
}

/* Bytes of a flat buffer. */
static inline size_t adm_buffer_bytes(const adm_model *model)
{
    return (size_t)model->params.table.length * sizeof(adm_real);
}

/* A model that computes with another's parameters in a workspace of its own, to be freed before the other. */
adm_status adm_model_share(const adm_model *model, adm_model **shared, adm_error *error);
void adm_model_unshare(adm_model *shared);

/* The table of sinusoids or angles for so many positions, where the model has them. */
adm_status adm_model_need_positions(adm_model *model, int64_t positions, adm_error *error);

#endif
