/* What a Transformer is: its sizes, and for every sub-layer the fields of the one residual formula

     h   = s * Npre(x)                               or s * Npre(x_layer) where it is parallel
     a   = f(h)                                      f: attention or feed-forward, dropout on a
     y   = omega (.) r + alpha (.) Nbranch(a) + kappa * x_layer      r = x or Npre(x)
     out = Npost(y)

   The core knows no scheme by name: Post-LN, Pre-LN, Admin and all others are values of these. */
#ifndef ADMIN_CONFIG_H
#define ADMIN_CONFIG_H

#include "admin/status.h"

ADM_BEGIN

typedef enum adm_norm_kind {
    ADM_NORM_NONE = 0,
    ADM_NORM_LAYER, /* gamma (x - mean) / sqrt(var + eps) + nu */
    ADM_NORM_RMS,   /* gamma x / sqrt(mean(x^2) + eps) */
    ADM_NORM_DYT    /* gamma tanh(scale x) + nu */
} adm_norm_kind;

typedef enum adm_scale_kind { ADM_SCALE_NONE = 0, ADM_SCALE_SCALAR, ADM_SCALE_VECTOR } adm_scale_kind;

typedef enum adm_branch_kind {
    ADM_BRANCH_SELF_ATTENTION = 0,
    ADM_BRANCH_CROSS_ATTENTION,
    ADM_BRANCH_FEED_FORWARD
} adm_branch_kind;

typedef enum adm_activation {
    ADM_ACTIVATION_RELU = 0,
    ADM_ACTIVATION_GELU,        /* z Phi(z) */
    ADM_ACTIVATION_SILU,        /* z sigma(z) */
    ADM_ACTIVATION_GELU_TANH,   /* z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2 */
    ADM_ACTIVATION_QUICK_GELU,  /* z sigma(1.702 z) */
    ADM_ACTIVATION_RELU_SQUARED /* max(z, 0)^2 */
} adm_activation;

/* Which linear maps of the branches add a bias. */
typedef enum adm_bias {
    ADM_BIAS_ALL = 0,
    ADM_BIAS_NONE,
    ADM_BIAS_QKV,         /* q, k and v */
    ADM_BIAS_ATTENTION,   /* q, k, v and out */
    ADM_BIAS_FEED_FORWARD /* fc1, gate and fc2 */
} adm_bias;

typedef enum adm_positions {
    ADM_POSITIONS_SINUSOIDAL = 0,
    ADM_POSITIONS_LEARNED,
    ADM_POSITIONS_ROTARY /* of queries and keys of self-attention; the embeddings have none */
} adm_positions;

/* Which of the source, target and output embedding matrices are one. */
typedef enum adm_share {
    ADM_SHARE_NONE = 0, /* three matrices */
    ADM_SHARE_DECODER,  /* target = output */
    ADM_SHARE_INPUTS,   /* source = target */
    ADM_SHARE_ALL       /* source = target = output */
} adm_share;

typedef enum adm_init_kind {
    ADM_INIT_XAVIER_UNIFORM = 0,
    ADM_INIT_XAVIER_NORMAL,
    ADM_INIT_LOOKS_LINEAR /* Xavier uniform, with fc1 = [W; -W] and fc2 = [U, -U] */
} adm_init_kind;

/* Rotary positions; what is 0 has its usual value. */
typedef struct adm_rotary_config {
    double theta;  /* 0: 10000 */
    int64_t width; /* even, features of each head that are turned; 0: K */
    bool
        interleaved; /* pairs are features 2 c and 2 c + 1 (GPT-J); or c and c + width / 2 (Llama, GPT-NeoX) */
    double factor;   /* by which low frequencies are divided, as Llama 3 does; 0: none */
    double low_frequency_factor, high_frequency_factor;
    int64_t original_length;
} adm_rotary_config;

/* How all attention of a model reads. All zeros: H heads of D / H features, each with keys and values of its own. */
typedef struct adm_attention_config {
    int64_t head_width;       /* K; 0: D / H, and H divides D */
    int64_t kv_heads;         /* G heads of keys and values, each read by H / G heads of queries; 0: H */
    double scale;             /* of products of queries and keys; 0: 1 / sqrt(K) */
    double score_cap;         /* scores are score_cap tanh(score / score_cap); 0: as they are */
    adm_norm_kind qk_norm;    /* of queries and of keys, before positions turn them */
    bool qk_norm_whole;       /* over all features of a row, H K and G K; or over those of each head, K */
    adm_rotary_config rotary; /* of ADM_POSITIONS_ROTARY */
} adm_attention_config;

/* omega or alpha of one sub-layer. */
typedef struct adm_scale {
    adm_scale_kind kind;
    bool trained;
    bool shared;  /* one parameter for all sub-layers of the layer */
    double value; /* at initialisation */
} adm_scale;

/* Factors on the standard deviation of the initial weights. */
typedef struct adm_gains {
    double q, k, v, out, fc1, fc2; /* fc1: of the gate, too */
} adm_gains;

typedef struct adm_sublayer_config {
    adm_norm_kind norm_pre, norm_branch, norm_post;
    adm_norm_kind norm_inner; /* inside the branch: before out, before fc2 */
    bool residual_normed;     /* r = Npre(x) instead of x */
    bool parallel;            /* the branch reads the layer's input, beside those before it in the layer */
    bool profiled;            /* omega is set by profiling */
    double input_scale;       /* s */
    double kappa;
    adm_scale omega, alpha;
    adm_init_kind init;
    bool qkv_fused_init; /* q, k, v drawn as one matrix: [3D, D] with D features each */
    int64_t window; /* of self-attention: a token sees those less than so many away, itself too; 0: all */
    adm_gains gains;
} adm_sublayer_config;

/* A stack has layers * per_layer sub-layers: self-attention, (cross-attention,) feed-forward. */
typedef struct adm_stack_config {
    int64_t layers; /* 0: the stack is absent */
    bool causal;
    bool cross;
    adm_norm_kind norm_embedding; /* of the sum of embedding and position, before dropout */
    adm_norm_kind norm_final;
    adm_scale_kind input_scale; /* scale of the stack's input, a parameter; from folding omega */
    double embedding_gain;
    adm_sublayer_config *sublayers; /* [R] */
} adm_stack_config;

typedef struct adm_config {
    int64_t vocab_size; /* V; 0: no embeddings and no output, the stacks read hidden states */
    int64_t d_model;    /* D */
    int64_t heads;      /* H of queries */
    int64_t d_ff;       /* F */
    int64_t max_length; /* of a sequence that the model reads */
    adm_activation activation;
    bool gated; /* hidden units are multiplied: (h W_fc1^T) activation(h W_gate^T), as SwiGLU with silu */
    adm_bias bias;
    adm_positions positions;
    adm_share share_embeddings;
    bool output_bias;          /* logits = logits_scale (x E^T + bias) */
    double logits_scale;       /* 0: 1 */
    double dropout;            /* on embeddings and on the output of every branch */
    double attention_dropout;  /* on the attention probabilities */
    double activation_dropout; /* after the activation */
    double norm_eps;
    double embedding_scale; /* of the embeddings, before positions are added; 0: sqrt(D) */
    adm_attention_config attention;
    double logits_cap; /* logits are logits_cap tanh(logit / logits_cap); 0: as they are */
    adm_stack_config encoder, decoder;
} adm_config;

ADM_API int64_t adm_stack_per_layer(const adm_stack_config *stack);
ADM_API int64_t adm_stack_num_sublayers(const adm_stack_config *stack);
ADM_API adm_branch_kind adm_stack_branch(const adm_stack_config *stack, int64_t sublayer);

/* ADM_OK, or the first field that is out of range. */
ADM_API adm_status adm_config_check(const adm_config *config, adm_error *error);

ADM_END

#endif
