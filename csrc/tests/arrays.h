/* What tests give to kernels: arrays of random numbers, rows of up to MAX_N. */
#ifndef ADM_TESTS_ARRAYS_H
#define ADM_TESTS_ARRAYS_H

#include "base/base.h"

#include <stddef.h>
#include <string.h>

#define ROWS 7
#define MAX_N 300
#define COUNT (ROWS * MAX_N)

#ifdef ADM_DOUBLE
#define TOLERANCE 1e-12 /* sums of 300 terms in another order */
#else
#define TOLERANCE 2e-5
#endif

/* The inputs and outputs of one kernel call: equal at first for both tables. */
typedef struct arrays {
    adm_real a[COUNT], b[COUNT], c[COUNT], out[COUNT], vector[4][MAX_N], stats[4][ROWS];
    double sums[2 * ROWS];
} arrays;

static inline void fill(arrays *x, uint64_t seed)
{
    adm_real *values = (adm_real *)x;
    const size_t count = offsetof(arrays, sums) / sizeof(adm_real);
    const uint64_t key = adm_random_key(seed, 0, 0);
    for (size_t i = 0; i < count; i++)
        values[i] = (adm_real)adm_random_normal(key, i);
    memset(x->sums, 0, sizeof x->sums);
}

#endif
