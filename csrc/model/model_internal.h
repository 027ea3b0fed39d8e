/* What a model is inside: resolved sub-layers, the workspace of a pass, and who computes what.

   Work is cut into chunks of whole sequences by the data's shape alone. A forward task takes one chunk through all
   sub-layers; a backward task takes it through one, and others compute the weight gradients of those above, cut by
   output rows, which no sum crosses (backward.c). */
#ifndef ADM_MODEL_INTERNAL_H
#define ADM_MODEL_INTERNAL_H

#include "admin/model.h"
#include "base/base.h"
#include "kernels/kernels.h"
#include "layers/layers.h"

#define ADM_ENCODER 0
#define ADM_DECODER 1
#define ADM_MAX_SLOTS 20
#define ADM_MAX_LINEARS 3       /* of a sub-layer: in, out, kv */
#define ADM_LOGITS_TASK_ROWS 96 /* rows of logits that one task computes */

/* ---- resolved parameters: all positions are offsets in the flat buffers, -1 where there is none ---- */

typedef struct adm_norm {
    adm_norm_kind kind;
    int64_t n;
    int64_t gamma, nu, scale;
    int64_t partial_gamma, partial_nu, partial_scale; /* in the chunk's partial gradients */
} adm_norm;

/* Places among the workspace's packed weights: of panels of W^T, for forward passes, and of W, for backward passes. */
typedef struct adm_packing {
    int64_t forward, back;
} adm_packing;

typedef struct adm_linear {
    int64_t weight, bias, out, in;
    int64_t partial_bias;
    adm_packing packing;
} adm_linear;

/* A vector whose gradient is summed in every chunk apart and then over the chunks in their order. */
typedef struct adm_slot {
    int64_t offset, length, partial;
    bool to_scalar; /* the parameter is the scalar sum of the `length` partials */
} adm_slot;

typedef struct adm_slots {
    adm_slot items[ADM_MAX_SLOTS];
    int count;
    int64_t length; /* of the partial gradients of one chunk */
} adm_slots;

typedef struct adm_sublayer {
    const adm_sublayer_config *config;
    adm_branch_kind kind;
    int stack;
    int64_t index;
    bool first_in_layer, layer_has_kappa;
    adm_norm pre, branch, post, inner;
    adm_linear in;  /* q, k, v fused; q of cross-attention; fc1 */
    adm_linear kv;  /* k, v of cross-attention fused */
    adm_linear out; /* out; fc2 */
    int64_t omega, alpha;
    int64_t partial_omega, partial_alpha; /* -1: not trained */
    adm_slots slots;
} adm_sublayer;

typedef struct adm_stack {
    const adm_stack_config *config;
    int64_t num_sublayers, per_layer;
    adm_sublayer *sublayers; /* [R] */
    adm_norm final;
    int64_t input_scale, partial_input_scale;
    adm_slots edge_slots; /* of final and input_scale */
    int64_t embedding, positions;
} adm_stack;

/* ---- the workspace: everything a pass needs, laid out in one arena ---- */

typedef enum adm_keep {
    ADM_KEEP_NOTHING = 0, /* forward only: sub-layers share their buffers */
    ADM_KEEP_BACKWARD,    /* what the backward pass reads and cannot cheaply compute again */
    ADM_KEEP_BRANCHES     /* everything */
} adm_keep;

/* What the plan of a workspace depends on. */
typedef struct adm_batch_shape {
    int64_t count;                  /* B */
    int64_t rows[2], max_length[2]; /* of the stacks; 0 where one is absent */
    int64_t memory_rows, memory_max_length;
    int64_t chunks;
    int threads;
    adm_keep keep;
    bool backward, hidden;
    bool segmented;      /* sub-layers of all segments use the same buffers */
    int64_t segment[2];  /* sub-layers of a segment; of the stack where not segmented */
    bool keep_gradients; /* of activations */
} adm_batch_shape;

typedef struct adm_sublayer_acts {
    const adm_real *omega, *alpha;         /* [D] or NULL for 1 */
    adm_real *omega_filled, *alpha_filled; /* [D] scalars spread out, or NULL */
    adm_real *normed;                      /* [M, D] Npre(x), or NULL where it is x */
    adm_real *h;                           /* [M, D] s normed, or NULL where it is normed */
    adm_real *proj;                        /* [M, 3D] q k v; [M, D] q; [M, F] before gelu */
    adm_real *kv;                          /* [M_memory, 2D] */
    adm_real *lse;                         /* [M, H] */
    adm_real *inner;                       /* [M, D] context; [M, F] after the activation */
    adm_real *inner_normed;                /* same, or NULL */
    adm_real *a;                           /* [M, D] */
    adm_real *b;                           /* [M, D] Nbranch(a), or NULL */
    adm_real *y;                           /* [M, D] before Npost, or NULL where it is x */
    adm_real *x;                           /* [M, D] output */
    bool x_again;                          /* x is overwritten: the backward pass computes it again from y */
    adm_real *kept_dx, *kept_da;           /* [M, D] dL/dx_{i-1}, dL/da_i, or NULL */
    adm_real *pre_stats, *branch_stats, *post_stats, *inner_stats; /* [2, M] mean, rstd */
} adm_sublayer_acts;

typedef struct adm_stack_acts {
    int64_t rows;                 /* M */
    int64_t max_length;           /* of a sequence */
    int64_t *offsets;             /* [B + 1] */
    int32_t *tokens;              /* [M] */
    adm_sublayer_acts *sublayers; /* [R], the model's */
    adm_real *embedded;           /* [M, D] before input_scale, or NULL where it is x0 */
    adm_real *x0;                 /* [M, D] */
    adm_real *end;                /* [M, D] after the final norm */
    adm_real *end_stats;
    adm_real *dx;            /* [M, D] gradient of the sub-layer at hand */
    adm_real *kept_dx;       /* [M, D] dL/dx_R, or NULL */
    adm_real *edge_partials; /* [C, edge_slots.length] */
    double *moments;         /* [C, R, 4] sum x, sum x^2, sum a, sum a^2 */
    double *grad_sums;       /* [C, R + 1] sum |dL/dx_i|^2 */
} adm_stack_acts;

typedef struct adm_workspace {
    adm_arena arena;
    adm_memory_plan sizes; /* of the activations laid out */
    adm_keep keep;
    bool backward;      /* buffers of the backward pass are laid out */
    bool segmented;     /* sub-layers of all segments use the same buffers */
    int64_t segment[2]; /* sub-layers of a segment; of the stack where not segmented */
    int live_stack;     /* where segmented: whose buffers are filled */
    int64_t live_first; /* and the segment's first sub-layer */
    bool hidden; /* the last pass came from adm_model_forward_hidden, so that its backward may follow */
    adm_run run;
    int64_t num_sequences, num_chunks;
    int64_t *chunks; /* [C + 1] first sequence of each chunk */
    adm_stack_acts stacks[2];
    const adm_real *memory; /* [M_memory, D] what cross-attention reads: the encoder's end, or the caller's */
    adm_real *memory_copy;
    adm_real *dmemory;
    int64_t memory_rows, memory_max_length;
    int64_t *memory_offsets;
    adm_real *packed;      /* every weight that forward passes multiply with, or NULL: few rows */
    adm_real *packed_back; /* and that backward passes multiply with, or NULL */
    double *work;          /* [threads, ADM_WORK_STRIDE] seconds of each kind in the last pass */
    int work_threads;
    adm_real *scores; /* [threads, 2, score_size] */
    int64_t score_size;
    /* backward; those the weight gradients read exist twice, for sub-layers of even and odd index */
    adm_real *da[2], *dproj[2], *dkv[2], *partials[2];
    int64_t *progress; /* [1 + C + sub-layers of a stack] what of the backward pass is done */
    adm_real *dy, *dh, *dinner, *dlayer;
    /* output */
    int32_t *labels;    /* [M] */
    int64_t block_rows; /* rows of logits held at once */
    adm_real *logits;   /* [block_rows, V] */
    double *losses;     /* [tasks, 2] */
} adm_workspace;

/* The last observation of one stack: an allocation of its own, since it outlives the pass. */
typedef struct adm_observed {
    double *var_input, *var_branch, *grad_norm;
} adm_observed;

struct adm_model {
    adm_config config;
    const adm_kernels *kernels;
    adm_param_table params;
    adm_stack stacks[2];
    int64_t output; /* offset of the output embedding */
    adm_packing output_packing;
    adm_packing packed_lengths; /* of all packed weights */
    adm_real *weights, *gradients;
    adm_real *sinusoids; /* [num_sinusoids, D], grows with the longest sequence read */
    int64_t num_sinusoids;
    adm_observed observed[2];
    double work[ADM_WORK_KINDS]; /* seconds of the passes before the last */
    bool activations_kept;       /* adm_model_activation may be asked */
    bool gradients_kept;         /* and for gradients */
    adm_workspace ws;
};

/* Rows of the batch that a chunk owns in a stack. */
typedef struct adm_span {
    int64_t first, rows;
} adm_span;

static inline adm_span adm_chunk_span(const adm_workspace *ws, const int64_t *offsets, int64_t chunk)
{
    const int64_t first = offsets[ws->chunks[chunk]];
    return (adm_span){first, offsets[ws->chunks[chunk + 1]] - first};
}

/* x_{index} of a stack: its input for index 0, else the output of sub-layer index - 1. */
static inline adm_real *adm_stack_x(const adm_stack_acts *acts, int64_t index)
{
    return index == 0 ? acts->x0 : acts->sublayers[index - 1].x;
}

/* ---- params.c ---- */
adm_status adm_params_build(adm_model *model, adm_error *error);
void adm_params_free(adm_model *model);

/* ---- model.c ---- */
adm_status adm_model_need_positions(adm_model *model, int64_t positions, adm_error *error);

/* ---- plan.c: where the activations of sub-layers lie ---- */
/* Sub-layers of a segment of segment_layers layers (adm_run). */
int64_t adm_segment_length(const adm_stack *stack, int64_t segment_layers);
/* Outputs of segments, and of the stack; scales. */
void adm_plan_outputs(adm_model *model, adm_arena *arena, const adm_batch_shape *shape, int number);
void adm_plan_sublayers(adm_model *model, adm_arena *arena, const adm_batch_shape *shape, int number);

/* ---- workspace.c ---- */
/* What a backward pass keeps: all that an observed one may be asked for, unless it is to compute it again. */
static inline adm_keep adm_keep_backward(const adm_run *run)
{
    return run->observe && run->segment_layers == 0 ? ADM_KEEP_BRANCHES : ADM_KEEP_BACKWARD;
}

/* Makes the workspace fit a batch; copies the batch's tokens and offsets. */
adm_status adm_workspace_for_batch(adm_model *model, const adm_batch *batch, const adm_run *run,
                                   adm_keep keep, bool backward, adm_error *error);
adm_status adm_workspace_for_hidden(adm_model *model, const adm_hidden *input, const adm_run *run,
                                    adm_keep keep, bool backward, adm_error *error);
/* The sizes of what a backward pass over a batch lays out; activations of the last pass are lost. */
adm_status adm_workspace_measure(adm_model *model, const adm_batch *batch, const adm_run *run,
                                 adm_memory_plan *plan, adm_error *error);
adm_status adm_workspace_measure_lengths(adm_model *model, const adm_lengths *lengths, const adm_run *run,
                                         adm_memory_plan *plan, adm_error *error);
/* Spreads scalar omegas and alphas over the features for the kernels. */
void adm_workspace_fill_scales(adm_model *model, int stack, int64_t sublayer);

/* ---- packing.c: the weights as the matrix products read them ---- */
/* Gives every linear map its places among the packed weights. */
void adm_packing_place(adm_model *model);
/* Packs all weights if the workspace has room for them. */
void adm_pack_weights(adm_model *model);

/* ---- work.c: how long each kind of work takes ---- */
#define ADM_WORK_STRIDE 8 /* a cache line for every thread */
/* Adds the last pass to those before it, and begins another with nothing noted. */
void adm_work_fold(adm_model *model);
/* The seconds since *since were work of a kind; *since becomes now. */
void adm_work_note(adm_model *model, adm_work kind, int thread, double *since);

/* ---- branch.c: attention and feed-forward between h and a ---- */
void adm_branch_forward(adm_model *model, const adm_sublayer *sublayer, const adm_real *h, int64_t chunk,
                        int thread);
/* From da (after dropout) to dh; fills dproj, dkv, adds to dmemory and to the partial gradients. */
void adm_branch_backward(adm_model *model, const adm_sublayer *sublayer, adm_real *partials, int64_t chunk,
                         int thread);

/* ---- sublayer.c: the one residual formula ---- */
void adm_sublayer_forward(adm_model *model, int stack, int64_t index, int64_t chunk, int thread);
void adm_sublayer_backward(adm_model *model, int stack, int64_t index, int64_t chunk, int thread);
const adm_real *adm_sublayer_h(const adm_model *model, int stack,
                               int64_t index); /* [M, D] what the branch read */
adm_norm_args adm_norm_resolve(const adm_model *model, const adm_norm *norm);
adm_norm_grads adm_norm_partials(const adm_norm *norm, adm_real *partials);
adm_matrix adm_linear_resolve(const adm_model *model, const adm_linear *linear);
int64_t adm_row_block(int64_t n); /* rows of n elements that stay in the first cache */

/* ---- ends.c: embedding and final norm, a chunk of them ---- */
/* x0 = input_scale dropout(sqrt(D) embedding + position); with hidden states given, x0 = input_scale x */
void adm_embed_chunk(adm_model *model, int stack, int64_t chunk);
/* dx0 becomes the gradient of the embedding: dscale = sum dx0 x, dx = dropout(scale dx0) */
void adm_embed_chunk_backward(adm_model *model, int stack, int64_t chunk);
void adm_finish_chunk(adm_model *model, int stack, int64_t chunk);
/* dx of the stack's end becomes that of its last sub-layer's output; the ends' partial gradients begin anew. */
void adm_finish_chunk_backward(adm_model *model, int stack, int64_t chunk);

/* ---- stack.c: the forward pass ---- */
/* Embeds, runs sub-layers and the final norm of all stacks. */
void adm_stacks_forward(adm_model *model);
/* Embedding of all chunks; one sub-layer of all chunks; final norm of all chunks: for profiling. */
void adm_stack_begin(adm_model *model, int stack);
void adm_stack_forward_sublayer(adm_model *model, int stack, int64_t index);
void adm_stack_finish(adm_model *model, int stack);
/* Where segments share their buffers: fills them for the one from sub-layer `first`, unless they are. */
void adm_stack_fill_segment(adm_model *model, int stack, int64_t first);

/* ---- backward.c: the backward pass ---- */
/* From stacks[stack].dx (gradient of the end) to the gradient of x0 in the same place; all gradients of the
   stack's parameters but the embeddings'. */
void adm_stack_backward(adm_model *model, int stack);

/* ---- output.c ---- */
void adm_output_logits(adm_model *model, adm_real *out);
/* Loss over all rows of the decoder; with backward also dx of its end and the output embedding's gradient. */
void adm_output_loss(adm_model *model, bool backward, adm_loss *loss);

/* ---- transformer.c ---- */
/* Around what a public pass does with a workspace that is laid out: what may fail stands before, so that none leaves
   behind whom to ask. At the end: ADM_STOPPED if it was stopped. */
void adm_begin_pass(adm_model *model, adm_stop *stop);
adm_status adm_end_pass(adm_model *model, adm_error *error);
/* ADM_OK, or what cannot be asked of a pass. */
adm_status adm_run_check(const adm_run *run, adm_error *error);
adm_status adm_check_hidden(const adm_model *model, const adm_hidden *input, adm_error *error);

/* ---- observe.c ---- */
void adm_observe_forward(adm_model *model);
void adm_observe_backward(adm_model *model);

#endif
