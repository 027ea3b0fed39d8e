/* Whole passes: tokens to logits, to loss, to gradients; and the same for stacks of hidden states alone. */
#include "model/model_internal.h"

#include <math.h>
#include <string.h>

#define COLUMN_TILE 16 /* columns of the embedding's gradient that one task sums */

static bool has_stack(const adm_model *model, int stack)
{
    return model->stacks[stack].num_sublayers > 0;
}

void adm_begin_pass(adm_model *model, adm_stop *stop)
{
    model->ws.run.stop = stop;
    adm_pack_weights(model);
}

adm_status adm_end_pass(adm_model *model, adm_error *error)
{
    const adm_status status = adm_stop_status(model->ws.run.stop, error);
    model->ws.run.stop = NULL; /* it was of this call */
    return status;
}

adm_status adm_model_forward(adm_model *model, const adm_batch *batch, const adm_run *run, adm_real *out,
                             adm_error *error)
{
    const adm_keep keep = run->observe ? ADM_KEEP_BRANCHES : ADM_KEEP_NOTHING;
    adm_status status = adm_model_check_batch(model, batch, error);
    if (status == ADM_OK)
        status = adm_workspace_for_batch(model, batch, run, keep, false, error);
    if (status != ADM_OK)
        return status;
    adm_begin_pass(model, run->stop);
    adm_stacks_forward(model);
    if (has_stack(model, ADM_DECODER)) {
        adm_output_logits(model, out);
    } else {
        const adm_stack_acts *acts = &model->ws.stacks[ADM_ENCODER];
        memcpy(out, acts->end, (size_t)(acts->rows * model->config.d_model) * sizeof *out);
    }
    return adm_end_pass(model, error);
}

static adm_status check_loss(const adm_model *model, const adm_batch *batch, adm_error *error)
{
    if (!has_stack(model, ADM_DECODER))
        return adm_fail(error, ADM_ERROR_STATE, "a model without a decoder has no loss; use forward");
    return adm_model_check_batch(model, batch, error);
}

adm_status adm_model_loss(adm_model *model, const adm_batch *batch, const adm_run *run, adm_loss *loss,
                          adm_error *error)
{
    adm_status status = check_loss(model, batch, error);
    if (status == ADM_OK)
        status = adm_workspace_for_batch(model, batch, run, ADM_KEEP_NOTHING, false, error);
    if (status != ADM_OK)
        return status;
    adm_begin_pass(model, run->stop);
    adm_stacks_forward(model);
    adm_output_loss(model, false, loss);
    return adm_end_pass(model, error);
}

/* ---- backward ---- */

typedef struct scatter {
    adm_model *model;
    int stack;
} scatter;

static void scatter_task(void *context, int64_t task, int thread)
{
    double since = adm_clock();
    const scatter *own = context;
    adm_model *model = own->model;
    const adm_stack *stack = &model->stacks[own->stack];
    const adm_stack_acts *acts = &model->ws.stacks[own->stack];
    const int64_t d = model->config.d_model, first = task * COLUMN_TILE;
    adm_embedding_backward(acts->dx, acts->tokens, acts->offsets, model->ws.num_sequences, d, first,
                           adm_min(first + COLUMN_TILE, d), model->gradients + stack->embedding,
                           stack->positions >= 0 ? model->gradients + stack->positions : NULL);
    adm_work_note(model, ADM_WORK_ROWS, thread, &since);
}

static void scatter_embedding(adm_model *model, int stack)
{
    scatter own = {model, stack};
    adm_parallel_for(model->ws.run.threads, (model->config.d_model + COLUMN_TILE - 1) / COLUMN_TILE,
                     scatter_task, &own);
}

/* To zero, unless they are added to. */
static void begin_gradients(adm_model *model)
{
    const adm_run *run = &model->ws.run;
    if (!run->accumulate)
        adm_zero(model->gradients, model->params.length, run->threads, run->stop);
}

/* What follows a backward pass. What one that was stopped has left of the gradients is worth nothing: they are zero. */
static adm_status end_backward(adm_model *model, adm_error *error)
{
    const adm_workspace *ws = &model->ws;
    if (adm_stopped(ws->run.stop))
        adm_clear(model->gradients, (size_t)model->params.length * sizeof *model->gradients);
    else if (ws->run.observe)
        adm_observe_backward(model);
    return adm_end_pass(model, error);
}

adm_status adm_run_check(const adm_run *run, adm_error *error)
{
    if (run->threads < 1)
        return adm_fail(error, ADM_ERROR_VALUE, "threads must be at least 1, got %d", run->threads);
    if (!(run->label_smoothing >= 0.0 && run->label_smoothing <= 1.0))
        return adm_fail(error, ADM_ERROR_VALUE, "label_smoothing must be from 0 to 1, got %g",
                        run->label_smoothing);
    if (!isfinite((adm_real)run->scale))
        return adm_fail(error, ADM_ERROR_VALUE, "scale must be finite in " ADM_DTYPE_NAME ", got %g",
                        run->scale);
    if (run->segment_layers < ADM_SEGMENTS_AUTO)
        return adm_fail(error, ADM_ERROR_VALUE, "a segment must have at least one layer, got %lld",
                        (long long)run->segment_layers);
    if (run->segment_layers != 0 && run->observe && run->keep_gradients)
        return adm_fail(error, ADM_ERROR_VALUE,
                        "gradients of activations cannot be kept where activations are computed again");
    return ADM_OK;
}

adm_status adm_model_backward(adm_model *model, const adm_batch *batch, const adm_run *run, adm_loss *loss,
                              adm_error *error)
{
    adm_status status = check_loss(model, batch, error);
    if (status == ADM_OK)
        status = adm_workspace_for_batch(model, batch, run, adm_keep_backward(run), true, error);
    if (status == ADM_OK)
        status = adm_model_need_gradients(model, error);
    if (status != ADM_OK)
        return status;
    adm_workspace *ws = &model->ws;
    adm_begin_pass(model, run->stop);
    adm_stacks_forward(model);
    begin_gradients(model);
    adm_output_loss(model, true, loss);
    if (has_stack(model, ADM_ENCODER))
        memset(ws->dmemory, 0, (size_t)(ws->memory_rows * model->config.d_model) * sizeof *ws->dmemory);
    for (int s = ADM_DECODER; s >= ADM_ENCODER; s--) {
        if (!has_stack(model, s) || adm_stopped(ws->run.stop))
            continue;
        adm_stack_backward(model, s);
        scatter_embedding(model, s);
    }
    return end_backward(model, error);
}

/* ---- stacks alone ---- */

static adm_status check_offsets(const char *name, const int64_t *offsets, int64_t count, adm_error *error)
{
    if (offsets[0] != 0)
        return adm_fail(error, ADM_ERROR_VALUE, "%s must begin with 0, got %lld", name,
                        (long long)offsets[0]);
    for (int64_t b = 0; b < count; b++)
        if (offsets[b + 1] <= offsets[b])
            return adm_fail(error, ADM_ERROR_VALUE, "%s: sequence %lld is empty", name, (long long)b);
    return ADM_OK;
}

adm_status adm_check_hidden(const adm_model *model, const adm_hidden *input, adm_error *error)
{
    if (model->config.vocab_size != 0)
        return adm_fail(error, ADM_ERROR_STATE, "a model with a vocabulary reads tokens, not hidden states");
    if (input->count < 1)
        return adm_fail(error, ADM_ERROR_VALUE, "the batch is empty: at least one sequence is needed");
    adm_status status = check_offsets("lengths", input->offsets, input->count, error);
    const bool cross = model->config.decoder.layers > 0 && model->config.decoder.cross;
    if (status == ADM_OK && cross && input->memory == NULL)
        return adm_fail(error, ADM_ERROR_VALUE, "memory is needed: the layer has cross-attention");
    if (status == ADM_OK && !cross && input->memory != NULL)
        return adm_fail(error, ADM_ERROR_VALUE, "memory must not be given: the layer has no cross-attention");
    if (status == ADM_OK && cross)
        status = check_offsets("memory_lengths", input->memory_offsets, input->count, error);
    return status;
}

static int only_stack(const adm_model *model)
{
    return has_stack(model, ADM_ENCODER) ? ADM_ENCODER : ADM_DECODER;
}

adm_status adm_model_forward_hidden(adm_model *model, const adm_hidden *input, const adm_run *run,
                                    adm_real *out, adm_error *error)
{
    adm_status status = adm_check_hidden(model, input, error);
    if (status == ADM_OK)
        status = adm_workspace_for_hidden(model, input, run, ADM_KEEP_BRANCHES, true, error);
    if (status != ADM_OK)
        return status;
    adm_begin_pass(model, run->stop);
    adm_stacks_forward(model);
    const adm_stack_acts *acts = &model->ws.stacks[only_stack(model)];
    memcpy(out, acts->end, (size_t)(acts->rows * model->config.d_model) * sizeof *out);
    model->ws.hidden = !adm_stopped(model->ws.run.stop);
    return adm_end_pass(model, error);
}

adm_status adm_model_backward_hidden(adm_model *model, const adm_real *dout, const adm_run *run, adm_real *dx,
                                     adm_real *dmemory, adm_error *error)
{
    adm_workspace *ws = &model->ws;
    if (!ws->hidden)
        return adm_fail(error, ADM_ERROR_STATE, "backward needs a forward pass before it");
    adm_status status = adm_run_check(run, error);
    if (status == ADM_OK)
        status = adm_model_need_gradients(model, error);
    if (status != ADM_OK)
        return status;
    const int stack = only_stack(model);
    adm_stack_acts *acts = &ws->stacks[stack];
    const int64_t d = model->config.d_model;
    const size_t size = (size_t)(acts->rows * d) * sizeof *dx;
    ws->run.accumulate = run->accumulate;
    ws->run.stop = run->stop;
    begin_gradients(model);
    memcpy(acts->dx, dout, size);
    if (ws->memory_rows > 0)
        memset(ws->dmemory, 0, (size_t)(ws->memory_rows * d) * sizeof *dmemory);
    adm_stack_backward(model, stack);
    memcpy(dx, acts->dx, size);
    if (dmemory != NULL && ws->memory_rows > 0)
        memcpy(dmemory, ws->dmemory, (size_t)(ws->memory_rows * d) * sizeof *dmemory);
    ws->hidden = !adm_stopped(ws->run.stop);
    return end_backward(model, error);
}
