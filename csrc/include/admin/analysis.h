/* What a model does to its residual stream: where a sum comes from, and how far it moves with the weights. */
#ifndef ADMIN_ANALYSIS_H
#define ADMIN_ANALYSIS_H

#include "admin/model.h"

ADM_BEGIN

/* Of one stack; y_i = sum over j of c_ij is what sub-layer i (from 1) adds up before its output norm. Component 0 is
   what is left of x_0, component j what is left of branch j, component R + 1 what biases of norms added. */
typedef struct adm_dependency {
    double *variances; /* [R, R + 2] mean over tokens of Var over features of c_ij; 0 for i < j <= R */
    double *sums;      /* [R] the same of y_i */
    double *predicted; /* [R] Var(b_i) / (Var(omega_i r_i) + Var(b_i)) over all tokens and features */
    adm_real *last;    /* [M, R + 2, D] the components of y_R themselves, or NULL */
    int64_t rows;      /* M, filled in */
} adm_dependency;

/* One forward pass without dropout, over groups of whole sequences so that the components of a group take about
   max_bytes; one sequence at least. Fails where a norm on the residual's way is not linear (DyT). */
ADM_API adm_status adm_model_dependency(adm_model *model, const adm_batch *batch, const adm_run *run,
                                        int64_t max_bytes, adm_dependency *encoder, adm_dependency *decoder,
                                        adm_error *error);

/* Of one stack; xhat_i is y_i standardised over the features of each token. */
typedef struct adm_output_change {
    double *change;      /* [R] mean over tokens of |xhat_i - xhat_i'|^2 */
    double *var_branch;  /* [R] mean over tokens of Var over features of the first model's b_i */
    double *var_sum;     /* [R] the same of its y_i */
    double input_change; /* as change, of x_0; filled in */
} adm_output_change;

/* Two models of the same depths and width side by side, without dropout. */
ADM_API adm_status adm_models_output_change(adm_model *model, adm_model *other, const adm_batch *batch,
                                            const adm_run *run, adm_output_change *encoder,
                                            adm_output_change *decoder, adm_error *error);

ADM_END

#endif
