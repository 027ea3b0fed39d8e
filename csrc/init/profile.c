/* Variance profiling (paper section 4.2; the release's variant): one forward pass that measures Var(a_i) of every
   sub-layer and finds omega_i.

     clinic: acc = 1; for each sub-layer: omega_i = acc, acc = sqrt(Var(omega_i x_{i-1}) + Var(a_i))
     paper:  with omega = 1 everywhere, omega_i = sqrt(1 + sum_{j < i} Var(a_j))

   Var is the biased variance over all tokens and features. Encoder and decoder accumulate apart. */
#include "model/hidden.h"
#include "model/observe.h"
#include "model/pass.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int64_t omega_length(const adm_sublayer *sub, int64_t d)
{
    return sub->config->omega.kind == ADM_SCALE_SCALAR ? 1 : d;
}

static void set_omega(adm_model *model, int stack, int64_t index, double value)
{
    const adm_sublayer *sub = &model->params.stacks[stack].sublayers[index];
    for (int64_t c = 0; c < omega_length(sub, model->config.d_model); c++)
        model->weights[sub->omega + c] = (adm_real)value;
    adm_workspace_fill_scales(model, stack, index);
}

/* The mean of what a sub-layer has, for those that profiling does not set. */
static double present_omega(const adm_model *model, const adm_sublayer *sub)
{
    if (sub->omega < 0)
        return 1.0;
    const int64_t n = omega_length(sub, model->config.d_model);
    double sum = 0;
    for (int64_t c = 0; c < n; c++)
        sum += model->weights[sub->omega + c];
    return sum / (double)n;
}

/* Var(omega (.) x) of sub-layer `index`, whose omega differs from feature to feature. */
static double scaled_variance(const adm_model *model, int stack, int64_t index)
{
    const adm_stack_buffers *buffers = &model->ws.stacks[stack];
    const adm_real *omega = model->weights + model->params.stacks[stack].sublayers[index].omega; /* [D] */
    const adm_real *x = adm_stack_x(buffers, index);                                             /* [M, D] */
    const int64_t d = model->config.d_model, count = buffers->rows * d;
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) {
        const double value = (double)omega[i % d] * (double)x[i];
        sum += value;
        squares += value * value;
    }
    return adm_variance(sum, squares, (double)count);
}

/* Var(omega_i (.) x_{i-1}) for what follows. */
static double skip_variance(const adm_model *model, const adm_sublayer *sub, double omega, double var_input)
{
    const bool uniform = sub->config->profiled || sub->config->omega.kind != ADM_SCALE_VECTOR;
    return uniform ? omega * omega * var_input : scaled_variance(model, sub->stack, sub->index);
}

static void profile_stack(adm_model *model, int number, adm_profile_method method, adm_profile *profile)
{
    const adm_stack *stack = &model->params.stacks[number];
    double accumulated = 1.0; /* clinic: acc; paper: 1 + sum of Var(a_j) */
    adm_pass_embed(model, number);
    for (int64_t i = 0; i < stack->num_sublayers; i++) {
        const adm_sublayer *sub = &stack->sublayers[i];
        const bool clinic = method == ADM_PROFILE_CLINIC;
        if (sub->config->profiled)
            set_omega(model, number, i, clinic ? accumulated : 1.0);
        const double omega = present_omega(model, sub);
        adm_pass_sublayer(model, number, i);
        if (adm_stopped(model->ws.run.stop))
            return;
        const adm_variances variances = adm_observe_variances(model, number, i);
        profile->var_input[i] = variances.input;
        profile->var_branch[i] = variances.branch;
        if (clinic) {
            profile->omega[i] = sub->config->profiled ? accumulated : omega;
            accumulated = sqrt(skip_variance(model, sub, profile->omega[i], profile->var_input[i]) +
                               profile->var_branch[i]);
        } else {
            profile->omega[i] = sub->config->profiled ? sqrt(accumulated) : omega;
            accumulated += profile->var_branch[i];
        }
    }
    adm_pass_finish(model, number);
}

/* All fixed and trained omegas, to be put back. NULL: no memory. */
static adm_real *save_omegas(const adm_model *model)
{
    const int64_t d = model->config.d_model;
    int64_t count = model->params.stacks[0].num_sublayers + model->params.stacks[1].num_sublayers, place = 0;
    adm_real *saved = malloc((size_t)(count * d) * sizeof *saved);
    for (int s = 0; s < 2 && saved != NULL; s++)
        for (int64_t i = 0; i < model->params.stacks[s].num_sublayers; i++, place += d) {
            const adm_sublayer *sub = &model->params.stacks[s].sublayers[i];
            if (sub->omega >= 0)
                memcpy(saved + place, model->weights + sub->omega,
                       (size_t)omega_length(sub, d) * sizeof *saved);
        }
    return saved;
}

static void restore_omegas(adm_model *model, const adm_real *saved)
{
    const int64_t d = model->config.d_model;
    int64_t place = 0;
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; i < model->params.stacks[s].num_sublayers; i++, place += d) {
            const adm_sublayer *sub = &model->params.stacks[s].sublayers[i];
            if (sub->omega >= 0)
                memcpy(model->weights + sub->omega, saved + place,
                       (size_t)omega_length(sub, d) * sizeof *saved);
        }
}

/* Whether every omega that was found is a number of the model's type: otherwise none is set. */
static bool all_finite(const adm_model *model, const adm_profile profiles[2])
{
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; i < model->params.stacks[s].num_sublayers; i++)
            if (!isfinite((adm_real)profiles[s].omega[i]))
                return false;
    return true;
}

/* The pass itself, on a workspace that is laid out. */
static adm_status run_profile(adm_model *model, adm_stop *stop, adm_profile_method method, bool apply,
                              adm_profile profiles[2], adm_error *error)
{
    if ((unsigned int)method > ADM_PROFILE_PAPER)
        return adm_fail(error, ADM_ERROR_VALUE, "method must be one of 2 choices, got number %u",
                        (unsigned int)method);
    for (int s = 0; s < 2; s++)
        if (model->params.stacks[s].num_sublayers > 0 &&
            (profiles[s].omega == NULL || profiles[s].var_input == NULL || profiles[s].var_branch == NULL))
            return adm_fail(error, ADM_ERROR_VALUE, "a profile must have its three arrays, got NULL");
    adm_real *saved = save_omegas(model);
    if (saved == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for the profile");
    adm_pass_begin(model, stop, ADM_PACK_FORWARD);
    for (int s = 0; s < 2; s++)
        if (adm_has_stack(&model->params, s))
            profile_stack(model, s, method, &profiles[s]);
    const bool keep = apply && !adm_stopped(model->ws.run.stop) && all_finite(model, profiles);
    if (!keep)
        restore_omegas(model, saved);
    for (int s = 0; s < 2 && keep; s++)
        for (int64_t i = 0; i < model->params.stacks[s].num_sublayers; i++)
            if (model->params.stacks[s].sublayers[i].config->profiled)
                set_omega(model, s, i, profiles[s].omega[i]);
    free(saved);
    return adm_pass_end(model, error);
}

adm_status adm_model_profile(adm_model *model, const adm_batch *batch, const adm_run *run,
                             adm_profile_method method, bool apply, adm_profile profiles[2], adm_error *error)
{
    adm_run observed = *run;
    observed.observe = true;
    adm_status status = adm_model_check_batch(model, batch, error);
    if (status == ADM_OK)
        status = adm_workspace_for_batch(model, batch, &observed, ADM_KEEP_NOTHING, false, error);
    if (status == ADM_OK)
        status = run_profile(model, run->stop, method, apply, profiles, error);
    return status;
}

adm_status adm_model_profile_hidden(adm_model *model, const adm_hidden *input, const adm_run *run,
                                    adm_profile_method method, bool apply, adm_profile *profile,
                                    adm_error *error)
{
    adm_profile profiles[2] = {*profile, *profile};
    adm_run observed = *run;
    observed.observe = true;
    adm_status status = adm_hidden_check(model, input, error);
    if (status == ADM_OK)
        status = adm_workspace_for_hidden(model, input, &observed, ADM_KEEP_NOTHING, false, error);
    if (status == ADM_OK)
        status = run_profile(model, run->stop, method, apply, profiles, error);
    return status;
}
