/* The weights as the matrix products read them: panels of W^T for forward passes and, where a backward pass may follow,
   panels of W; packed once a pass by all threads. Products of a few rows read the weights themselves. */
#ifndef ADM_MODEL_PACKING_H
#define ADM_MODEL_PACKING_H

#include "model/model.h"

/* Gives every linear map its places among the packed weights. */
void adm_packing_place(adm_model *model);
/* Packs all weights, for forward passes, for backward passes or both, if the workspace has room for them. */
typedef enum adm_pack { ADM_PACK_FORWARD = 1, ADM_PACK_BACKWARD = 2, ADM_PACK_BOTH = 3 } adm_pack;
void adm_packing_run(adm_model *model, adm_pack directions);

#endif
