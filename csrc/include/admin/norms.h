/* Frobenius norms of all parameters at once. */
#ifndef ADMIN_NORMS_H
#define ADMIN_NORMS_H

#include "admin/model.h"

ADM_BEGIN

/* norms [count]: of every parameter in the table's order the Frobenius norm of values [length], a flat buffer of
   weights or gradients; with before [length] not NULL, that of values - before. Summed in double in an order that
   does not depend on threads. */
ADM_API adm_status adm_model_norms(const adm_param_table *params, const adm_real *values,
                                   const adm_real *before, double *norms, int threads, adm_error *error);

ADM_END

#endif
