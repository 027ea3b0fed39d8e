/* RAdam (Liu et al. 2020) as its authors released it: while the variance of the adaptive rate is intractable
   (rho < 5) the moments move and the weights do not, weight decay included; eps is added to the uncorrected root;
   weight decay is decoupled.
     rho_inf = 2 / (1 - beta2) - 1
     rho     = rho_inf - 2 t beta2^t / (1 - beta2^t)
     rate    = lr r sqrt(1 - beta2^t) / (1 - beta1^t)
     r^2     = (rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho) */
#include "optim/update.h"

#define RHO_TRACTABLE 5.0 /* the release's threshold, where the paper has 4 */

double adm_radam_update(const adm_update *update)
{
    const adm_optim_config *config = update->config;
    const double t = (double)update->step;
    const double beta2_t = pow(config->beta2, t);
    const double rho_inf = 2.0 / (1.0 - config->beta2) - 1.0;
    const double rho = rho_inf - 2.0 * t * beta2_t / (1.0 - beta2_t);
    adm_adam_terms terms = {.l2 = 0.0, .keep = 1.0, .rate = 0.0, .v_scale = 1.0};
    if (rho >= RHO_TRACTABLE) {
        const double r2 = (rho - 4.0) * (rho - 2.0) * rho_inf / ((rho_inf - 4.0) * (rho_inf - 2.0) * rho);
        terms.keep = 1.0 - update->lr * config->weight_decay;
        terms.rate = update->lr * sqrt(r2 * (1.0 - beta2_t)) / (1.0 - pow(config->beta1, t));
    }
    return adm_adam_apply(update, terms);
}
