/* Structs to begin with: what is left out has the same values as in Python. */
#ifndef ADMIN_DEFAULTS_H
#define ADMIN_DEFAULTS_H

#include "admin/optim.h"

ADM_BEGIN

/* No parameter for kind NONE; else one that is trained, 1 at first. */
ADM_API adm_scale adm_scale_default(adm_scale_kind kind);

/* Factors 1. */
ADM_API adm_gains adm_gains_default(void);

/* The plain residual x + f(x). */
ADM_API adm_sublayer_config adm_sublayer_default(void);

/* A stack of so many layers without causal or cross-attention, whose sub-layers are still to be given. */
ADM_API adm_stack_config adm_stack_default(int64_t layers);

/* An encoder-decoder of 6 layers each, width 512, whose vocab_size and sub-layers are still to be given. */
ADM_API adm_config adm_config_default(void);

typedef enum adm_scheme {
    ADM_SCHEME_POST_LN = 0, /* LN(x + f(x)) */
    ADM_SCHEME_PRE_LN,      /* x + f(LN(x)), a norm after the last layer */
    ADM_SCHEME_ADMIN        /* LN(omega x + f(x)), omega set by profiling (Liu et al. 2020) */
} adm_scheme;

/* Sub-layers of both stacks, by config's layers. */
ADM_API int64_t adm_config_num_sublayers(const adm_config *config);
/* Fills sublayers [adm_config_num_sublayers(config)], which stay the caller's, and lets config point to them; sets what
   else of the stacks follows from their layers and the scheme. */
ADM_API adm_status adm_config_use_scheme(adm_config *config, adm_scheme scheme,
                                         adm_sublayer_config *sublayers, adm_error *error);

/* Evaluation on all processors of the process. */
ADM_API adm_run adm_run_default(void);

ADM_API adm_optim_config adm_optim_default(adm_optim_kind kind);
/* Of a model with gradients: grad_scale 1, lr 0, all processors. */
ADM_API adm_optim_input adm_optim_input_default(adm_model *model);

/* That `asked` ends the call. */
ADM_API adm_stop adm_stop_default(bool (*asked)(void *context), void *context);

ADM_END

#endif
