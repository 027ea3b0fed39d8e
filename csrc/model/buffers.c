#include "model/buffers.h"

#include "model/batch.h"
#include "model/model.h"
#include "model/plan.h"
#include "model/work.h"

#include <string.h>

adm_status adm_workspace_need_threads(adm_model *model, int threads, adm_error *error)
{
    adm_workspace *ws = &model->ws;
    adm_arena arena = {0};
    adm_work_fold(model);
    if (ws->work == NULL || threads > ws->threads) {
        ws->work = NULL; /* the arena is laid out anew */
        adm_plan_workers(model, &arena, threads);
        const adm_status status = adm_arena_reserve(&ws->workers, arena.used, error);
        if (status != ADM_OK)
            return status;
        ws->workers.used = 0;
        adm_plan_workers(model, &ws->workers, threads);
        memset(ws->work, 0, (size_t)threads * ADM_WORK_STRIDE * sizeof *ws->work);
        ws->threads = threads;
    }
    ws->run.threads = threads;
    return ADM_OK;
}

/* Lays out the workspace; what it held is lost even if that fails. */
static adm_status lay_out(adm_model *model, const adm_shape *shape, const adm_run *run, adm_error *error)
{
    adm_workspace *ws = &model->ws;
    adm_arena arena = {0};
    if (model->weights == NULL)
        return adm_fail(error, ADM_ERROR_STATE, "an outline has no weights to compute with");
    model->activations_kept = false;
    model->gradients_kept = false;
    ws->hidden = false;
    ws->shape = (adm_shape){0}; /* of nothing, should the rest fail */
    adm_plan(model, &arena, shape);
    if (arena.too_large)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for more than 2^64 bytes of activations");
    adm_status status = adm_arena_reserve(&ws->arena, arena.used, error);
    if (status != ADM_OK)
        return status;
    ws->arena.used = 0;
    adm_plan(model, &ws->arena, shape);
    ws->shape = *shape;
    ws->run = *run;
    ws->run.stop = NULL; /* until the pass begins */
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; i < model->params.stacks[s].num_sublayers; i++)
            adm_workspace_fill_scales(model, s, i);
    return adm_workspace_need_threads(model, run->threads, error);
}

void adm_workspace_fill_scales(adm_model *model, int stack, int64_t index)
{
    const adm_sublayer *sub = &model->params.stacks[stack].sublayers[index];
    adm_sublayer_buffers *buffers = &model->ws.stacks[stack].sublayers[index];
    const int64_t d = model->config.d_model;
    buffers->omega = sub->omega < 0 ? NULL : model->weights + sub->omega;
    buffers->alpha = sub->alpha < 0 ? NULL : model->weights + sub->alpha;
    for (int64_t c = 0; buffers->omega_filled != NULL && c < d; c++)
        buffers->omega_filled[c] = model->weights[sub->omega];
    for (int64_t c = 0; buffers->alpha_filled != NULL && c < d; c++)
        buffers->alpha_filled[c] = model->weights[sub->alpha];
    if (buffers->omega_filled != NULL)
        buffers->omega = buffers->omega_filled;
    if (buffers->alpha_filled != NULL)
        buffers->alpha = buffers->alpha_filled;
}

/* Offsets, tokens and (if not NULL) labels of one stack, from packed sequences. */
static void copy_sequences(adm_stack_buffers *buffers, const adm_sequences *sequences, int64_t unread,
                           int32_t *labels)
{
    int64_t row = 0;
    for (int64_t b = 0; b < sequences->count; b++) {
        const int32_t *tokens = sequences->tokens + sequences->offsets[b];
        const int64_t length = sequences->offsets[b + 1] - sequences->offsets[b] - unread;
        buffers->offsets[b] = row;
        memcpy(buffers->tokens + row, tokens, (size_t)length * sizeof *tokens);
        if (labels != NULL)
            memcpy(labels + row, tokens + 1, (size_t)length * sizeof *tokens);
        row += length;
    }
    buffers->offsets[sequences->count] = row;
}

static adm_status measure(adm_model *model, const adm_shape *shape, int threads, adm_memory_plan *result,
                          adm_error *error)
{
    const adm_memory_plan given = *result;
    adm_arena arena = {0}, workers = {0};
    model->activations_kept = model->gradients_kept = model->ws.hidden = false;
    adm_work_fold(model);
    adm_plan(model, &arena, shape);
    adm_plan_workers(model, &workers, threads);
    if (arena.too_large)
        return adm_fail(error, ADM_ERROR_VALUE, "a step on such a batch would hold more than 2^64 bytes");
    *result = model->ws.sizes;
    result->weights = given.weights;
    result->gradients = given.gradients;
    result->other += workers.used;
    result->activations += workers.used;
    return ADM_OK;
}

adm_status adm_workspace_measure(adm_model *model, const adm_batch *batch, const adm_run *run,
                                 adm_memory_plan *result, adm_error *error)
{
    const adm_status status = adm_run_check(run, error);
    if (status != ADM_OK)
        return status;
    const adm_shape shape = adm_shape_of_batch(&model->params, batch, run, adm_keep_backward(run), true);
    return measure(model, &shape, run->threads, result, error);
}

adm_status adm_workspace_measure_lengths(adm_model *model, const adm_lengths *lengths, const adm_run *run,
                                         adm_memory_plan *result, adm_error *error)
{
    const adm_status status = adm_run_check(run, error);
    if (status != ADM_OK)
        return status;
    const adm_shape shape = adm_shape_of_lengths(&model->params, lengths, run);
    return measure(model, &shape, run->threads, result, error);
}

adm_status adm_workspace_for_batch(adm_model *model, const adm_batch *batch, const adm_run *run,
                                   adm_keep keep, bool backward, adm_error *error)
{
    adm_workspace *ws = &model->ws;
    adm_status status = adm_run_check(run, error);
    if (status != ADM_OK)
        return status;
    const adm_shape shape = adm_shape_of_batch(&model->params, batch, run, keep, backward);
    adm_side sides[2];
    adm_batch_sides(&model->params, batch, sides);
    status = adm_model_need_positions(model, shape.longest, error);
    if (status == ADM_OK)
        status = lay_out(model, &shape, run, error);
    if (status != ADM_OK)
        return status;
    adm_cut_chunks(sides, shape.count, ws->chunks);
    if (adm_has_stack(&model->params, ADM_ENCODER))
        copy_sequences(&ws->stacks[ADM_ENCODER], &batch->source, 0, NULL);
    if (adm_has_stack(&model->params, ADM_DECODER))
        copy_sequences(&ws->stacks[ADM_DECODER], adm_decoded(&model->params, batch), 1, ws->labels);
    return ADM_OK;
}

adm_status adm_workspace_for_steps(adm_model *model, const adm_steps *steps, const adm_run *run,
                                   adm_error *error)
{
    adm_workspace *ws = &model->ws;
    const int64_t rows = steps->rows, in_chunk = adm_step_chunk(rows, run->threads);
    int64_t longest = 0;
    for (int64_t i = 0; i < rows; i++)
        longest = adm_max(longest, steps->positions[i] + 1);
    adm_status status = adm_model_need_positions(model, longest, error);
    if (status == ADM_OK &&
        !(ws->shape.steps && ws->shape.count == rows && ws->run.threads == run->threads)) {
        const adm_shape shape = adm_shape_of_steps(&model->params, rows, run->threads);
        status = lay_out(model, &shape, run, error);
    }
    if (status != ADM_OK)
        return status;
    ws->run = *run;
    ws->run.stop = NULL;
    for (int64_t chunk = 0; chunk <= ws->shape.chunks; chunk++) {
        const int64_t first = adm_min(chunk * in_chunk, rows);
        ws->chunks[chunk] = (adm_chunk){first, 0, 1, {0, first}};
    }
    adm_stack_buffers *buffers = &ws->stacks[ADM_DECODER];
    memcpy(buffers->tokens, steps->tokens, (size_t)rows * sizeof *steps->tokens);
    memcpy(buffers->starts, steps->positions, (size_t)rows * sizeof *steps->positions);
    for (int64_t i = 0; i <= rows; i++)
        buffers->offsets[i] = i;
    return ADM_OK;
}

adm_status adm_workspace_for_hidden(adm_model *model, const adm_hidden *input, const adm_run *run,
                                    adm_keep keep, bool backward, adm_error *error)
{
    adm_workspace *ws = &model->ws;
    const int64_t d = model->config.d_model;
    const size_t bytes = (size_t)(input->count + 1) * sizeof *input->offsets; /* of offsets */
    adm_status status = adm_run_check(run, error);
    if (status != ADM_OK)
        return status;
    const adm_shape shape = adm_shape_of_hidden(&model->params, input, run, keep, backward);
    adm_side sides[2];
    adm_hidden_sides(input, sides);
    if (model->config.positions == ADM_POSITIONS_ROTARY)
        status = adm_model_need_positions(model, shape.longest, error);
    if (status == ADM_OK)
        status = lay_out(model, &shape, run, error);
    if (status != ADM_OK)
        return status;
    adm_cut_chunks(sides, shape.count, ws->chunks);
    adm_stack_buffers *buffers =
        &ws->stacks[adm_has_stack(&model->params, ADM_ENCODER) ? ADM_ENCODER : ADM_DECODER];
    memcpy(buffers->offsets, input->offsets, bytes);
    memcpy(buffers->embedded, input->x, (size_t)(buffers->rows * d) * sizeof *buffers->embedded);
    if (shape.memory_rows > 0) {
        memcpy(ws->memory_offsets, input->memory_offsets, bytes);
        memcpy(ws->memory_copy, input->memory, (size_t)(shape.memory_rows * d) * sizeof *ws->memory_copy);
    }
    return ADM_OK;
}
