/* Where the buffers of a pass lie. */
#ifndef ADM_MODEL_PLAN_H
#define ADM_MODEL_PLAN_H

#include "model/model.h"

/* Lays the workspace out in an arena; run twice, to measure and to hand out. */
void adm_plan(adm_model *model, adm_arena *arena, const adm_shape *shape);
/* The same of what every thread has for itself. */
void adm_plan_workers(adm_model *model, adm_arena *arena, int threads);

#endif
