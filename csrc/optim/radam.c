/* RAdam (Liu et al. 2020) as its authors released it: while the variance of the adaptive rate is intractable
   (rho < 5) the moments move and the weights do not, weight decay included; eps is added to the uncorrected root;
   weight decay is decoupled.
     rho_inf = 2 / (1 - beta2) - 1
     rho     = rho_inf - 2 t beta2^t / (1 - beta2^t)
     rate    = lr r sqrt(1 - beta2^t) / (1 - beta1^t)
     r^2     = (rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho) */
#include "optim/update.h"

#define RHO_TRACTABLE 5.0 /* the release's threshold, where the paper has 4 */

/* For a beta2 close to 1, rho is the difference of numbers that agree in their first digits, and would be wrong by
   rounding / (1 - beta2)^2. While t (1 - beta2) is small, too, the series below is exact to the last digits. */
#define SERIES_BELOW 1e-4 /* of 1 - beta2 */
#define SERIES_UNTIL 0.1  /* of t (1 - beta2) */

/* rho at step t. With x = 1 - beta2, L = -ln beta2 and u = t L, 2 t beta2^t / (1 - beta2^t) = 2 / L u / (e^u - 1):
     rho = 2 / x - 2 / L - 1 + t - t u / 6 + t u^3 / 360 - t u^5 / 15120 + ...
     2 / x - 2 / L = 1 + x / 6 + x^2 / 12 + ... */
static double length_of_average(double beta2, double t)
{
    const double x = 1.0 - beta2, u = -t * log1p(-x);
    if (x < SERIES_BELOW && u < SERIES_UNTIL)
        return t + x / 6.0 + x * x / 12.0 - t * u * (1.0 / 6.0 - u * u * (1.0 / 360.0 - u * u / 15120.0));
    const double beta2_t = pow(beta2, t);
    return 2.0 / x - 1.0 - 2.0 * t * beta2_t / (1.0 - beta2_t);
}

static double longest_average(double beta2)
{
    return 2.0 / (1.0 - beta2) - 1.0;
}

bool adm_radam_begins(double beta2)
{
    return longest_average(beta2) > RHO_TRACTABLE;
}

double adm_radam_update(const adm_update *update)
{
    const adm_optim_config *config = update->config;
    const double t = (double)update->step;
    const double beta2_t = pow(config->beta2, t);
    const double rho_inf = longest_average(config->beta2);
    const double rho = length_of_average(config->beta2, t);
    adm_adam_terms terms = {.l2 = 0.0, .decay = 0.0, .rate = 0.0, .v_scale = 1.0};
    if (rho >= RHO_TRACTABLE) {
        const double r2 = (rho - 4.0) * (rho - 2.0) * rho_inf / ((rho_inf - 4.0) * (rho_inf - 2.0) * rho);
        terms.decay = update->input.lr * config->weight_decay;
        terms.rate = update->input.lr * sqrt(r2 * (1.0 - beta2_t)) / (1.0 - pow(config->beta1, t));
    }
    return adm_adam_apply(update, terms);
}
