/* Adam (Kingma and Ba 2015) with eps outside the root of the corrected second moment, and AdamW (Loshchilov and
   Hutter 2019), which takes the weight decay out of the gradient. */
#include "base/base.h"
#include "kernels/kernels.h"
#include "optim/update.h"

typedef struct adam_call {
    adm_adam adam;
    const adm_kernels *kernels;
} adam_call;

static double adam_range(void *context, int64_t begin, int64_t end)
{
    const adam_call *call = context;
    return call->kernels->adam(&call->adam, begin, end);
}

double adm_adam_apply(const adm_update *update, adm_adam_terms terms)
{
    const adm_optim_config *config = update->config;
    adam_call call = {
        .adam =
            {
                .w = update->input.weights + update->part.begin,
                .m = update->m,
                .v = update->v,
                .g = update->input.gradients + update->part.begin,
                .grad_scale = (adm_real)update->input.grad_scale,
                .l2 = (adm_real)terms.l2,
                .decay = (adm_real)terms.decay,
                .rate = (adm_real)terms.rate,
                .v_scale = (adm_real)terms.v_scale,
                .eps = (adm_real)config->eps,
                .beta1 = (adm_real)config->beta1,
                .beta2 = (adm_real)config->beta2,
                .one_minus_beta1 = (adm_real)(1.0 - config->beta1),
                .one_minus_beta2 = (adm_real)(1.0 - config->beta2),
            },
        .kernels = update->input.kernels,
    };
    return adm_sum_blocks(adm_blocks_of(update), adam_range, &call, update->input.threads);
}

/* m_hat = m / (1 - beta1^t), v_hat = v / (1 - beta2^t)
     Adam:  w = w - lr m_hat / (sqrt(v_hat) + eps), with weight_decay w added to the gradient before
     AdamW: w = w - lr m_hat / (sqrt(v_hat) + eps) - lr weight_decay w */
double adm_adam_update(const adm_update *update)
{
    const adm_optim_config *config = update->config;
    const bool decoupled = config->kind == ADM_OPTIM_ADAMW;
    const double t = (double)update->step;
    const adm_adam_terms terms = {
        .l2 = decoupled ? 0.0 : config->weight_decay,
        .decay = decoupled ? update->input.lr * config->weight_decay : 0.0,
        .rate = update->input.lr / (1.0 - adm_power(config->beta1, t)),
        .v_scale = 1.0 / sqrt(1.0 - adm_power(config->beta2, t)),
    };
    return adm_adam_apply(update, terms);
}
