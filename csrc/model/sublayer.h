/* One sub-layer of some chunks: the residual formula around its branch, and below the first and above the last the stack's
   ends. */
#ifndef ADM_MODEL_SUBLAYER_H
#define ADM_MODEL_SUBLAYER_H

#include "model/model.h"

/* Chunks that are computed together, at most; only of sequences that are whole, and where nothing is observed. */
#define ADM_GROUP_MAX 4

/* The whole of it, or of one chunk one after another: up to attention, some heads of that, and what comes after it. */
void adm_sublayer_forward(adm_model *model, const adm_sublayer *sub, adm_chunks chunks, adm_worker *worker);
void adm_sublayer_forward_in(adm_model *model, const adm_sublayer *sub, int64_t chunk, adm_worker *worker);
void adm_sublayer_forward_out(adm_model *model, const adm_sublayer *sub, int64_t chunk, adm_worker *worker);
/* What stands before attention and after it, for those who attend by other means: the view of the sub-layer, and its end. */
struct adm_sublayer_view;
void adm_sublayer_forward_before(const struct adm_sublayer_view *view, adm_worker *worker);
void adm_sublayer_forward_after(const adm_model *model, const struct adm_sublayer_view *view, int64_t chunk,
                                adm_worker *worker);
/* From dx_i to dx_{i-1} in the same place; fills the chunks' partial gradients. */
void adm_sublayer_backward(adm_model *model, const adm_sublayer *sub, adm_chunks chunks, adm_worker *worker);
void adm_sublayer_backward_out(adm_model *model, const adm_sublayer *sub, int64_t chunk, adm_worker *worker);
void adm_sublayer_backward_in(adm_model *model, const adm_sublayer *sub, int64_t chunk, adm_worker *worker);

/* Heads [first, last) of a sub-layer that attends. */
typedef struct adm_heads {
    int64_t first, last;
} adm_heads;

void adm_sublayer_forward_heads(adm_model *model, const adm_sublayer *sub, int64_t chunk, adm_heads heads,
                                adm_worker *worker);
void adm_sublayer_backward_heads(adm_model *model, const adm_sublayer *sub, int64_t chunk, adm_heads heads,
                                 adm_worker *worker);

#endif
