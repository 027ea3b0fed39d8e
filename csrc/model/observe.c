#include "model/observe.h"

#include "model/resolve.h"

#include <math.h>
#include <string.h>

/* ---- statistics ---- */

adm_variances adm_observe_variances(const adm_model *model, int stack, int64_t index)
{
    const adm_workspace *ws = &model->ws;
    const int64_t r = model->params.stacks[stack].num_sublayers;
    const double count = (double)(ws->stacks[stack].rows * model->config.d_model);
    double sums[4] = {0};
    for (int64_t chunk = 0; chunk < ws->shape.chunks; chunk++)
        for (int k = 0; k < 4; k++)
            sums[k] += ws->stacks[stack].moments[(chunk * r + index) * 4 + k];
    return (adm_variances){adm_variance(sums[0], sums[1], count), adm_variance(sums[2], sums[3], count)};
}

void adm_observe_forward(adm_model *model)
{
    for (int s = 0; s < 2; s++) {
        const int64_t r = model->params.stacks[s].num_sublayers;
        for (int64_t i = 0; i < r; i++) {
            const adm_variances variances = adm_observe_variances(model, s, i);
            model->observed[s].var_input[i] = variances.input;
            model->observed[s].var_branch[i] = variances.branch;
        }
        for (int64_t i = 0; i <= r && r > 0; i++)
            model->observed[s].grad_norm[i] = 0;
    }
    model->activations_kept = model->ws.shape.keep == ADM_KEEP_BRANCHES;
}

void adm_observe_backward(adm_model *model)
{
    const adm_workspace *ws = &model->ws;
    model->gradients_kept = ws->run.keep_gradients && !ws->hidden;
    for (int s = 0; s < 2; s++) {
        const int64_t r = model->params.stacks[s].num_sublayers;
        for (int64_t i = 0; i <= r && r > 0; i++) {
            double sum = 0;
            for (int64_t chunk = 0; chunk < ws->shape.chunks; chunk++)
                sum += ws->stacks[s].grad_sums[chunk * (r + 1) + i];
            model->observed[s].grad_norm[i] = sqrt(sum);
        }
    }
}

adm_observation adm_model_observation(const adm_model *model, int stack)
{
    if (!adm_is_stack(stack))
        return (adm_observation){0};
    const adm_observed *observed = &model->observed[stack];
    return (adm_observation){model->params.stacks[stack].num_sublayers, observed->var_input,
                             observed->var_branch, observed->grad_norm};
}

/* ---- activations ---- */

int64_t adm_model_activation_rows(const adm_model *model, int stack)
{
    return adm_is_stack(stack) && model->activations_kept ? model->ws.stacks[stack].rows : 0;
}

/* Where a site of the last pass lies, [M, D]. */
static const adm_real *site_values(const adm_model *model, int stack, int64_t index, adm_activation_site site)
{
    const adm_stack_buffers *buffers = &model->ws.stacks[stack];
    const adm_stack *params = &model->params.stacks[stack];
    if (site == ADM_SITE_OUTPUT)
        return adm_stack_x(buffers, index);
    if (site == ADM_SITE_OUTPUT_GRADIENT)
        return index == params->num_sublayers ? buffers->kept_dx : buffers->sublayers[index].kept_dx;
    if (site == ADM_SITE_END)
        return buffers->end;
    const adm_sublayer_view view = adm_resolve(model, &params->sublayers[index - 1], ADM_ALL_CHUNKS);
    switch (site) {
    case ADM_SITE_BRANCH:
        return view.a;
    case ADM_SITE_NORMED:
        return view.maps[ADM_MAP_IN].x;
    case ADM_SITE_SUM:
        return view.y;
    default:
        return view.kept_da;
    }
}

adm_status adm_model_activation(const adm_model *model, int stack, int64_t index, adm_activation_site site,
                                adm_real *values, adm_error *error)
{
    const int64_t r = adm_model_num_sublayers(model, stack);
    const bool gradient = site == ADM_SITE_OUTPUT_GRADIENT || site == ADM_SITE_BRANCH_GRADIENT;
    const int64_t first = site == ADM_SITE_OUTPUT || site == ADM_SITE_OUTPUT_GRADIENT ? 0 : 1;
    if (!model->activations_kept)
        return adm_fail(error, ADM_ERROR_STATE,
                        "activations are kept by an observed pass only, and until the next pass");
    if (gradient && !model->gradients_kept)
        return adm_fail(error, ADM_ERROR_STATE,
                        "gradients of activations are kept by an observed backward pass that is asked to");
    if ((unsigned int)site > ADM_SITE_BRANCH_GRADIENT)
        return adm_fail(error, ADM_ERROR_VALUE, "site must be one of 7 choices, got number %u",
                        (unsigned int)site);
    if (r == 0)
        return adm_fail(error, ADM_ERROR_VALUE, "the model has no such stack");
    if (index < first || index > r)
        return adm_fail(error, ADM_ERROR_INDEX, "index must be from %lld to %lld, got %lld", (long long)first,
                        (long long)r, (long long)index);
    memcpy(values, site_values(model, stack, index, site),
           (size_t)(model->ws.stacks[stack].rows * model->config.d_model) * sizeof *values);
    return ADM_OK;
}
