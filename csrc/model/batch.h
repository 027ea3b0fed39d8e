/* What can be asked of a pass. */
#ifndef ADM_MODEL_BATCH_H
#define ADM_MODEL_BATCH_H

#include "admin/model.h"

/* ADM_OK, or what cannot. */
adm_status adm_run_check(const adm_run *run, adm_error *error);

/* ADM_OK, or what of sources and prefixes a decoder cannot read: those have one token at least. */
adm_status adm_model_check_prefixes(const adm_model *model, const adm_batch *batch, adm_error *error);

#endif
