/* SGD with momentum and Nesterov's variant as in Sutskever et al. (2013), in PyTorch's form: the momentum buffer
   sums gradients, the learning rate comes last. Weight decay is L2.
     g = g * grad_scale + weight_decay w
     m = momentum m + g
     w = w - lr d      d = g (no momentum), m, or g + momentum m (Nesterov) */
#include "optim/update.h"

typedef struct sgd {
    adm_real *w, *m;
    const adm_real *g;
    adm_real grad_scale, decay, momentum, lr;
    adm_real g_share, m_share; /* d = g_share g + m_share m */
} sgd;

static double sgd_plain(void *context, int64_t begin, int64_t end)
{
    const sgd s = *(const sgd *)context;
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = begin; i < end; i++) {
        const adm_real w = s.w[i];
        const adm_real next = w - s.lr * (s.g[i] * s.grad_scale + s.decay * w);
        const double change = (double)next - (double)w;
        s.w[i] = next;
        sum += change * change;
    }
    return sum;
}

static double sgd_momentum(void *context, int64_t begin, int64_t end)
{
    const sgd s = *(const sgd *)context;
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = begin; i < end; i++) {
        const adm_real w = s.w[i];
        const adm_real g = s.g[i] * s.grad_scale + s.decay * w;
        const adm_real m = s.momentum * s.m[i] + g;
        const adm_real next = w - s.lr * (s.g_share * g + s.m_share * m);
        const double change = (double)next - (double)w;
        s.m[i] = m;
        s.w[i] = next;
        sum += change * change;
    }
    return sum;
}

double adm_sgd_update(const adm_update *update)
{
    const adm_optim_config *config = update->config;
    sgd s = {.w = update->input.weights,
             .m = update->m,
             .g = update->input.gradients,
             .grad_scale = (adm_real)update->input.grad_scale,
             .decay = (adm_real)config->weight_decay,
             .momentum = (adm_real)config->beta1,
             .lr = (adm_real)update->input.lr,
             .g_share = config->nesterov ? 1 : 0,
             .m_share = config->nesterov ? (adm_real)config->beta1 : 1};
    return adm_sum_blocks(update->input.params->trained_length, s.m == NULL ? sgd_plain : sgd_momentum, &s,
                          update->input.threads);
}
