/* One sub-layer's pointers: where its parameters, activations and gradients lie, for the rows of chunks or of all. */
#ifndef ADM_MODEL_RESOLVE_H
#define ADM_MODEL_RESOLVE_H

#include "layers/linear.h"
#include "layers/norm.h"
#include "layers/part_norm.h"
#include "model/model.h"

#define ADM_ALL_CHUNKS (-1)

/* Arrays begin with the first of its M rows; gradients are NULL where no backward pass is laid out. */
typedef struct adm_sublayer_view {
    const adm_kernels *kernels;
    const adm_config *model;
    const adm_stack_config *stack;
    const adm_sublayer_config *config;
    const adm_sublayer *params;
    int64_t first; /* number of the first row in the stack */
    int64_t rows;  /* M */
    int64_t d;     /* D */

    adm_norm pre, branch, post, inner;
    adm_part_norm q_norm, k_norm; /* in what the maps write */
    adm_linear
        maps[ADM_NUM_MAPS]; /* what they read and write is h, q k v, memory, inner, a and their gradients */
    const adm_real *bias;   /* [D] of a or NULL; its own map has none, since it is added with the dropout */
    const adm_real *omega, *alpha; /* [D] or NULL for 1 */
    adm_real *domega, *dalpha;     /* [D] sums over these rows, or NULL: not trained */
    adm_dropout dropout;           /* of a */
    adm_dropout inner_dropout;     /* of attention's probabilities, of hidden units */

    const adm_real *x;           /* [M, D] x_{i-1} */
    const adm_real *input;       /* [M, D] what Npre reads: x, or x_layer where the branch is parallel */
    const adm_real *r;           /* [M, D] x, or Npre(x) where the residual is normed */
    const adm_real *layer_input; /* [M, D] x_layer, or NULL: kappa is 0 */
    adm_real *normed;            /* [M, D] Npre(input), or NULL where it is input */
    adm_real *scaled;            /* [M, D] s normed, or NULL where it is normed */
    adm_real *inner_values;      /* [M, H K] context; [M, F] hidden units */
    adm_real *inner_normed;      /* same, or NULL */
    adm_real *lse;               /* [M, H] */
    adm_real *a;                 /* [M, D] */
    adm_real *b;                 /* [M, D] Nbranch(a); a where there is no norm */
    adm_real *y;                 /* [M, D] before Npost; x_next where there is none */
    adm_real *x_next;            /* [M, D] x_i */
    bool shared;                 /* norms' outputs were overwritten since the forward pass */
    bool x_next_shared;          /* and so was x_i */

    adm_real *dx;      /* [M, D] dL/dx_i, becomes dL/dx_{i-1} */
    adm_real *dy;      /* [M, D]; dx where there is no Npost */
    adm_real *dlayer;  /* [M, D] dL/dx_layer of a layer whose input is kept */
    adm_real *kept_da; /* [M, D] where to keep dL/da_i, or NULL */

    const int64_t *offsets, *memory_offsets; /* [B + 1] */
    const int64_t *starts;                   /* [B] positions of the first tokens, or NULL: 0 */
    const adm_real *angles;                  /* [positions, rotary width], or NULL */
    int64_t first_sequence, last_sequence;   /* whole, or a part of the first alone */
    int64_t part, parts, memory_first;       /* of them; number of the first row of their memory */
    int64_t *attended;                       /* [parts, H] of the sequence, or NULL */
} adm_sublayer_view;

/* Of the rows of a chunk, of several, or of all with ADM_ALL_CHUNKS; but for a chunk's the sums over rows have no place,
   since each chunk has its own. */
adm_sublayer_view adm_resolve(const adm_model *model, const adm_sublayer *sub, int64_t chunk);
adm_sublayer_view adm_resolve_chunks(const adm_model *model, const adm_sublayer *sub, adm_chunks chunks);
/* A norm of parameters alone, and with its rows: stats [2, rows] from row `first` on; partials of a chunk, or NULL. */
adm_norm_args adm_resolve_norm_args(const adm_model *model, const adm_norm_params *params);
adm_norm adm_resolve_norm(const adm_model *model, const adm_norm_params *params, adm_real *stats,
                          int64_t rows, int64_t first, adm_real *partials);
adm_matrix adm_resolve_matrix(const adm_model *model, const adm_linear_params *params);
/* Keyed by a place of a sub-layer, or of a stack. */
adm_dropout adm_resolve_dropout(const adm_model *model, double p, int stack, uint64_t place);

#endif
