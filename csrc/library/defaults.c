/* What structs are filled with at first. */
#include "admin/defaults.h"

#define LAYERS 6

adm_scale adm_scale_default(adm_scale_kind kind)
{
    return (adm_scale){.kind = kind, .trained = kind != ADM_SCALE_NONE, .value = 1.0};
}

adm_gains adm_gains_default(void)
{
    return (adm_gains){1.0, 1.0, 1.0, 1.0, 1.0, 1.0};
}

adm_sublayer_config adm_sublayer_default(void)
{
    return (adm_sublayer_config){
        .input_scale = 1.0,
        .omega = adm_scale_default(ADM_SCALE_NONE),
        .alpha = adm_scale_default(ADM_SCALE_NONE),
        .qkv_fused_init = true,
        .gains = adm_gains_default(),
    };
}

adm_stack_config adm_stack_default(int64_t layers)
{
    return (adm_stack_config){.layers = layers, .embedding_gain = 1.0};
}

adm_config adm_config_default(void)
{
    adm_stack_config decoder = adm_stack_default(LAYERS);
    decoder.causal = decoder.cross = true;
    return (adm_config){
        .d_model = 512,
        .heads = 8,
        .d_ff = 2048,
        .max_length = 1024,
        .share_embeddings = ADM_SHARE_ALL,
        .dropout = 0.1,
        .norm_eps = 1e-5,
        .encoder = adm_stack_default(LAYERS),
        .decoder = decoder,
    };
}

/* ---- schemes ---- */

/* What a scheme sets beside the defaults. */
static const struct {
    adm_norm_kind norm_pre, norm_post, norm_final;
    bool profiled;
    adm_scale_kind omega;
} SCHEMES[] = {
    [ADM_SCHEME_POST_LN] = {.norm_post = ADM_NORM_LAYER},
    [ADM_SCHEME_PRE_LN] = {.norm_pre = ADM_NORM_LAYER, .norm_final = ADM_NORM_LAYER},
    [ADM_SCHEME_ADMIN] = {.norm_post = ADM_NORM_LAYER, .profiled = true, .omega = ADM_SCALE_VECTOR},
};
#define NUM_SCHEMES (sizeof SCHEMES / sizeof *SCHEMES)

static adm_sublayer_config sublayer_of(adm_scheme scheme)
{
    adm_sublayer_config sublayer = adm_sublayer_default();
    sublayer.norm_pre = SCHEMES[scheme].norm_pre;
    sublayer.norm_post = SCHEMES[scheme].norm_post;
    sublayer.profiled = SCHEMES[scheme].profiled;
    sublayer.omega = adm_scale_default(SCHEMES[scheme].omega);
    return sublayer;
}

int64_t adm_config_num_sublayers(const adm_config *config)
{
    adm_stack_config decoder = config->decoder;
    decoder.cross = config->encoder.layers > 0;
    return adm_stack_num_sublayers(&config->encoder) + adm_stack_num_sublayers(&decoder);
}

adm_status adm_config_use_scheme(adm_config *config, adm_scheme scheme, adm_sublayer_config *sublayers,
                                 adm_error *error)
{
    if ((unsigned int)scheme >= NUM_SCHEMES)
        return adm_fail(error, ADM_ERROR_VALUE, "scheme must be one of %d choices, got number %u",
                        (int)NUM_SCHEMES, (unsigned int)scheme);
    if (sublayers == NULL)
        return adm_fail(error, ADM_ERROR_VALUE, "sublayers must not be NULL");
    config->decoder.causal = config->decoder.layers > 0;
    config->decoder.cross = config->decoder.layers > 0 && config->encoder.layers > 0;
    config->encoder.sublayers = sublayers;
    config->decoder.sublayers = sublayers + adm_stack_num_sublayers(&config->encoder);
    adm_stack_config *stacks[] = {&config->encoder, &config->decoder};
    for (int s = 0; s < 2; s++) {
        const bool present = stacks[s]->layers > 0;
        stacks[s]->norm_final = present ? SCHEMES[scheme].norm_final : ADM_NORM_NONE;
        for (int64_t i = 0; i < adm_stack_num_sublayers(stacks[s]); i++)
            stacks[s]->sublayers[i] = sublayer_of(scheme);
    }
    return ADM_OK;
}

/* ---- calls ---- */

adm_run adm_run_default(void)
{
    return (adm_run){.threads = adm_system_num_procs(), .scale = 1.0};
}

adm_optim_config adm_optim_default(adm_optim_kind kind)
{
    adm_optim_config config = {.kind = kind, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    if (kind == ADM_OPTIM_SGD)
        config.beta1 = config.beta2 = config.eps = 0.0;
    if (kind == ADM_OPTIM_ADAMW)
        config.weight_decay = 0.01;
    if (kind == ADM_OPTIM_NOVOGRAD) {
        config.beta1 = 0.95;
        config.beta2 = 0.98;
    }
    return config;
}

adm_optim_input adm_optim_input_default(adm_model *model)
{
    return (adm_optim_input){
        .kernels = adm_model_kernels(model),
        .params = adm_model_params(model),
        .weights = adm_model_weights(model),
        .gradients = adm_model_gradients(model),
        .grad_scale = 1.0,
        .threads = adm_system_num_procs(),
    };
}

adm_stop adm_stop_default(bool (*asked)(void *context), void *context)
{
    adm_stop stop = {.asked = asked, .context = context};
    adm_stop_begin(&stop);
    return stop;
}
