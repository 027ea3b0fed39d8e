/* Stacks alone, from hidden states to hidden states. */
#ifndef ADM_MODEL_HIDDEN_H
#define ADM_MODEL_HIDDEN_H

#include "model/model.h"

/* ADM_OK, or what of it the model cannot read. */
adm_status adm_hidden_check(const adm_model *model, const adm_hidden *input, adm_error *error);

#endif
