#include "admin/optim.h"

/* x * 0 is 0 for finite x, and NaN for infinities and NaN: one sum tells. */
static bool all_finite(const adm_real *x, int64_t n)
{
    adm_real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * (adm_real)0;
    return sum == (adm_real)0;
}

int64_t adm_find_nonfinite(const adm_param_table *params, const adm_real *values)
{
    for (int64_t p = 0; p < params->count; p++)
        if (!all_finite(values + params->items[p].offset, params->items[p].size))
            return p;
    return -1;
}
