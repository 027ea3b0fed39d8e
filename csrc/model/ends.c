/* The ends of a stack, a chunk at a time: embedding and final norm. */
#include "model/model_internal.h"

#include <string.h>

#define SITE_EMBEDDING 0xFFFFFFFFu /* above the sites of all sub-layers */

static adm_dropout embedding_dropout(const adm_model *model, int stack)
{
    const adm_run *run = &model->ws.run;
    return adm_dropout_make(model->config.dropout, run->training, run->seed, run->step,
                            ((uint64_t)stack << 32) + SITE_EMBEDDING);
}

void adm_embed_chunk(adm_model *model, int number, int64_t chunk)
{
    const adm_stack *stack = &model->stacks[number];
    adm_stack_acts *acts = &model->ws.stacks[number];
    const adm_kernels *kernels = model->kernels;
    const int64_t d = model->config.d_model;
    const adm_span span = adm_chunk_span(&model->ws, acts->offsets, chunk);
    adm_real *x = acts->embedded + span.first * d;
    if (stack->embedding >= 0) {
        const adm_dropout dropout = embedding_dropout(model, number);
        const adm_real *positions =
            stack->positions >= 0 ? model->weights + stack->positions : model->sinusoids;
        for (int64_t b = model->ws.chunks[chunk]; b < model->ws.chunks[chunk + 1]; b++) {
            const int64_t row = acts->offsets[b];
            adm_embedding_forward(model->weights + stack->embedding, positions, acts->tokens + row,
                                  acts->embedded + row * d, acts->offsets[b + 1] - row, d);
        }
        kernels->dropout(x, span.rows, d, span.first, &dropout);
    }
    if (stack->input_scale < 0)
        return;
    adm_real *x0 = acts->x0 + span.first * d;
    const adm_real *scale = model->weights + stack->input_scale;
    if (stack->config->input_scale == ADM_SCALE_VECTOR)
        kernels->scale_add(scale, x, NULL, x0, span.rows, d);
    else
        kernels->multiply(scale[0], x, x0, span.rows * d);
}

void adm_embed_chunk_backward(adm_model *model, int number, int64_t chunk)
{
    const adm_stack *stack = &model->stacks[number];
    adm_stack_acts *acts = &model->ws.stacks[number];
    const adm_kernels *kernels = model->kernels;
    const int64_t d = model->config.d_model;
    const adm_span span = adm_chunk_span(&model->ws, acts->offsets, chunk);
    adm_real *dx = acts->dx + span.first * d;
    if (stack->input_scale >= 0) {
        adm_real *partial =
            acts->edge_partials + chunk * stack->edge_slots.length + stack->partial_input_scale;
        const adm_real *scale = model->weights + stack->input_scale;
        kernels->add_column_dots(dx, acts->embedded + span.first * d, partial, span.rows, d);
        if (stack->config->input_scale == ADM_SCALE_VECTOR)
            kernels->scale_add(scale, dx, NULL, dx, span.rows, d);
        else
            kernels->multiply(scale[0], dx, dx, span.rows * d);
    }
    if (stack->embedding >= 0) {
        const adm_dropout dropout = embedding_dropout(model, number);
        kernels->dropout(dx, span.rows, d, span.first, &dropout);
    }
}

void adm_finish_chunk(adm_model *model, int number, int64_t chunk)
{
    const adm_stack *stack = &model->stacks[number];
    adm_stack_acts *acts = &model->ws.stacks[number];
    if (stack->final.kind == ADM_NORM_NONE)
        return;
    const int64_t d = model->config.d_model;
    const adm_span span = adm_chunk_span(&model->ws, acts->offsets, chunk);
    const adm_norm_args norm = adm_norm_resolve(model, &stack->final);
    model->kernels->norm_forward(&norm, adm_stack_x(acts, stack->num_sublayers) + span.first * d,
                                 acts->end + span.first * d, acts->end_stats + span.first,
                                 acts->end_stats + acts->rows + span.first, span.rows);
}

void adm_finish_chunk_backward(adm_model *model, int number, int64_t chunk)
{
    const adm_stack *stack = &model->stacks[number];
    adm_stack_acts *acts = &model->ws.stacks[number];
    const int64_t d = model->config.d_model, length = stack->edge_slots.length;
    adm_real *partials = acts->edge_partials + chunk * length;
    memset(partials, 0, (size_t)length * sizeof *partials);
    if (stack->final.kind == ADM_NORM_NONE)
        return;
    const adm_span span = adm_chunk_span(&model->ws, acts->offsets, chunk);
    const adm_norm_args norm = adm_norm_resolve(model, &stack->final);
    const adm_norm_grads grads = adm_norm_partials(&stack->final, partials);
    adm_real *dx = acts->dx + span.first * d;
    model->kernels->norm_backward(&norm, dx, adm_stack_x(acts, stack->num_sublayers) + span.first * d,
                                  acts->end_stats + span.first, acts->end_stats + acts->rows + span.first, dx,
                                  &grads, span.rows);
}
