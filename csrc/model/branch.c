/* What a residual branch computes between h and a: attention over the sequence or the memory, or feed-forward. The
   last bias and the dropout of a are the residual formula's (sublayer.c), where they cost no pass of their own. */
#include "model/model_internal.h"

/* Dropout sites: a number of their own for every place of every sub-layer. */
#define SITE_ATTENTION 1
#define SITE_ACTIVATION 2

static adm_dropout dropout_at(const adm_model *model, const adm_sublayer *sub, double p, uint64_t place)
{
    const adm_run *run = &model->ws.run;
    return adm_dropout_make(p, run->training, run->seed, run->step,
                            ((uint64_t)sub->stack << 32) + (uint64_t)sub->index * 4 + place);
}

static adm_attention attention_of(const adm_model *model, const adm_sublayer *sub)
{
    const adm_config *config = &model->config;
    const int64_t d = config->d_model;
    const bool self = sub->kind == ADM_BRANCH_SELF_ATTENTION;
    return (adm_attention){
        .kernels = model->kernels,
        .heads = config->heads,
        .width = d / config->heads,
        .causal = self && model->stacks[sub->stack].config->causal,
        .dropout = dropout_at(model, sub, config->attention_dropout, SITE_ATTENTION),
        .q_stride = self ? 3 * d : d,
        .kv_stride = self ? 3 * d : 2 * d,
        .ctx_stride = d,
    };
}

/* Where the keys and values of a sub-layer lie: beside the queries, or in the projection of the memory. */
typedef struct key_side {
    const int64_t *offsets;
    adm_real *k, *v;   /* [., kv_stride] */
    adm_real *dk, *dv; /* NULL in a forward pass */
} key_side;

static key_side keys_of(adm_model *model, const adm_sublayer *sub, adm_real *dproj, adm_real *dkv)
{
    const int64_t d = model->config.d_model;
    const adm_stack_acts *stack = &model->ws.stacks[sub->stack];
    const adm_sublayer_acts *acts = &stack->sublayers[sub->index];
    if (sub->kind == ADM_BRANCH_SELF_ATTENTION)
        return (key_side){stack->offsets, acts->proj + d, acts->proj + 2 * d,
                          dproj == NULL ? NULL : dproj + d, dproj == NULL ? NULL : dproj + 2 * d};
    return (key_side){model->ws.memory_offsets, acts->kv, acts->kv + d, dkv, dkv == NULL ? NULL : dkv + d};
}

static void attention_forward(adm_model *model, const adm_sublayer *sub, int64_t chunk, int thread)
{
    adm_workspace *ws = &model->ws;
    const adm_stack_acts *stack = &ws->stacks[sub->stack];
    const adm_sublayer_acts *acts = &stack->sublayers[sub->index];
    const adm_attention attention = attention_of(model, sub);
    const key_side keys = keys_of(model, sub, NULL, NULL);
    const int64_t d = model->config.d_model, heads = model->config.heads;
    adm_real *scores = ws->scores + thread * 2 * ws->score_size;
    for (int64_t b = ws->chunks[chunk]; b < ws->chunks[chunk + 1]; b++) {
        const int64_t row = stack->offsets[b], key = keys.offsets[b];
        adm_attention_forward(&attention, stack->offsets[b + 1] - row, keys.offsets[b + 1] - key, row,
                              acts->proj + row * attention.q_stride, keys.k + key * attention.kv_stride,
                              keys.v + key * attention.kv_stride, acts->inner + row * d,
                              acts->lse + row * heads, scores);
    }
}

static void attention_backward(adm_model *model, const adm_sublayer *sub, adm_real *dproj, adm_real *dkv,
                               int64_t chunk, int thread)
{
    adm_workspace *ws = &model->ws;
    const adm_stack_acts *stack = &ws->stacks[sub->stack];
    const adm_sublayer_acts *acts = &stack->sublayers[sub->index];
    const adm_attention attention = attention_of(model, sub);
    const key_side keys = keys_of(model, sub, dproj, dkv);
    const int64_t d = model->config.d_model, heads = model->config.heads;
    adm_real *scores = ws->scores + thread * 2 * ws->score_size;
    for (int64_t b = ws->chunks[chunk]; b < ws->chunks[chunk + 1]; b++) {
        const int64_t row = stack->offsets[b], key = keys.offsets[b];
        const int64_t q = row * attention.q_stride, kv = key * attention.kv_stride;
        adm_attention_backward(&attention, stack->offsets[b + 1] - row, keys.offsets[b + 1] - key, row,
                               acts->proj + q, keys.k + kv, keys.v + kv, acts->inner + row * d,
                               acts->lse + row * heads, ws->dinner + row * d, dproj + q, keys.dk + kv,
                               keys.dv + kv, scores, scores + ws->score_size);
    }
}

/* attention:    proj = h W_in^T + bias (, kv = memory W_kv^T + bias), inner = attention(proj, kv)
   feed-forward: inner = dropout(activation(h W_in^T + bias))
   both:         a = Ninner(inner) W_out^T */
void adm_branch_forward(adm_model *model, const adm_sublayer *sub, const adm_real *h, int64_t chunk,
                        int thread)
{
    adm_workspace *ws = &model->ws;
    const adm_kernels *kernels = model->kernels;
    const adm_stack_acts *stack = &ws->stacks[sub->stack];
    const adm_sublayer_acts *acts = &stack->sublayers[sub->index];
    const int64_t d = model->config.d_model;
    const adm_span span = adm_chunk_span(ws, stack->offsets, chunk);
    const adm_matrix in = adm_linear_resolve(model, &sub->in);
    adm_matrix out = adm_linear_resolve(model, &sub->out);
    out.bias = NULL;
    adm_real *proj = acts->proj + span.first * in.out;
    adm_real *inner = acts->inner + span.first * out.in;
    double since = adm_clock();
    if (sub->kind == ADM_BRANCH_FEED_FORWARD) {
        const adm_dropout dropout = dropout_at(model, sub, model->config.activation_dropout, SITE_ACTIVATION);
        const bool relu = model->config.activation == ADM_ACTIVATION_RELU;
        adm_linear_forward(kernels, &in, h, proj, relu, span.rows);
        adm_work_note(model, ADM_WORK_PRODUCTS, thread, &since);
        if (!relu)
            kernels->gelu_forward(proj, inner, span.rows * in.out);
        kernels->dropout(inner, span.rows, in.out, span.first, &dropout);
    } else {
        adm_linear_forward(kernels, &in, h, proj, false, span.rows);
        if (sub->kind == ADM_BRANCH_CROSS_ATTENTION) {
            const adm_matrix kv = adm_linear_resolve(model, &sub->kv);
            const adm_span memory = adm_chunk_span(ws, ws->memory_offsets, chunk);
            adm_linear_forward(kernels, &kv, ws->memory + memory.first * d, acts->kv + memory.first * 2 * d,
                               false, memory.rows);
        }
        adm_work_note(model, ADM_WORK_PRODUCTS, thread, &since);
        attention_forward(model, sub, chunk, thread);
        adm_work_note(model, ADM_WORK_ATTENTION, thread, &since);
    }
    if (sub->inner.kind != ADM_NORM_NONE) {
        const adm_norm_args norm = adm_norm_resolve(model, &sub->inner);
        adm_real *normed = acts->inner_normed + span.first * out.in;
        kernels->norm_forward(&norm, inner, normed, acts->inner_stats + span.first,
                              acts->inner_stats + stack->rows + span.first, span.rows);
        inner = normed;
    }
    adm_work_note(model, ADM_WORK_ROWS, thread, &since);
    adm_linear_forward(kernels, &out, inner, acts->a + span.first * d, false, span.rows);
    adm_work_note(model, ADM_WORK_PRODUCTS, thread, &since);
}

/* dinner = da W_out, through Ninner; then
   attention:    dproj, dkv from attention; dh = dproj W_in, dmemory += dkv W_kv
   feed-forward: dproj = dinner through dropout and activation; dh = dproj W_in */
void adm_branch_backward(adm_model *model, const adm_sublayer *sub, adm_real *partials, int64_t chunk,
                         int thread)
{
    adm_workspace *ws = &model->ws;
    const adm_kernels *kernels = model->kernels;
    const adm_stack_acts *stack = &ws->stacks[sub->stack];
    const adm_sublayer_acts *acts = &stack->sublayers[sub->index];
    const int64_t d = model->config.d_model;
    const int parity = (int)(sub->index % 2);
    const adm_span span = adm_chunk_span(ws, stack->offsets, chunk);
    const bool feed_forward = sub->kind == ADM_BRANCH_FEED_FORWARD;
    const adm_matrix in = adm_linear_resolve(model, &sub->in), out = adm_linear_resolve(model, &sub->out);
    adm_real *dproj = ws->dproj[parity] + span.first * in.out;
    adm_real *dinner = feed_forward ? dproj : ws->dinner + span.first * d;
    const adm_real *inner = acts->inner + span.first * out.in;
    double since = adm_clock();

    adm_linear_backward_input(kernels, &out, ws->da[parity] + span.first * d, dinner, false, span.rows);
    adm_work_note(model, ADM_WORK_PRODUCTS, thread, &since);
    if (sub->inner.kind != ADM_NORM_NONE) {
        const adm_norm_args norm = adm_norm_resolve(model, &sub->inner);
        const adm_norm_grads grads = adm_norm_partials(&sub->inner, partials);
        kernels->norm_backward(&norm, dinner, inner, acts->inner_stats + span.first,
                               acts->inner_stats + stack->rows + span.first, dinner, &grads, span.rows);
    }
    if (feed_forward) {
        const adm_dropout dropout = dropout_at(model, sub, model->config.activation_dropout, SITE_ACTIVATION);
        kernels->activation_backward(model->config.activation, dproj, acts->proj + span.first * in.out, inner,
                                     span.rows, in.out, span.first, &dropout);
    } else {
        adm_work_note(model, ADM_WORK_ROWS, thread, &since);
        attention_backward(model, sub, ws->dproj[parity], ws->dkv[parity], chunk, thread);
        adm_work_note(model, ADM_WORK_ATTENTION, thread, &since);
    }
    kernels->add_column_sums(dproj, partials + sub->in.partial_bias, span.rows, in.out);
    adm_work_note(model, ADM_WORK_ROWS, thread, &since);
    adm_linear_backward_input(kernels, &in, dproj, ws->dh + span.first * d, false, span.rows);
    if (sub->kind == ADM_BRANCH_CROSS_ATTENTION) {
        const adm_matrix kv = adm_linear_resolve(model, &sub->kv);
        const adm_span memory = adm_chunk_span(ws, ws->memory_offsets, chunk);
        const adm_real *dkv = ws->dkv[parity] + memory.first * 2 * d;
        kernels->add_column_sums(dkv, partials + sub->kv.partial_bias, memory.rows, 2 * d);
        adm_linear_backward_input(kernels, &kv, dkv, ws->dmemory + memory.first * d, true, memory.rows);
    }
    adm_work_note(model, ADM_WORK_PRODUCTS, thread, &since);
}
