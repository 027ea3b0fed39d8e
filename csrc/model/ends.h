/* The ends of a stack, a chunk at a time: embedding and final norm. */
#ifndef ADM_MODEL_ENDS_H
#define ADM_MODEL_ENDS_H

#include "model/model.h"

/* x0 = input_scale dropout(Nembedding(sqrt(D) embedding + position)); with hidden states given, x0 = input_scale x */
void adm_embed_forward(adm_model *model, int stack, int64_t chunk);
/* dx0 becomes the gradient of the embedding: dscale = sum dx0 x, dx = Nembedding'(dropout(scale dx0)) */
void adm_embed_backward(adm_model *model, int stack, int64_t chunk);
/* The gradients of the embedding and of learned positions, from that of what they gave to all chunks. */
void adm_embed_scatter(adm_model *model, int stack);

/* end = Nfinal(x_R) */
void adm_end_forward(adm_model *model, int stack, int64_t chunk);
/* dx of the stack's end becomes that of its last sub-layer's output; the ends' partial gradients begin anew. */
void adm_end_backward(adm_model *model, int stack, int64_t chunk);

#endif
