/* The workspace: every buffer of a pass, laid out in one arena that grows and is reused. A second batch of the same size
   allocates nothing. */
#ifndef ADM_MODEL_BUFFERS_H
#define ADM_MODEL_BUFFERS_H

#include "admin/model.h"
#include "layers/span.h"
#include "model/shape.h"

/* Of one sub-layer. Several may have the same buffers: see plan.c. */
typedef struct adm_sublayer_buffers {
    const adm_real *omega, *alpha;         /* [D] or NULL for 1 */
    adm_real *omega_filled, *alpha_filled; /* [D] scalars spread out, or NULL */
    adm_real *normed;                      /* [M, D] Npre(x), or NULL where it is x */
    adm_real *scaled;                      /* [M, D] s normed, or NULL where it is normed */
    adm_real *proj;                        /* [M, 3D] q k v; [M, D] q; [M, F] derivative, [M, 2F] of gated */
    adm_real *kv;                          /* [M_memory, 2D] */
    adm_real *q_before, *k_before;         /* [M, H K], [M or M_memory, G K] before their norms, or NULL */
    adm_real *lse;                         /* [M, H] */
    adm_real *inner;                       /* [M, D] context; [M, F] after the activation */
    adm_real *inner_normed;                /* same, or NULL */
    adm_real *a;                           /* [M, D] */
    adm_real *b;                           /* [M, D] Nbranch(a), or NULL where it is a */
    adm_real *y;                           /* [M, D] before Npost, or NULL where it is x */
    adm_real *x;                           /* [M, D] output */
    bool x_shared;                         /* the backward pass computes x again from y */
    adm_real *kept_dx, *kept_da;           /* [M, D] dL/dx_{i-1}, dL/da_i, or NULL */
    adm_real *pre_stats, *branch_stats, *post_stats, *inner_stats; /* [2, M] mean, rstd */
    adm_real *q_stats, *k_stats; /* [2, M H], [2, M G] or, over whole rows, [2, M] mean, rstd */
    /* gradients; those that the weight gradients read exist twice, for sub-layers of even and odd index */
    adm_real *da;       /* [M, D] */
    adm_real *dproj;    /* as proj */
    adm_real *dkv;      /* [M_memory, 2D] */
    adm_real *partials; /* [C, slots.length] */
} adm_sublayer_buffers;

typedef struct adm_stack_buffers {
    int64_t rows;                    /* M */
    int64_t *offsets;                /* [B + 1] */
    int64_t *starts;                 /* [B] positions of the first tokens, or NULL: 0 */
    int32_t *tokens;                 /* [M] */
    adm_sublayer_buffers *sublayers; /* [R], the model's */
    adm_real *summed; /* [M, D] embedding and position, before their norm; embedded where there is none */
    adm_real *summed_stats;  /* [2, M] mean, rstd */
    adm_real *embedded;      /* [M, D] before input_scale; x0 where there is none */
    adm_real *x0;            /* [M, D] */
    adm_real *end;           /* [M, D] after the final norm */
    adm_real *end_stats;     /* [2, M] mean, rstd */
    adm_real *dx;            /* [M, D] gradient of the sub-layer at hand */
    adm_real *kept_dx;       /* [M, D] dL/dx_R, or NULL */
    adm_real *edge_partials; /* [C, edge_slots.length] */
    double *moments;         /* [C, R, 4] sum x, sum x^2, sum a, sum a^2 */
    double *grad_sums;       /* [C, R + 1] sum |dL/dx_i|^2 */
} adm_stack_buffers;

typedef struct adm_workspace {
    adm_arena arena;       /* of what depends on the batch */
    adm_arena workers;     /* of what every thread has for itself */
    int threads;           /* that there are workers for */
    adm_memory_plan sizes; /* of the activations laid out */
    adm_shape shape;
    int filled_stack;     /* where segmented: whose buffers are filled */
    int64_t filled_first; /* and the segment's first sub-layer */
    bool hidden; /* the last pass came from adm_model_forward_hidden, so that its backward may follow */
    adm_run run;
    adm_chunk *chunks; /* [C + 1] */
    adm_stack_buffers stacks[2];
    const adm_real *memory; /* [M_memory, D] what cross-attention reads: the encoder's end, or the caller's */
    adm_real *memory_copy;  /* [M_memory, D] of the caller's */
    adm_real *dmemory;      /* [M_memory, D] */
    int64_t *memory_offsets; /* [B + 1] */
    adm_real *lent_packed;   /* weights that another has packed for this workspace, or NULL: it has its own */
    adm_real *packed;        /* every weight that forward passes multiply with, or NULL: few rows */
    adm_real *packed_back;   /* and that backward passes multiply with, or NULL */
    double *work;            /* [threads, ADM_WORK_STRIDE] seconds of each kind in the last pass */
    adm_real *scores;        /* [threads, 2, ADM_KEY_TILE, ADM_QUERY_TILE] */
    adm_real *slopes;        /* [threads, ADM_KEY_TILE, ADM_QUERY_TILE] of capped scores, or NULL */
    adm_real *copies;        /* [threads, ADM_GEMM_SCRATCH] of products */
    int64_t
        *progress; /* [1 + C + 2 sub-layers of a stack, ADM_COUNT_STRIDE] what of the backward pass is done */
    int64_t
        *attended; /* [C, H] tiles of queries of which the gradients are, where sequences are cut, or NULL */
    adm_real *dy, *dh;       /* [M, D] */
    adm_real *dcontext;      /* [M, H K] */
    adm_real *dhidden;       /* [M, F] of gated hidden units, else NULL */
    adm_real *dlayer;        /* [M, D] of the input of a layer, where that is kept */
    int32_t *labels;         /* [M] */
    int64_t block_rows;      /* rows of logits held at once */
    adm_real *logits;        /* [block_rows, V] */
    adm_real *logits_slopes; /* [block_rows, V] derivatives of capped logits, or NULL */
    double *losses;          /* [M, 2] with label smoothing and without, of every row */
} adm_workspace;

#define ADM_LOGITS_TASK_ROWS 96 /* rows of logits that one task computes */
#define ADM_WORK_STRIDE 8       /* a cache line for every thread */
#define ADM_COUNT_STRIDE 8      /* and for every count that threads wait for */

/* Rows that chunks have of a side of the batch. */
static inline adm_span adm_side_span(const adm_workspace *ws, int side, adm_chunks chunks)
{
    const int64_t first = ws->chunks[chunks.first].rows[side];
    return (adm_span){first, ws->chunks[chunks.last].rows[side] - first};
}

/* Rows that chunks, or one of them, have in a stack, and of what cross-attention reads. */
static inline adm_span adm_chunks_span(const adm_workspace *ws, int stack, adm_chunks chunks)
{
    return adm_side_span(ws, ws->shape.hidden ? 0 : stack, chunks);
}

static inline adm_span adm_chunk_span(const adm_workspace *ws, int stack, int64_t chunk)
{
    return adm_chunks_span(ws, stack, (adm_chunks){chunk, chunk + 1});
}

static inline adm_span adm_memory_span(const adm_workspace *ws, adm_chunks chunks)
{
    return adm_side_span(ws, ws->shape.hidden ? 1 : ADM_ENCODER, chunks);
}

/* x_{index} of a stack: its input for index 0, else the output of sub-layer index - 1. */
static inline adm_real *adm_stack_x(const adm_stack_buffers *stack, int64_t index)
{
    return index == 0 ? stack->x0 : stack->sublayers[index - 1].x;
}

/* Makes the workspace fit a batch; copies the batch's tokens and offsets. */
adm_status adm_workspace_for_batch(adm_model *model, const adm_batch *batch, const adm_run *run,
                                   adm_keep keep, bool backward, adm_error *error);
adm_status adm_workspace_for_hidden(adm_model *model, const adm_hidden *input, const adm_run *run,
                                    adm_keep keep, bool backward, adm_error *error);
/* Of a step of decoding: rows of one token each, at any position; forward only. */
typedef struct adm_steps {
    const int32_t *tokens;    /* [rows] */
    const int64_t *positions; /* [rows] */
    int64_t rows;
} adm_steps;
adm_status adm_workspace_for_steps(adm_model *model, const adm_steps *steps, const adm_run *run,
                                   adm_error *error);
/* The sizes of what a backward pass over a batch lays out; activations of the last pass are lost. */
adm_status adm_workspace_measure(adm_model *model, const adm_batch *batch, const adm_run *run,
                                 adm_memory_plan *plan, adm_error *error);
adm_status adm_workspace_measure_lengths(adm_model *model, const adm_lengths *lengths, const adm_run *run,
                                         adm_memory_plan *plan, adm_error *error);
/* Lets the workspace work with so many threads as well; what it holds stays. */
adm_status adm_workspace_need_threads(adm_model *model, int threads, adm_error *error);
/* Spreads scalar omegas and alphas over the features for the kernels. */
void adm_workspace_fill_scales(adm_model *model, int stack, int64_t sublayer);

#endif
