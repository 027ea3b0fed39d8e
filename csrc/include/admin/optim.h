/* Optimisers over the flat buffers of a model, and the norms that training watches. */
#ifndef ADMIN_OPTIM_H
#define ADMIN_OPTIM_H

#include "admin/model.h"

ADM_BEGIN

typedef enum adm_optim_kind {
    ADM_OPTIM_SGD = 0, /* momentum, Nesterov; weight decay as L2 */
    ADM_OPTIM_ADAM,    /* weight decay as L2 */
    ADM_OPTIM_ADAMW,   /* decoupled weight decay */
    ADM_OPTIM_RADAM,   /* no update while the variance is intractable; decoupled weight decay */
    ADM_OPTIM_NOVOGRAD /* second moment per tensor; weight decay on the normalised gradient */
} adm_optim_kind;

typedef struct adm_optim_config {
    adm_optim_kind kind;
    double beta1, beta2; /* SGD: beta1 is the momentum */
    double eps;
    double weight_decay;
    bool nesterov;
} adm_optim_config;

typedef struct adm_optim_state {
    int64_t step; /* updates made */
    adm_real *m;  /* [trained_length], or those of a part; SGD without momentum: NULL */
    adm_real *v;  /* likewise; SGD: NULL; NovoGrad: [count of parameters] */
} adm_optim_state;

/* ADM_OK, or which field is out of range, or is where it is rounded to adm_real. */
ADM_API adm_status adm_optim_check(const adm_optim_config *config, adm_error *error);

/* How many elements m and v need for a model (0: none). */
ADM_API int64_t adm_optim_size_m(const adm_optim_config *config, const adm_param_table *params);
ADM_API int64_t adm_optim_size_v(const adm_optim_config *config, const adm_param_table *params);

/* What an update is made of. */
typedef struct adm_optim_input {
    const adm_kernels *kernels; /* the model's */
    const adm_param_table *params;
    adm_real *weights;         /* [trained_length], updated */
    const adm_real *gradients; /* [trained_length], multiplied by grad_scale as they are read */
    double grad_scale, lr;
    int threads;
} adm_optim_input;

/* Allocates m and v, zeros. */
ADM_API adm_status adm_optim_state_create(const adm_optim_config *config, const adm_param_table *params,
                                          adm_optim_state *state, adm_error *error);
/* With the configuration and table that it was created with. */
ADM_API void adm_optim_state_free(const adm_optim_config *config, const adm_param_table *params,
                                  adm_optim_state *state);

/* Multiplies grad_scale so that the gradients' Euclidean norm is at most max_norm. *norm (may be NULL): what it was, with
   grad_scale. Fails, grad_scale as it was, where that is not finite. */
ADM_API adm_status adm_clip_gradients(adm_optim_input *input, double max_norm, double *norm,
                                      adm_error *error);

/* One update, step number state->step + 1. *update_norm (may be NULL): the Euclidean norm of the change of the weights. */
ADM_API adm_status adm_optim_step(const adm_optim_config *config, const adm_optim_input *input,
                                  adm_optim_state *state, double *update_norm, adm_error *error);

/* Several processes can share one update out: each makes that of a part of the flat buffers, with moments of the part
   alone. The parts are cut where blocks end, and what is summed over a block is a number of its own, so that one who
   adds those of all parts in their order finds the same bits as one process. */
typedef struct adm_optim_part {
    int64_t begin,
        end; /* elements: multiples of adm_block_length(trained_length), or the end of what is trained */
    const double *squares; /* NovoGrad: those of all parts, by adm_part_squares; else unused */
    double *changes;       /* [blocks of the part]: squared norms of the change; or NULL */
} adm_optim_part;

/* ADM_OK, or what is wrong with the bounds. */
ADM_API adm_status adm_part_check(const adm_param_table *params, const adm_optim_part *part,
                                  adm_error *error);

/* As adm_optim_step, of a part. Gradients outside of it are not read, unless a square is infinite. */
ADM_API adm_status adm_optim_step_part(const adm_optim_config *config, const adm_optim_input *input,
                                       const adm_optim_part *part, adm_optim_state *state, adm_error *error);

/* Squared norms of what tensors have in the blocks of a part, for NovoGrad: block b and tensor p meet in number b + p of
   adm_num_squares(params), and the parts' arrays, which are 0 elsewhere, add up to squares. */
ADM_API int64_t adm_num_squares(const adm_param_table *params);
ADM_API adm_status adm_part_squares(const adm_optim_input *input, const adm_optim_part *part, double *squares,
                                    adm_error *error);

/* Elements of a block of n: at least 16384, and at most 1024 blocks. */
ADM_API int64_t adm_block_length(int64_t n);

/* Squared norms of the blocks of x [n], whose roots of a sum are what adm_norm2 finds. */
ADM_API void adm_block_squares(const adm_kernels *kernels, const adm_real *x, int64_t n, int64_t block,
                               double *squares, int threads);

/* sum += x, both [n]: gradients of several batches or processes. */
ADM_API void adm_add(adm_real *sum, const adm_real *x, int64_t n, int threads);

/* Euclidean norm of x [n], summed in double in an order that does not depend on threads. */
ADM_API double adm_norm2(const adm_kernels *kernels, const adm_real *x, int64_t n, int threads);

/* Index of the first parameter (in the table's order) with an element that is not finite, -1 if there is none. */
ADM_API int64_t adm_find_nonfinite(const adm_param_table *params, const adm_real *values);

ADM_END

#endif
