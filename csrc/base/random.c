/* Counter-based random numbers: element i of a stream is a hash of (key, i), so that any element can be had in
   any order by any thread. The hash is base.h's, since kernels inline it. */
#include "base/base.h"

#include <math.h>

#define GOLDEN_GAMMA 0x9E3779B97F4A7C15u /* 2^64 / golden ratio, odd */

uint64_t adm_random_key(uint64_t seed, uint64_t step, uint64_t site)
{
    uint64_t key = adm_random_mix(seed + GOLDEN_GAMMA);
    key = adm_random_mix(key ^ (step * GOLDEN_GAMMA + 1));
    return adm_random_mix(key ^ (site * GOLDEN_GAMMA + 2));
}

static uint64_t random_bits(uint64_t key, uint64_t index)
{
    return adm_random_mix(key + (index + 1) * GOLDEN_GAMMA);
}

double adm_random_uniform(uint64_t key, uint64_t index)
{
    return (double)(random_bits(key, index) >> 11) * 0x1p-53;
}

/* Box and Muller (1958): both uniforms come from the counter, the first in (0, 1] for the logarithm's sake. */
double adm_random_normal(uint64_t key, uint64_t index)
{
    const double u = (double)((random_bits(key, 2 * index) >> 11) + 1) * 0x1p-53;
    const double v = adm_random_uniform(key, 2 * index + 1);
    return sqrt(-2.0 * adm_log(u)) * adm_cos_turns(v);
}
