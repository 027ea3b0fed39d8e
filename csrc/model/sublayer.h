/* One sub-layer of a chunk: the residual formula around its branch. */
#ifndef ADM_MODEL_SUBLAYER_H
#define ADM_MODEL_SUBLAYER_H

#include "model/model.h"

void adm_sublayer_forward(adm_model *model, const adm_sublayer *sub, int64_t chunk, adm_worker *worker);
/* From dx_i to dx_{i-1} in the same place; fills the chunk's partial gradients. */
void adm_sublayer_backward(adm_model *model, const adm_sublayer *sub, int64_t chunk, adm_worker *worker);

#endif
