/* What an attention branch computes between h and what its last map reads:

     q k v   = h W_in^T + bias, or q alone, and then k v = memory W_kv^T + bias
     q, k    = Nq(q), Nk(k), turned by their positions
     context = attention(q, k, v) */
#ifndef ADM_LAYERS_ATTENTION_BLOCK_H
#define ADM_LAYERS_ATTENTION_BLOCK_H

#include "layers/attention.h"
#include "layers/linear.h"
#include "layers/norm.h"
#include "layers/part_norm.h"
#include "layers/rotary.h"
#include "layers/worker.h"

/* Rows from one of a sequence on; all others are found from there. */
typedef struct adm_attention_block {
    adm_attention attention;
    adm_part_norm q_norm, k_norm;         /* where they have norms */
    adm_rotary_rows rotary;               /* of q and k in `in`, where these have positions */
    const adm_linear *in;                 /* [M, D] -> [M, H K + 2 G K] or, with kv, [M, H K] */
    const adm_linear *kv;                 /* memory [M_memory, D] -> [M_memory, 2 G K], or NULL */
    adm_real *dcontext;                   /* [M, H K], or NULL: no backward pass is laid out */
    const int64_t *offsets, *key_offsets; /* [B + 1] of the queries' and the keys' rows */
    int64_t first, last;                  /* sequences, whole, or a part of one */
    int64_t row, key_row;                 /* numbers of the first rows of the queries and the keys */
    adm_real *context;                    /* [M, H K] */
    adm_real *lse;                        /* [M, H] */
} adm_attention_block;

/* One after another: up to the attention, and some heads' attention. */
void adm_attention_block_forward_in(adm_worker *worker, const adm_attention_block *block);
void adm_attention_block_forward_heads(adm_worker *worker, const adm_attention_block *block,
                                       const adm_attention_share *share);
/* From the gradient of the context to those of what the maps compute. Add to the gradients of norms and biases. */
void adm_attention_block_backward_heads(adm_worker *worker, const adm_attention_block *block,
                                        const adm_attention_share *share);
void adm_attention_block_backward_rows(adm_worker *worker, const adm_attention_block *block);

#endif
