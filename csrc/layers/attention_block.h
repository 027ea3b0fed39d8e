/* What an attention branch computes between h and a:

     q k v = h W_in^T + bias, or q alone, and then k v = memory W_kv^T + bias
     a     = Ninner(attention(q, k, v)) W_out^T */
#ifndef ADM_LAYERS_ATTENTION_BLOCK_H
#define ADM_LAYERS_ATTENTION_BLOCK_H

#include "layers/attention.h"
#include "layers/linear.h"
#include "layers/norm.h"
#include "layers/worker.h"

/* All rows begin with those of sequence `first`. */
typedef struct adm_attention_block {
    adm_attention attention;
    const adm_linear *in;                 /* [M, D] -> [M, 3D] or, with kv, [M, D] */
    const adm_linear *kv;                 /* memory [M_memory, D] -> [M_memory, 2D], or NULL */
    const adm_linear *out;                /* context, normed -> [M, D]; dx is the gradient of context */
    const adm_norm *norm;                 /* Ninner */
    const int64_t *offsets, *key_offsets; /* [B + 1] of the queries' and the keys' rows */
    int64_t first, last;                  /* sequences */
    adm_real *context;                    /* [M, D] */
    adm_real *normed;                     /* [M, D] Ninner(context), or NULL */
    adm_real *lse;                        /* [M, H] */
} adm_attention_block;

void adm_attention_block_forward(adm_worker *worker, const adm_attention_block *block);
/* Adds to dmemory, and to all gradients of parameters but those of weights. */
void adm_attention_block_backward(adm_worker *worker, const adm_attention_block *block);

#endif
