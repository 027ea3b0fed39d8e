/* A Transformer: its one table of parameters, its forward and backward pass, its profile. */
#ifndef ADMIN_MODEL_H
#define ADMIN_MODEL_H

#include "admin/config.h"
#include "admin/stop.h"
#include "admin/system.h"
#include "admin/work.h"

ADM_BEGIN

typedef struct adm_model adm_model;

#define ADM_NAME_LENGTH 64

/* How a parameter is drawn at first, and what analyses group it by. */
typedef enum adm_param_kind {
    ADM_PARAM_WEIGHT_Q = 0,
    ADM_PARAM_WEIGHT_K,
    ADM_PARAM_WEIGHT_V,
    ADM_PARAM_WEIGHT_OUT,
    ADM_PARAM_WEIGHT_FC1,
    ADM_PARAM_WEIGHT_GATE,
    ADM_PARAM_WEIGHT_FC2,
    ADM_PARAM_BIAS,
    ADM_PARAM_GAMMA,
    ADM_PARAM_NU,
    ADM_PARAM_DYT_SCALE,
    ADM_PARAM_OMEGA,
    ADM_PARAM_ALPHA,
    ADM_PARAM_INPUT_SCALE,
    ADM_PARAM_EMBEDDING,
    ADM_PARAM_POSITIONS
} adm_param_kind;

typedef struct adm_param {
    char name[ADM_NAME_LENGTH]; /* such as encoder.3.self_attn.q.weight */
    adm_param_kind kind;
    int ndim;         /* 1 or 2 */
    int64_t shape[2]; /* shape[1] is 1 where ndim is 1 */
    int64_t size;     /* elements */
    int64_t offset;   /* of its first element in the flat buffers */
    bool trained;
    int stack;        /* 0 encoder, 1 decoder, -1 neither */
    int64_t sublayer; /* in its stack, -1: none */
} adm_param;

/* Trained parameters come first: the optimisers work on [0, trained_length) of the flat buffers.
   Gaps left by alignment hold zeros. */
typedef struct adm_param_table {
    int64_t count;
    adm_param *items;       /* [count] */
    int64_t length;         /* of a flat buffer, elements */
    int64_t trained_length; /* of its trained part */
    int64_t num_parameters; /* trained elements, without gaps */
} adm_param_table;

/* Packed sequences: sequence b is tokens[offsets[b] .. offsets[b + 1]). */
typedef struct adm_sequences {
    const int32_t *tokens;  /* [M] */
    const int64_t *offsets; /* [B + 1] */
    int64_t count;          /* B */
} adm_sequences;

typedef struct adm_batch {
    adm_sequences source;
    adm_sequences target; /* encoder-decoder only; else count is 0 */
} adm_batch;

typedef struct adm_run {
    bool training; /* dropout on */
    uint64_t seed; /* of dropout */
    uint64_t step; /* of dropout */
    int threads;   /* >= 1 */
    double label_smoothing;
    double z_loss;   /* coefficient of log(sum of e^logits)^2, which is added to the loss of every token */
    bool accumulate; /* add to the gradients instead of replacing them */
    double scale;    /* factor on the loss whose gradient is taken, 1 usually */
    bool observe;    /* fill the observations */
    bool keep_gradients; /* with observe: keep dL/dx_i and dL/da_i of every sub-layer */
    /* Of a backward pass: 0 keeps the activations of all layers; n keeps those of segments of n layers' ends only,
       and computes the others again, segment by segment; ADM_SEGMENTS_AUTO: n is about the root of the layers. */
    int64_t segment_layers;
    adm_stop *stop; /* of this call alone; NULL: it is done to its end */
    /* Called in a backward pass by the thread that began it, before the encoder's layers, once the gradients of all
       parameters of the decoder's layers and final norm are whole: others may read them from now on. NULL: not asked for. */
    void (*decoder_done)(void *context);
    void *context; /* of decoder_done */
} adm_run;

#define ADM_SEGMENTS_AUTO (-1)

/* ADM_OK, or what cannot be asked of a pass. */
ADM_API adm_status adm_run_check(const adm_run *run, adm_error *error);

typedef struct adm_loss {
    double loss; /* label-smoothed cross-entropy, nats, mean over target tokens, and the z-loss */
    double nll;  /* without smoothing and z-loss */
    int64_t num_tokens;
} adm_loss;

/* Statistics of one stack at its last observed pass. */
typedef struct adm_observation {
    int64_t num_sublayers;    /* R */
    const double *var_input;  /* [R] Var(x_{i-1}) over tokens and features */
    const double *var_branch; /* [R] Var(a_i) */
    const double *grad_norm;  /* [R + 1] |dL/dx_i|, Frobenius; 0 until a backward pass */
} adm_observation;

typedef enum adm_profile_method { ADM_PROFILE_CLINIC = 0, ADM_PROFILE_PAPER } adm_profile_method;

/* `kernels` is what all its passes use. */
ADM_API adm_status adm_model_create(const adm_config *config, const adm_kernels *kernels, adm_model **model,
                                    adm_error *error);
/* A model without weights, to be asked for its parameters' table and its plan of memory, and freed. */
ADM_API adm_status adm_model_outline(const adm_config *config, const adm_kernels *kernels, adm_model **model,
                                     adm_error *error);
ADM_API void adm_model_free(adm_model *model);

ADM_API const adm_config *adm_model_config(const adm_model *model);
ADM_API const adm_kernels *adm_model_kernels(const adm_model *model);
ADM_API const adm_param_table *adm_model_params(const adm_model *model);
/* Index of the parameter of that name, -1 if there is none. */
ADM_API int64_t adm_model_find_param(const adm_model *model, const char *name);
ADM_API int64_t adm_model_num_sublayers(const adm_model *model, int stack); /* R */
/* Offset in the flat buffers of omega of a sub-layer; -1 if it has none. */
ADM_API int64_t adm_model_omega_offset(const adm_model *model, int stack, int64_t sublayer);
ADM_API adm_real *adm_model_weights(adm_model *model); /* [length] */
/* NULL until adm_model_need_gradients. */
ADM_API adm_real *adm_model_gradients(adm_model *model); /* [length] */
ADM_API adm_status adm_model_need_gradients(adm_model *model, adm_error *error);

/* Draws all weights anew from seed (init/weights.c). ADM_STOPPED: some of them; `stop` may be NULL. */
ADM_API adm_status adm_model_init_weights(adm_model *model, uint64_t seed, int threads, adm_stop *stop,
                                          adm_error *error);

/* ADM_OK, or which token, length or offset the model cannot read. */
ADM_API adm_status adm_model_check_batch(const adm_model *model, const adm_batch *batch, adm_error *error);

/* Tokens that the output has rows for: those of the decoder's input, or of the source for an encoder. */
ADM_API int64_t adm_model_num_outputs(const adm_model *model, const adm_batch *batch);

/* result: logits [M_target, V]; for an encoder hidden states [M_source, D]. */
ADM_API adm_status adm_model_forward(adm_model *model, const adm_batch *batch, const adm_run *run,
                                     adm_real *result, adm_error *error);
ADM_API adm_status adm_model_loss(adm_model *model, const adm_batch *batch, const adm_run *run,
                                  adm_loss *loss, adm_error *error);
/* Forward and backward; fills the gradients. */
ADM_API adm_status adm_model_backward(adm_model *model, const adm_batch *batch, const adm_run *run,
                                      adm_loss *loss, adm_error *error);

/* The stacks alone (vocab_size 0). Exactly one stack exists. The forward pass keeps what its backward pass
   reads, so x, memory and their offsets are copied. */
typedef struct adm_hidden {
    const adm_real *x;             /* [M, D] */
    const int64_t *offsets;        /* [B + 1] */
    int64_t count;                 /* B */
    const adm_real *memory;        /* [M_memory, D], decoder with cross-attention only */
    const int64_t *memory_offsets; /* [B + 1] */
} adm_hidden;
ADM_API adm_status adm_model_forward_hidden(adm_model *model, const adm_hidden *input, const adm_run *run,
                                            adm_real *y, /* [M, D] */
                                            adm_error *error);
/* Of the last adm_model_forward_hidden. */
ADM_API adm_status adm_model_backward_hidden(adm_model *model, const adm_real *dout, /* [M, D] */
                                             const adm_run *run, adm_real *dx,       /* [M, D] */
                                             adm_real *dmemory, /* [M_memory, D] or NULL */
                                             adm_error *error);

/* One forward pass. Sub-layers that are `profiled` get their omega on the way (clinic) or afterwards (paper);
   with apply false the weights are left as they were. omega [R] of each stack is what the method gives (for
   other sub-layers the mean of what they have); var_input, var_branch [R]. */
typedef struct adm_profile {
    double *omega, *var_input, *var_branch; /* [R] each, the caller's */
} adm_profile;
ADM_API adm_status adm_model_profile(adm_model *model, const adm_batch *batch, const adm_run *run,
                                     adm_profile_method method, bool apply,
                                     adm_profile profiles[2], /* of encoder and decoder */
                                     adm_error *error);
ADM_API adm_status adm_model_profile_hidden(adm_model *model, const adm_hidden *input, const adm_run *run,
                                            adm_profile_method method, bool apply, adm_profile *profile,
                                            adm_error *error);

/* stack 0 encoder, 1 decoder. */
ADM_API adm_observation adm_model_observation(const adm_model *model, int stack);
typedef enum adm_activation_site {
    ADM_SITE_OUTPUT = 0,      /* x_index, index 0..R */
    ADM_SITE_BRANCH,          /* a_index, index 1..R, as for those below */
    ADM_SITE_NORMED,          /* h_index: what the branch read */
    ADM_SITE_SUM,             /* y_index: before Npost */
    ADM_SITE_END,             /* index R: after the final norm */
    ADM_SITE_OUTPUT_GRADIENT, /* dL/dx_index, index 0..R; of a backward pass with keep_gradients */
    ADM_SITE_BRANCH_GRADIENT  /* dL/da_index, index 1..R */
} adm_activation_site;
/* Copy of one activation or gradient, [M, D], of the last observed pass. */
ADM_API adm_status adm_model_activation(const adm_model *model, int stack, int64_t index,
                                        adm_activation_site site, adm_real *values, adm_error *error);
ADM_API int64_t adm_model_activation_rows(const adm_model *model, int stack);

/* Seconds that all threads together spent on each kind of work, in all passes so far. */
ADM_API void adm_model_work_seconds(const adm_model *model, double seconds[ADM_WORK_KINDS]);

/* Bytes held: parameters, gradients, activations. */
typedef struct adm_memory {
    size_t weights, gradients, activations;
} adm_memory;
ADM_API adm_memory adm_model_memory(const adm_model *model);

/* Bytes that a backward pass over a batch asks for, by what they are for, from the plan that the pass itself
   follows. kept .. other add up to activations. */
typedef struct adm_memory_plan {
    size_t weights, gradients; /* of a flat buffer */
    size_t kept[2];            /* of encoder and decoder: what the forward pass leaves to the backward pass */
    size_t recomputed;         /* what is computed again, one buffer for all sub-layers or segments */
    size_t backward;           /* gradients of activations */
    size_t logits;
    size_t packed;      /* weights arranged for products */
    size_t other;       /* tokens, embedded tokens, scores of attention, statistics */
    size_t activations; /* the whole workspace */
    int64_t rows[2];    /* M of the stacks */
} adm_memory_plan;
ADM_API adm_status adm_model_plan_memory(adm_model *model, const adm_batch *batch, const adm_run *run,
                                         adm_memory_plan *plan, adm_error *error);

/* A batch that is thought of, as each stack reads it: `count` sequences of `length` tokens and, unless it is 0, one of
   `rest`, which are fewer. */
typedef struct adm_lengths {
    int64_t count, length, rest;
} adm_lengths;
ADM_API adm_status adm_model_plan_lengths(adm_model *model, const adm_lengths *lengths, const adm_run *run,
                                          adm_memory_plan *plan, adm_error *error);

ADM_END

#endif
