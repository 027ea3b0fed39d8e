/* x = scale embedding[token] + position */
#ifndef ADM_LAYERS_EMBEDDING_H
#define ADM_LAYERS_EMBEDDING_H

#include "layers/span.h"

/* Sinusoids of position p: sin(p f_j) then cos(p f_j), f_j = 10000^(-j / (D/2 - 1)) (Vaswani et al. 2017, in
   fairseq's arrangement); an odd last feature is 0. */
void adm_positions_fill(adm_real *table, /* [positions, D] */
                        int64_t positions, int64_t d);

/* Packed sequences of tokens and their vectors; the gradients are NULL in a forward pass. */
typedef struct adm_embedding {
    int64_t d;                 /* D */
    const int64_t *offsets;    /* [B + 1] */
    const int64_t *starts;     /* [B] positions of the first tokens, or NULL: 0 */
    const int32_t *tokens;     /* [M] */
    const adm_real *embedding; /* [V, D] */
    adm_real scale;            /* mostly sqrt(D) */
    const adm_real *positions; /* [longest, D], or NULL: nothing is added */
    adm_real *x;               /* [M, D] */
    const adm_real *dx;        /* [M, D] */
    adm_real *dembedding;      /* [V, D] */
    adm_real *dpositions;      /* [longest, D], or NULL: they are not trained */
} adm_embedding;

/* Of consecutive rows; the first is of sequence `first`. */
void adm_embedding_forward(const adm_embedding *embedding, int64_t first, adm_span span);
/* A share of the gradients: of tokens and positions whose number is `share` modulo `shares`, columns [first, last). */
typedef struct adm_embedding_share {
    int64_t share, shares, first, last;
} adm_embedding_share;

/* The share += that of sequences [0, count). */
void adm_embedding_backward(const adm_embedding *embedding, int64_t count, const adm_embedding_share *of);

#endif
