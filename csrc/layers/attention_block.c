#include "layers/attention_block.h"

/* NULL stays NULL: no backward pass is laid out. */
static adm_real *from(adm_real *x, int64_t at)
{
    return x == NULL ? NULL : x + at;
}

static adm_attention_sequence sequence_of(const adm_attention_block *block, int64_t b)
{
    const adm_attention *attention = &block->attention;
    const int64_t d = attention->ctx_stride, row = block->offsets[b] - block->row;
    const int64_t key = block->key_offsets[b] - block->key_row;
    const adm_linear *keys = block->kv != NULL ? block->kv : block->in;
    const int64_t q = row * attention->q_stride;
    const int64_t k = key * attention->kv_stride + (block->kv != NULL ? 0 : d);
    const int64_t v = k + attention->kv_heads * attention->width;
    return (adm_attention_sequence){
        .queries = block->offsets[b + 1] - block->offsets[b],
        .keys = block->key_offsets[b + 1] - block->key_offsets[b],
        .row = block->offsets[b],
        .q = block->in->y + q,
        .k = keys->y + k,
        .v = keys->y + v,
        .ctx = block->context + row * d,
        .lse = block->lse + row * attention->heads,
        .dctx = from(block->dcontext, row * d),
        .dq = from(block->in->dy, q),
        .dk = from(keys->dy, k),
        .dv = from(keys->dy, v),
    };
}

void adm_attention_block_forward_in(adm_worker *worker, const adm_attention_block *block)
{
    adm_linear_forward(worker, block->in, false);
    if (block->kv != NULL)
        adm_linear_forward(worker, block->kv, false);
    adm_work_note(worker, ADM_WORK_PRODUCTS);
    adm_part_norm_forward(worker->kernels, &block->q_norm);
    adm_part_norm_forward(worker->kernels, &block->k_norm);
    if (block->rotary.rotation.rotated > 0)
        adm_rotary_turn(worker->kernels, &block->rotary, false, block->in->y);
    adm_work_note(worker, ADM_WORK_ROWS);
}

void adm_attention_block_forward_heads(adm_worker *worker, const adm_attention_block *block,
                                       const adm_attention_share *share)
{
    for (int64_t b = block->first; b < block->last; b++) {
        const adm_attention_sequence sequence = sequence_of(block, b);
        adm_attention_forward(worker, &block->attention, &sequence, share);
    }
    adm_work_note(worker, ADM_WORK_ATTENTION);
}

/* context = attention(q, k, v):             dq, dk, dv */
void adm_attention_block_backward_heads(adm_worker *worker, const adm_attention_block *block,
                                        const adm_attention_share *share)
{
    for (int64_t b = block->first; b < block->last; b++) {
        const adm_attention_sequence sequence = sequence_of(block, b);
        adm_attention_backward(worker, &block->attention, &sequence, share);
    }
    adm_work_note(worker, ADM_WORK_ATTENTION);
}

/* q, k = Nq(q), Nk(k), turned:              turned back, dq = Nq'(dq), dk = Nk'(dk)
   q k v = h W_in^T + bias:                  dbias = sum of dqkv */
void adm_attention_block_backward_rows(adm_worker *worker, const adm_attention_block *block)
{
    if (block->rotary.rotation.rotated > 0)
        adm_rotary_turn(worker->kernels, &block->rotary, true, block->in->dy);
    adm_part_norm_backward(worker->kernels, &block->q_norm);
    adm_part_norm_backward(worker->kernels, &block->k_norm);
    adm_linear_backward_bias(worker, block->in);
    if (block->kv != NULL)
        adm_linear_backward_bias(worker, block->kv);
    adm_work_note(worker, ADM_WORK_ROWS);
}
