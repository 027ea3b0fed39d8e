/* SGD with momentum and Nesterov's variant as in Sutskever et al. (2013), in PyTorch's form: the momentum buffer
   sums gradients, the learning rate comes last. Weight decay is L2.
     g = g * grad_scale + weight_decay w
     m = momentum m + g
     w = w - lr d      d = g (no momentum), m, or g + momentum m (Nesterov) */
#include "base/sums.h"
#include "optim/update.h"

typedef struct sgd {
    adm_real *w, *m;
    const adm_real *g;
    adm_real grad_scale, decay, momentum, lr;
    adm_real g_share, m_share; /* d = g_share g + m_share m */
} sgd;

static inline double squared(double x)
{
    return x * x;
}

static inline double plain_element(const void *context, int64_t i)
{
    const sgd *s = context;
    const adm_real w = s->w[i];
    const adm_real next = w - s->lr * (s->g[i] * s->grad_scale + s->decay * w);
    s->w[i] = next;
    return squared((double)next - (double)w);
}

static inline double momentum_element(const void *context, int64_t i)
{
    const sgd *s = context;
    const adm_real w = s->w[i];
    const adm_real g = s->g[i] * s->grad_scale + s->decay * w;
    const adm_real m = s->momentum * s->m[i] + g;
    const adm_real next = w - s->lr * (s->g_share * g + s->m_share * m);
    s->m[i] = m;
    s->w[i] = next;
    return squared((double)next - (double)w);
}

static double sgd_plain(void *context, int64_t begin, int64_t end)
{
    const sgd s = *(const sgd *)context;
    return adm_sum_elements(plain_element, &s, begin, end);
}

static double sgd_momentum(void *context, int64_t begin, int64_t end)
{
    const sgd s = *(const sgd *)context;
    return adm_sum_elements(momentum_element, &s, begin, end);
}

double adm_sgd_update(const adm_update *update)
{
    const adm_optim_config *config = update->config;
    sgd s = {.w = update->input.weights + update->part.begin,
             .m = update->m,
             .g = update->input.gradients + update->part.begin,
             .grad_scale = (adm_real)update->input.grad_scale,
             .decay = (adm_real)config->weight_decay,
             .momentum = (adm_real)config->beta1,
             .lr = (adm_real)update->input.lr,
             .g_share = config->nesterov ? 1 : 0,
             .m_share = config->nesterov ? (adm_real)config->beta1 : 1};
    return adm_sum_blocks(adm_blocks_of(update), s.m == NULL ? sgd_plain : sgd_momentum, &s,
                          update->input.threads);
}
