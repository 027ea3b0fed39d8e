/* softmax(scale Q K^T) V, all heads of one sequence */
#ifndef ADM_LAYERS_ATTENTION_H
#define ADM_LAYERS_ATTENTION_H

#include "layers/worker.h"

/* What becomes of a product of query and key before its softmax. */
typedef struct adm_scoring {
    adm_real scale; /* 1 where there is a cap, whose factor has it */
    adm_cap cap;
} adm_scoring;

typedef struct adm_attention {
    int64_t heads, kv_heads; /* H of queries, G of keys and values, which divides H */
    int64_t width;           /* K */
    adm_scoring scoring;
    bool causal;
    int64_t window; /* a query sees keys less than so far away; 0: however far */
    adm_dropout dropout;
    int64_t q_stride, kv_stride; /* between rows of q, and of k and v */
    int64_t ctx_stride;
} adm_attention;

/* T queries against S keys; a forward pass needs no gradients. */
typedef struct adm_attention_sequence {
    int64_t queries, keys; /* T, S */
    int64_t row;           /* of the first query in the batch: dropout's numbers are keyed by it */
    const adm_real *q;     /* [T, q_stride] */
    const adm_real *k, *v; /* [S, kv_stride] */
    adm_real *ctx;         /* [T, ctx_stride] */
    adm_real *lse;         /* [T, H] */
    const adm_real *dctx;  /* [T, ctx_stride] */
    adm_real *dq;          /* [T, q_stride] */
    adm_real *dk, *dv;     /* [S, kv_stride] */
} adm_attention_sequence;

/* Some of the heads, and of them a part: forward of the queries, backward of the keys. */
typedef struct adm_attention_share {
    int64_t first_head, last_head;
    int64_t part, parts;
    int64_t
        *done; /* [parts, H] tiles of queries that a part of the keys has seen; of a backward pass in parts */
} adm_attention_share;

void adm_attention_forward(adm_worker *worker, const adm_attention *attention,
                           const adm_attention_sequence *sequence, const adm_attention_share *share);
/* A part waits for the one before it, whose sums it continues: the part of the same heads has to begin first. Heads that
   read the same keys are in one share. */
void adm_attention_backward(adm_worker *worker, const adm_attention *attention,
                            const adm_attention_sequence *sequence, const adm_attention_share *share);

#endif
