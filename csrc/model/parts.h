/* One sub-layer of all chunks where these are parts of sequences: attention has to wait for all keys of a sequence. */
#ifndef ADM_MODEL_PARTS_H
#define ADM_MODEL_PARTS_H

#include "model/model.h"

void adm_parts_forward(adm_model *model, const adm_sublayer *sub);
/* All but the gradients of parameters, of which it fills the chunks' parts. */
void adm_parts_backward(adm_model *model, const adm_sublayer *sub);

#endif
