/* One update by the rule that the configuration names. */
#include "base/base.h"
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

static bool is_decay(double beta)
{
    return beta >= 0.0 && (adm_real)beta < (adm_real)1;
}

adm_status adm_optim_check(const adm_optim_config *config, adm_error *error)
{
    const double betas[] = {config->beta1, config->beta2};
    if ((unsigned int)config->kind > ADM_OPTIM_NOVOGRAD)
        return adm_fail(error, ADM_ERROR_VALUE, "kind must be one of 5 choices, got number %u",
                        (unsigned int)config->kind);
    for (int i = 0; i < 2; i++)
        if (!is_decay(betas[i]))
            return adm_fail(error, ADM_ERROR_VALUE,
                            "beta%d must be in [0, 1) in " ADM_DTYPE_NAME ", got %.12g", i + 1, betas[i]);
    if (!(config->eps >= (double)ADM_REAL_MIN && isfinite((adm_real)config->eps)) &&
        config->kind != ADM_OPTIM_SGD)
        return adm_fail(error, ADM_ERROR_VALUE,
                        "eps must be above 0 and a normal number of " ADM_DTYPE_NAME ", got %g", config->eps);
    if (!(config->weight_decay >= 0.0 && isfinite((adm_real)config->weight_decay)))
        return adm_fail(error, ADM_ERROR_VALUE,
                        "weight_decay must be at least 0 and finite in " ADM_DTYPE_NAME ", got %g",
                        config->weight_decay);
    if (config->nesterov && (config->kind != ADM_OPTIM_SGD || config->beta1 == 0.0))
        return adm_fail(error, ADM_ERROR_VALUE,
                        "nesterov must be False unless kind is \"sgd\" with beta1 above 0");
    if (config->kind == ADM_OPTIM_RADAM && !adm_radam_begins(config->beta2))
        return adm_fail(error, ADM_ERROR_VALUE,
                        "beta2 must be above 2/3 for RAdam, whose updates would never begin, got %.12g",
                        config->beta2);
    return ADM_OK;
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

static void clear(adm_real *values, const adm_optim_part *part, int64_t begin, int64_t end)
{
    for (int64_t i = adm_max(begin, part->begin); values != NULL && i < adm_min(end, part->end); i++)
        values[i - part->begin] = 0;
}

/* Between parameters lie elements that belong to none, which rules over flat ranges update, too: from zeros to zeros
   unless a factor is infinite. */
static void clear_gaps(const adm_update *update)
{
    const adm_param_table *params = update->input.params;
    int64_t end = 0; /* of the parameter before */
    for (int64_t p = 0; p <= params->count; p++) {
        if (p < params->count && !params->items[p].trained)
            continue;
        const int64_t next = p < params->count ? params->items[p].offset : params->trained_length;
        clear(update->input.weights + update->part.begin, &update->part, end, next);
        clear(update->m, &update->part, end, next);
        if (update->config->kind != ADM_OPTIM_NOVOGRAD) /* whose v has no gaps */
            clear(update->v, &update->part, end, next);
        end = p < params->count ? next + params->items[p].size : end;
    }
}

static adm_status check_input(const adm_optim_config *config, const adm_optim_input *input,
                              const adm_optim_state *state, adm_error *error)
{
    const struct {
        const char *name;
        bool missing;
    } pointers[] = {
        {"kernels", input->kernels == NULL},
        {"params", input->params == NULL},
        {"weights", input->weights == NULL},
        {"gradients", input->gradients == NULL},
        {"m", state->m == NULL && input->params != NULL && adm_optim_size_m(config, input->params) > 0},
        {"v", state->v == NULL && input->params != NULL && adm_optim_size_v(config, input->params) > 0},
    };
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++)
        if (pointers[i].missing)
            return adm_fail(error, ADM_ERROR_VALUE, "%s must not be NULL", pointers[i].name);
    if (input->threads < 1)
        return adm_fail(error, ADM_ERROR_VALUE, "threads must be at least 1, got %d", input->threads);
    return ADM_OK;
}

/* *sum: squared norm of the change. */
static adm_status step_part(adm_update *update, double *sum, adm_error *error)
{
    const bool novograd = update->config->kind == ADM_OPTIM_NOVOGRAD;
    const size_t bytes =
        novograd ? (size_t)adm_novograd_scratch(update->input.params) * sizeof *update->scratch : 0;
    if (novograd && (update->scratch = adm_alloc(bytes)) == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for %zu bytes of sums", bytes);
    const adm_flushing outer = adm_flush_begin(); /* rules compute between their regions, too */
    *sum = update_weights(update);
    adm_flush_end(outer);
    if (novograd)
        adm_release(update->scratch, bytes);
    if (!isfinite(*sum))
        clear_gaps(update);
    return ADM_OK;
}

static adm_status step(const adm_optim_config *config, const adm_update *given, adm_optim_state *state,
                       double *sum, adm_error *error)
{
    adm_update update = *given;
    adm_status status = adm_optim_check(config, error);
    if (status == ADM_OK)
        status = check_input(config, &update.input, state, error);
    if (status == ADM_OK)
        status = adm_part_check(update.input.params, &update.part, error);
    if (status != ADM_OK)
        return status;
    update.config = config;
    update.m = state->m;
    update.v = state->v;
    update.step = state->step + 1;
    status = step_part(&update, sum, error);
    if (status == ADM_OK)
        state->step = update.step;
    return status;
}

adm_status adm_optim_step_part(const adm_optim_config *config, const adm_optim_input *input,
                               const adm_optim_part *part, adm_optim_state *state, adm_error *error)
{
    double sum;
    if (config->kind == ADM_OPTIM_NOVOGRAD && part->squares == NULL)
        return adm_fail(error, ADM_ERROR_VALUE, "squares must not be NULL");
    return step(config, &(adm_update){.input = *input, .part = *part}, state, &sum, error);
}

adm_status adm_optim_step(const adm_optim_config *config, const adm_optim_input *input,
                          adm_optim_state *state, double *update_norm, adm_error *error)
{
    double sum = 0.0;
    const adm_optim_part all = {.end = input->params == NULL ? 0 : input->params->trained_length};
    const adm_status status = step(config, &(adm_update){.input = *input, .part = all}, state, &sum, error);
    if (status == ADM_OK && update_norm != NULL)
        *update_norm = sqrt(sum);
    return status;
}
