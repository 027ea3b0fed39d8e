/* The passes over a stack: forward, backward, and who waits for whom. */
#ifndef ADM_MODEL_PASS_H
#define ADM_MODEL_PASS_H

#include "model/model.h"
#include "model/packing.h"

/* Around what a public pass does with a workspace that is laid out: what may fail stands before, so that none leaves
   behind whom to ask. Weights are packed at its begin. At the end: ADM_STOPPED if it was stopped. */
void adm_pass_begin(adm_model *model, adm_stop *stop, adm_pack directions);
adm_status adm_pass_end(adm_model *model, adm_error *error);

/* Embeds, runs sub-layers and the final norm of all stacks. */
void adm_pass_forward(adm_model *model);
/* From dx (gradient of the end) to the gradient of the embedding in the same place; all gradients of the stack's
   parameters but the embeddings'. */
void adm_pass_backward(adm_model *model, int stack);
/* Before the backward passes of all stacks: unless gradients are added to, those are zero that no product writes. */
void adm_pass_begin_gradients(adm_model *model);
/* After them, in place of adm_pass_end: what a pass that was stopped has left of the gradients is worth nothing, so they
   are zero. */
adm_status adm_pass_end_backward(adm_model *model, adm_error *error);

/* Embedding of all chunks; one sub-layer of all chunks; final norm of all chunks: for profiling. */
void adm_pass_embed(adm_model *model, int stack);
void adm_pass_sublayer(adm_model *model, int stack, int64_t index);
void adm_pass_finish(adm_model *model, int stack);

#endif
