/* Logits and loss of the decoder. */
#ifndef ADM_MODEL_OUTPUT_H
#define ADM_MODEL_OUTPUT_H

#include "model/model.h"

void adm_output_logits(adm_model *model, adm_real *logits); /* [M, V] */
/* Loss over all rows; with backward also dx of the stack's end and the output embedding's gradient. */
void adm_output_loss(adm_model *model, bool backward, adm_loss *loss);

#endif
