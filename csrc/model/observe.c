/* Statistics of sub-layers from the sums that the chunks left, added in the chunks' order. */
#include "model/model_internal.h"

#include <math.h>

void adm_observe_forward(adm_model *model)
{
    const adm_workspace *ws = &model->ws;
    for (int s = 0; s < 2; s++) {
        const int64_t r = model->stacks[s].num_sublayers;
        const double count = (double)(ws->stacks[s].rows * model->config.d_model);
        for (int64_t i = 0; i < r; i++) {
            double sums[4] = {0};
            for (int64_t chunk = 0; chunk < ws->num_chunks; chunk++)
                for (int k = 0; k < 4; k++)
                    sums[k] += ws->stacks[s].moments[(chunk * r + i) * 4 + k];
            const double mean_x = sums[0] / count, mean_a = sums[2] / count;
            model->observed[s].var_input[i] = sums[1] / count - mean_x * mean_x;
            model->observed[s].var_branch[i] = sums[3] / count - mean_a * mean_a;
        }
        for (int64_t i = 0; i <= r && r > 0; i++)
            model->observed[s].grad_norm[i] = 0;
    }
    model->activations_kept = ws->keep == ADM_KEEP_BRANCHES;
}

void adm_observe_backward(adm_model *model)
{
    const adm_workspace *ws = &model->ws;
    model->gradients_kept = ws->run.keep_gradients && !ws->hidden;
    for (int s = 0; s < 2; s++) {
        const int64_t r = model->stacks[s].num_sublayers;
        for (int64_t i = 0; i <= r && r > 0; i++) {
            double sum = 0;
            for (int64_t chunk = 0; chunk < ws->num_chunks; chunk++)
                sum += ws->stacks[s].grad_sums[chunk * (r + 1) + i];
            model->observed[s].grad_norm[i] = sqrt(sum);
        }
    }
}
