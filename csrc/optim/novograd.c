/* NovoGrad (Ginsburg et al. 2019): one second moment a tensor, which normalises the gradient before the momentum.
     v = |g|^2 at the first update, then beta2 v + (1 - beta2) |g|^2
     m = beta1 m + g / (sqrt(v) + eps) + weight_decay w
     w = w - lr m */
#include "optim/update.h"

typedef struct novograd {
    adm_real *w, *m;
    const adm_real *g;
    adm_real factor, decay, beta1, lr;
} novograd;

static double novograd_range(void *context, int64_t begin, int64_t end)
{
    const novograd s = *(const novograd *)context;
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = begin; i < end; i++) {
        const adm_real w = s.w[i];
        const adm_real m = s.beta1 * s.m[i] + (s.g[i] * s.factor + s.decay * w);
        const adm_real next = w - s.lr * m;
        const double change = (double)next - (double)w;
        s.m[i] = m;
        s.w[i] = next;
        sum += change * change;
    }
    return sum;
}

static double second_moment(const adm_update *update, const adm_param *param, double previous)
{
    const double norm =
        update->input.grad_scale * adm_norm2(update->input.kernels, update->input.gradients + param->offset,
                                             param->size, update->input.threads);
    const double beta2 = update->step == 1 ? 0.0 : update->config->beta2;
    return beta2 * previous + (1.0 - beta2) * (norm * norm);
}

double adm_novograd_update(const adm_update *update)
{
    const adm_optim_config *config = update->config;
    double sum = 0.0;
    for (int64_t p = 0; p < update->input.params->count; p++) {
        const adm_param *param = &update->input.params->items[p];
        if (!param->trained)
            continue;
        const double v = second_moment(update, param, (double)update->v[p]);
        novograd s = {.w = update->input.weights + param->offset,
                      .m = update->m + param->offset,
                      .g = update->input.gradients + param->offset,
                      /* a v that its type cannot hold would make every later step 0 */
                      .factor = isfinite((adm_real)v)
                                    ? (adm_real)(update->input.grad_scale / (sqrt(v) + config->eps))
                                    : (adm_real)NAN,
                      .decay = (adm_real)config->weight_decay,
                      .beta1 = (adm_real)config->beta1,
                      .lr = (adm_real)update->input.lr};
        update->v[p] = (adm_real)v;
        sum += adm_sum_blocks(param->size, novograd_range, &s, update->input.threads);
    }
    return sum;
}
