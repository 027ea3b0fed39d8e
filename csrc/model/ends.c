#include "model/ends.h"

#include "layers/embedding.h"
#include "model/resolve.h"
#include "model/work.h"

#include <math.h>
#include <string.h>

#define SITE_EMBEDDING 0xFFFFFFFFu /* above the sites of all sub-layers */
#define COLUMN_TILE 16             /* columns of the embedding's gradient that one task sums */

/* ---- embedding ---- */

static adm_embedding embedding_of(const adm_model *model, int number)
{
    const adm_stack *stack = &model->params.stacks[number];
    const adm_stack_buffers *buffers = &model->ws.stacks[number];
    const bool learned = stack->positions >= 0, rotary = model->config.positions == ADM_POSITIONS_ROTARY;
    const double scale = model->config.embedding_scale;
    adm_embedding embedding = {
        .d = model->config.d_model,
        .offsets = buffers->offsets,
        .starts = buffers->starts,
        .tokens = buffers->tokens,
        .embedding = model->weights + stack->embedding,
        .scale = (adm_real)(scale > 0 ? scale : sqrt((double)model->config.d_model)),
        .positions = learned  ? model->weights + stack->positions
                     : rotary ? NULL
                              : model->positions,
        .x = buffers->summed,
        .dx = buffers->dx,
    };
    if (model->gradients != NULL) {
        embedding.dembedding = model->gradients + stack->embedding;
        embedding.dpositions = learned ? model->gradients + stack->positions : NULL;
    }
    return embedding;
}

static adm_dropout embedding_dropout(const adm_model *model, int stack)
{
    return adm_resolve_dropout(model, model->config.dropout, stack, SITE_EMBEDDING);
}

static adm_norm embedding_norm(const adm_model *model, int number, adm_real *partials)
{
    const adm_stack_buffers *buffers = &model->ws.stacks[number];
    return adm_resolve_norm(model, &model->params.stacks[number].embedded, buffers->summed_stats,
                            buffers->rows, 0, partials);
}

/* x = dropout(Nembedding(embedding_scale embedding + position));  x0 = scale x */
void adm_embed_forward(adm_model *model, int number, int64_t chunk)
{
    const adm_workspace *ws = &model->ws;
    const adm_stack *stack = &model->params.stacks[number];
    const adm_stack_buffers *buffers = &ws->stacks[number];
    const int64_t d = model->config.d_model;
    const adm_span span = adm_chunk_span(ws, number, chunk);
    adm_real *x = buffers->embedded + span.first * d;
    if (stack->embedding >= 0) {
        const adm_embedding embedding = embedding_of(model, number);
        const adm_dropout dropout = embedding_dropout(model, number);
        const adm_norm norm = embedding_norm(model, number, NULL);
        adm_embedding_forward(&embedding, ws->chunks[chunk].sequence, span);
        if (adm_norm_exists(&norm))
            adm_norm_forward(model->kernels, &norm, buffers->summed, buffers->embedded, span);
        model->kernels->dropout(x, span.rows, d, span.first, &dropout);
    }
    if (stack->input_scale < 0)
        return;
    adm_real *x0 = buffers->x0 + span.first * d;
    const adm_real *scale = model->weights + stack->input_scale;
    if (stack->config->input_scale == ADM_SCALE_VECTOR)
        model->kernels->scale_add(scale, x, NULL, x0, span.rows, d);
    else
        model->kernels->multiply(scale[0], x, x0, span.rows * d);
}

/* x0 = scale x:                dscale = sum dx0 x, dx = scale dx0
   x = dropout(Nembedding(e)):  de = Nembedding'(dropout(dx)) */
void adm_embed_backward(adm_model *model, int number, int64_t chunk)
{
    const adm_stack *stack = &model->params.stacks[number];
    const adm_stack_buffers *buffers = &model->ws.stacks[number];
    const adm_kernels *kernels = model->kernels;
    const int64_t d = model->config.d_model;
    const adm_span span = adm_chunk_span(&model->ws, number, chunk);
    adm_real *dx = buffers->dx + span.first * d;
    adm_real *partials = buffers->edge_partials + chunk * stack->edge_slots.length;
    if (stack->input_scale >= 0) {
        const adm_real *scale = model->weights + stack->input_scale;
        kernels->add_column_dots(dx, buffers->embedded + span.first * d,
                                 partials + stack->partial_input_scale, span.rows, d);
        if (stack->config->input_scale == ADM_SCALE_VECTOR)
            kernels->scale_add(scale, dx, NULL, dx, span.rows, d);
        else
            kernels->multiply(scale[0], dx, dx, span.rows * d);
    }
    if (stack->embedding >= 0) {
        const adm_dropout dropout = embedding_dropout(model, number);
        const adm_norm norm = embedding_norm(model, number, partials);
        kernels->dropout(dx, span.rows, d, span.first, &dropout);
        if (adm_norm_exists(&norm))
            adm_norm_backward(kernels, &norm, buffers->dx, buffers->summed, buffers->dx, span);
    }
}

typedef struct scatter {
    adm_model *model;
    adm_embedding embedding;
    int64_t shares; /* of tokens, for each tile of columns */
} scatter;

static void scatter_task(void *context, int64_t task, int thread)
{
    const scatter *all = context;
    const adm_workspace *ws = &all->model->ws;
    adm_worker worker = adm_worker_begin(all->model, thread);
    const int64_t first = task / all->shares * COLUMN_TILE;
    const adm_embedding_share share = {task % all->shares, all->shares, first,
                                       adm_min(first + COLUMN_TILE, all->embedding.d)};
    adm_embedding_backward(&all->embedding, ws->shape.count, &share);
    adm_work_note(&worker, ADM_WORK_ROWS);
}

void adm_embed_scatter(adm_model *model, int stack)
{
    const int threads = model->ws.run.threads;
    const int64_t tiles = adm_pieces(model->config.d_model, COLUMN_TILE);
    scatter all = {model, embedding_of(model, stack), adm_pieces(threads, tiles)};
    adm_parallel_for(threads, tiles * all.shares, scatter_task, &all);
}

/* ---- final norm ---- */

/* end = Nfinal(x) */
void adm_end_forward(adm_model *model, int number, int64_t chunk)
{
    const adm_stack *stack = &model->params.stacks[number];
    const adm_stack_buffers *buffers = &model->ws.stacks[number];
    const adm_norm norm = adm_resolve_norm(model, &stack->final, buffers->end_stats, buffers->rows, 0, NULL);
    if (adm_norm_exists(&norm))
        adm_norm_forward(model->kernels, &norm, adm_stack_x(buffers, stack->num_sublayers), buffers->end,
                         adm_chunk_span(&model->ws, number, chunk));
}

/* end = Nfinal(x):  dx = Nfinal'(dend) */
void adm_end_backward(adm_model *model, int number, int64_t chunk)
{
    const adm_stack *stack = &model->params.stacks[number];
    const adm_stack_buffers *buffers = &model->ws.stacks[number];
    const int64_t length = stack->edge_slots.length;
    adm_real *partials = buffers->edge_partials + chunk * length;
    memset(partials, 0, (size_t)length * sizeof *partials);
    const adm_norm norm =
        adm_resolve_norm(model, &stack->final, buffers->end_stats, buffers->rows, 0, partials);
    if (adm_norm_exists(&norm))
        adm_norm_backward(model->kernels, &norm, buffers->dx, adm_stack_x(buffers, stack->num_sublayers),
                          buffers->dx, adm_chunk_span(&model->ws, number, chunk));
}
