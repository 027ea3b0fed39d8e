/* The moments of an optimiser, for programs that keep them in no arrays of their own. */
#include "admin/optim.h"
#include "base/base.h"

static size_t bytes_of(int64_t count)
{
    return (size_t)count * sizeof(adm_real);
}

adm_status adm_optim_state_create(const adm_optim_config *config, const adm_param_table *params,
                                  adm_optim_state *state, adm_error *error)
{
    *state = (adm_optim_state){0};
    const adm_status status = adm_optim_check(config, error);
    if (status != ADM_OK)
        return status;
    const int64_t m = adm_optim_size_m(config, params), v = adm_optim_size_v(config, params);
    state->m = m > 0 ? adm_alloc(bytes_of(m)) : NULL;
    state->v = v > 0 ? adm_alloc(bytes_of(v)) : NULL;
    if ((m == 0 || state->m != NULL) && (v == 0 || state->v != NULL))
        return ADM_OK;
    adm_optim_state_free(config, params, state);
    return adm_fail(error, ADM_ERROR_MEMORY, "no memory for %zu bytes of moments", bytes_of(m + v));
}

void adm_optim_state_free(const adm_optim_config *config, const adm_param_table *params,
                          adm_optim_state *state)
{
    adm_release(state->m, bytes_of(adm_optim_size_m(config, params)));
    adm_release(state->v, bytes_of(adm_optim_size_v(config, params)));
    *state = (adm_optim_state){0};
}
