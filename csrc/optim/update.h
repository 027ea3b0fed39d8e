/* What the update rules share: one update of a flat range, done in blocks that any thread may take. */
#ifndef ADM_OPTIM_UPDATE_H
#define ADM_OPTIM_UPDATE_H

#include "admin/optim.h"

#include <math.h>

/* One update. */
typedef struct adm_update {
    const adm_optim_config *config;
    adm_optim_input input;
    adm_real *m, *v; /* as in adm_optim_state */
    int64_t step;    /* number of this update, from 1 */
} adm_update;

/* Each rule changes the weights and the moments, and returns the squared Euclidean norm of the change. */
double adm_sgd_update(const adm_update *update);
double adm_adam_update(const adm_update *update); /* Adam and AdamW */
double adm_radam_update(const adm_update *update);
bool adm_radam_begins(double beta2); /* whether the variance ever becomes tractable */
double adm_novograd_update(const adm_update *update);

/* What differs in the family of Adam (kernels.h has the formula), all on [0, trained_length). */
typedef struct adm_adam_terms {
    double l2, decay, rate, v_scale;
} adm_adam_terms;
double adm_adam_apply(const adm_update *update, adm_adam_terms terms);

/* Does elements [begin, end) and returns a sum over them. */
typedef double (*adm_range_fn)(void *context, int64_t begin, int64_t end);

#define ADM_BLOCKS_MAX 1024 /* so that their sums fit on the stack */

/* Elements of a block of [0, n), which has at most ADM_BLOCKS_MAX of them. */
int64_t adm_block_length(int64_t n);

/* Cuts [0, n) into blocks by n alone, hands them to the threads and adds the blocks' sums in their order: the
   same bits for any number of threads. */
double adm_sum_blocks(int64_t n, adm_range_fn fn, void *context, int threads);

#endif
