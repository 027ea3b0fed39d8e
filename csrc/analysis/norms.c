/* Frobenius norms of parameters: blocks of every parameter are summed apart and added in their order, so that the
   threads change no bit and large and small parameters share one region. */
#include "admin/norms.h"
#include "base/base.h"
#include "base/sums.h"

#include <math.h>

#define BLOCK 16384 /* elements: two buffers of doubles stay in the second cache */

static int64_t num_blocks(const adm_param *param)
{
    return adm_pieces(param->size, BLOCK);
}

typedef struct norm_blocks {
    const adm_param_table *params;
    const adm_real *values, *before;
    int64_t *starts; /* [count + 1] number of each parameter's first block */
    double *sums;    /* [blocks] */
} norm_blocks;

/* The parameter that block `task` belongs to: the last one that starts at or before it. */
static int64_t owner_of(const norm_blocks *blocks, int64_t task)
{
    int64_t low = 0, high = blocks->params->count;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (blocks->starts[middle] <= task)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* What is normed: x, or x - before. */
typedef struct difference {
    const adm_real *x, *before;
} difference;

static inline double square_at(const void *context, int64_t i)
{
    const difference *d = context;
    return (double)d->x[i] * (double)d->x[i];
}

static inline double squared_change_at(const void *context, int64_t i)
{
    const difference *d = context;
    const double change = (double)d->x[i] - (double)d->before[i];
    return change * change;
}

static void sum_block(void *context, int64_t task, int thread)
{
    (void)thread;
    const norm_blocks *blocks = context;
    const int64_t owner = owner_of(blocks, task);
    const adm_param *param = &blocks->params->items[owner];
    const int64_t first = (task - blocks->starts[owner]) * BLOCK, at = param->offset + first;
    const int64_t n = adm_min(BLOCK, param->size - first);
    const difference of = {blocks->values, blocks->before};
    blocks->sums[task] = of.before == NULL ? adm_sum_elements(square_at, &of, at, at + n)
                                           : adm_sum_elements(squared_change_at, &of, at, at + n);
}

adm_status adm_model_norms(const adm_param_table *params, const adm_real *values, const adm_real *before,
                           double *norms, int threads, adm_error *error)
{
    int64_t total = 0;
    if (threads < 1)
        return adm_fail(error, ADM_ERROR_VALUE, "threads must be at least 1, got %d", threads);
    for (int64_t p = 0; p < params->count; p++)
        total += num_blocks(&params->items[p]);
    const size_t starts_bytes = (size_t)(params->count + 1) * sizeof(int64_t);
    const size_t bytes = starts_bytes + (size_t)total * sizeof(double);
    char *memory = adm_alloc(bytes);
    if (memory == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for the norms of %lld parameters",
                        (long long)params->count);
    norm_blocks blocks = {params, values, before, (int64_t *)memory, (double *)(memory + starts_bytes)};
    for (int64_t p = 0; p < params->count; p++)
        blocks.starts[p + 1] = blocks.starts[p] + num_blocks(&params->items[p]);
    adm_parallel_for(threads, total, sum_block, &blocks);
    for (int64_t p = 0; p < params->count; p++) {
        double sum = 0.0;
        for (int64_t b = blocks.starts[p]; b < blocks.starts[p + 1]; b++)
            sum += blocks.sums[b];
        const int64_t at = params->items[p].offset;
        norms[p] = isinf(sum) ? adm_large_norm(values + at, before == NULL ? NULL : before + at,
                                               params->items[p].size)
                              : sqrt(sum);
    }
    adm_release(memory, bytes);
    return ADM_OK;
}
