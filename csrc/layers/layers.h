/* The layers of a Transformer on packed rows, forward and backward. None keeps state: what a backward pass reads
   is handed to it. */
#ifndef ADM_LAYERS_H
#define ADM_LAYERS_H

#include "kernels/kernels.h"

/* ---- linear.c: y = x W^T + bias, W [out, in] ---- */
typedef struct adm_matrix {
    const adm_real *weight;      /* [out, in] */
    const adm_real *bias;        /* [out] or NULL */
    const adm_real *packed;      /* panels of W^T, for x W^T, or NULL: few rows do not pay for them */
    const adm_real *packed_back; /* panels of W, for dy W, or NULL */
    int64_t out, in;
} adm_matrix;

void adm_linear_forward(const adm_kernels *kernels, const adm_matrix *linear,
                        const adm_real *x, /* [rows, in] */
                        adm_real *y,       /* [rows, out] */
                        bool relu, int64_t rows);
/* dx = dy W (+ dx where accumulate) */
void adm_linear_backward_input(const adm_kernels *kernels, const adm_matrix *linear,
                               const adm_real *dy, /* [rows, out] */
                               adm_real *dx,       /* [rows, in] */
                               bool accumulate, int64_t rows);
/* Rows of dW that one of about `tasks` tasks computes: the gradient's bits do not depend on them. */
int64_t adm_linear_weight_rows(const adm_kernels *kernels, int64_t out, int64_t tasks);
/* Rows [first, last) of dW [out, in] += dy^T x */
void adm_linear_backward_weight(const adm_kernels *kernels, const adm_matrix *linear,
                                const adm_real *x,  /* [rows, in] */
                                const adm_real *dy, /* [rows, out] */
                                adm_real *dw, int64_t first, int64_t last, int64_t rows);

/* ---- attention.c: softmax(Q K^T / sqrt(K)) V of one sequence, all heads ---- */
typedef struct adm_attention {
    const adm_kernels *kernels;
    int64_t heads, width; /* H, K = D / H */
    bool causal;
    adm_dropout dropout;
    int64_t q_stride, kv_stride; /* between rows of q, and of k and v */
    int64_t ctx_stride;
} adm_attention;

/* One sequence: T queries, S keys. scores: scratch [ADM_KEY_TILE, ADM_QUERY_TILE] each. */
void adm_attention_forward(const adm_attention *attention, int64_t t, int64_t s, int64_t row0,
                           const adm_real *q,                    /* [T, q_stride] */
                           const adm_real *k, const adm_real *v, /* [S, kv_stride] */
                           adm_real *ctx,                        /* [T, D] */
                           adm_real *lse,                        /* [T, H] */
                           adm_real *scores);
void adm_attention_backward(const adm_attention *attention, int64_t t, int64_t s, int64_t row0,
                            const adm_real *q, const adm_real *k, const adm_real *v,
                            const adm_real *ctx,                       /* [T, D] */
                            const adm_real *lse, const adm_real *dctx, /* [T, D] */
                            adm_real *dq,                              /* [T, q_stride] */
                            adm_real *dk, adm_real *dv,                /* [S, kv_stride] */
                            adm_real *scores, adm_real *dscores);

/* ---- embedding.c ---- */
/* Sinusoids of position p: sin(p f_j) then cos(p f_j), f_j = 10000^(-j / (D/2 - 1)) (Vaswani et al. 2017, in
   fairseq's arrangement); an odd last feature is 0. */
void adm_positions_fill(adm_real *table, /* [positions, D] */
                        int64_t positions, int64_t d);
/* x = sqrt(D) embedding[token] + position */
void adm_embedding_forward(const adm_real *embedding, /* [V, D] */
                           const adm_real *positions, /* [T, D] */
                           const int32_t *tokens,     /* [T] */
                           adm_real *x,               /* [T, D] */
                           int64_t t, int64_t d);
/* Columns [first, last) of dembedding [V, D] and, if not NULL, dpositions, += dx of packed sequences. */
void adm_embedding_backward(const adm_real *dx,     /* [M, D] */
                            const int32_t *tokens,  /* [M] */
                            const int64_t *offsets, /* [B + 1] */
                            int64_t count, int64_t d, int64_t first, int64_t last, adm_real *dembedding,
                            adm_real *dpositions);

#endif
