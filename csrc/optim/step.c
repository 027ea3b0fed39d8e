/* One update by the rule that the configuration names. */
#include "optim/update.h"

int64_t adm_optim_size_m(const adm_optim_config *config, const adm_param_table *params)
{
    return config->kind == ADM_OPTIM_SGD && config->beta1 == 0.0 ? 0 : params->trained_length;
}

int64_t adm_optim_size_v(const adm_optim_config *config, const adm_param_table *params)
{
    switch (config->kind) {
    case ADM_OPTIM_SGD:
        return 0;
    case ADM_OPTIM_NOVOGRAD:
        return params->count;
    default:
        return params->trained_length;
    }
}

static double update_weights(const adm_update *update)
{
    switch (update->config->kind) {
    case ADM_OPTIM_SGD:
        return adm_sgd_update(update);
    case ADM_OPTIM_RADAM:
        return adm_radam_update(update);
    case ADM_OPTIM_NOVOGRAD:
        return adm_novograd_update(update);
    default:
        return adm_adam_update(update);
    }
}

void adm_optim_step(const adm_optim_config *config, const adm_optim_input *input, adm_optim_state *state,
                    double *update_norm)
{
    const adm_update update = {
        .config = config, .input = *input, .m = state->m, .v = state->v, .step = state->step + 1};
    const double sum = update_weights(&update);
    state->step = update.step;
    if (update_norm != NULL)
        *update_norm = sqrt(sum);
}
