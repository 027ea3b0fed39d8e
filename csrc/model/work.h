/* What the threads of a pass work with, and how long each kind of work takes: every task notes its parts in its thread's
   own cache line. */
#ifndef ADM_MODEL_WORK_H
#define ADM_MODEL_WORK_H

#include "layers/worker.h"
#include "model/model.h"

/* What a thread of the pass works with; its clock begins now. */
adm_worker adm_worker_begin(const adm_model *model, int thread);
/* Adds the last pass to those before it, and begins another with nothing noted. */
void adm_work_fold(adm_model *model);

#endif
