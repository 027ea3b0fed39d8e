/* What the update rules share: one update of a flat range, done in blocks that any thread may take. */
#ifndef ADM_OPTIM_UPDATE_H
#define ADM_OPTIM_UPDATE_H

#include "admin/optim.h"

#include <math.h>

/* One update of a part. */
typedef struct adm_update {
    const adm_optim_config *config;
    adm_optim_input input;
    adm_optim_part part;
    adm_real *m, *v; /* as in adm_optim_state, of the part */
    int64_t step;    /* number of this update, from 1 */
    double *scratch; /* NovoGrad's */
} adm_update;

/* Each rule changes the weights and the moments, and returns the squared Euclidean norm of the change. */
double adm_sgd_update(const adm_update *update);
double adm_adam_update(const adm_update *update); /* Adam and AdamW */
double adm_radam_update(const adm_update *update);
bool adm_radam_begins(double beta2); /* whether the variance ever becomes tractable */
double adm_novograd_update(const adm_update *update);
int64_t adm_novograd_scratch(const adm_param_table *params); /* numbers that it needs a place for */

/* What differs in the family of Adam (kernels.h has the formula). */
typedef struct adm_adam_terms {
    double l2, decay, rate, v_scale;
} adm_adam_terms;
double adm_adam_apply(const adm_update *update, adm_adam_terms terms);

/* Does elements [begin, end) and returns a sum over them. */
typedef double (*adm_range_fn)(void *context, int64_t begin, int64_t end);

#define ADM_BLOCKS_MAX 1024 /* so that their sums fit on the stack */

/* A flat range [0, n) and the blocks it is cut into, at most ADM_BLOCKS_MAX. */
typedef struct adm_blocks {
    int64_t n, block; /* elements of all, of a block */
    double *sums;     /* [their number], over each; or NULL */
} adm_blocks;

/* Hands the blocks to the threads and adds their sums in their order: the same bits for any number of threads. */
double adm_sum_blocks(adm_blocks cut, adm_range_fn fn, void *context, int threads);

/* The elements and blocks of a part, from its first. */
static inline adm_blocks adm_blocks_of(const adm_update *update)
{
    const adm_optim_part *part = &update->part;
    return (adm_blocks){.n = part->end - part->begin,
                        .block = adm_block_length(update->input.params->trained_length),
                        .sums = part->changes};
}

#endif
