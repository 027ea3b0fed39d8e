#include "model/hidden.h"

#include "model/batch.h"
#include "model/pass.h"

#include <string.h>

static adm_status check_offsets(const char *name, const int64_t *offsets, int64_t count, adm_error *error)
{
    if (offsets == NULL)
        return adm_fail(error, ADM_ERROR_VALUE, "%s must be given, got NULL", name);
    if (offsets[0] != 0)
        return adm_fail(error, ADM_ERROR_VALUE, "%s must begin with 0, got %lld", name,
                        (long long)offsets[0]);
    for (int64_t b = 0; b < count; b++)
        if (offsets[b + 1] <= offsets[b])
            return adm_fail(error, ADM_ERROR_VALUE, "%s: sequence %lld is empty", name, (long long)b);
    return ADM_OK;
}

adm_status adm_hidden_check(const adm_model *model, const adm_hidden *input, adm_error *error)
{
    if (model->config.vocab_size != 0)
        return adm_fail(error, ADM_ERROR_STATE, "a model with a vocabulary reads tokens, not hidden states");
    if (input->count < 1)
        return adm_fail(error, ADM_ERROR_VALUE, "the batch is empty: at least one sequence is needed");
    if (input->x == NULL)
        return adm_fail(error, ADM_ERROR_VALUE, "x must be given, got NULL");
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
    return adm_has_stack(&model->params, ADM_ENCODER) ? ADM_ENCODER : ADM_DECODER;
}

adm_status adm_model_forward_hidden(adm_model *model, const adm_hidden *input, const adm_run *run,
                                    adm_real *y, adm_error *error)
{
    adm_status status = adm_hidden_check(model, input, error);
    if (status == ADM_OK)
        status = adm_workspace_for_hidden(model, input, run, ADM_KEEP_BRANCHES, true, error);
    if (status != ADM_OK)
        return status;
    adm_pass_begin(model, run->stop, ADM_PACK_FORWARD);
    adm_pass_forward(model);
    const adm_stack_buffers *buffers = &model->ws.stacks[only_stack(model)];
    memcpy(y, buffers->end, (size_t)(buffers->rows * model->config.d_model) * sizeof *y);
    model->ws.hidden = !adm_stopped(model->ws.run.stop);
    return adm_pass_end(model, error);
}

adm_status adm_model_backward_hidden(adm_model *model, const adm_real *dy, const adm_run *run, adm_real *dx,
                                     adm_real *dmemory, adm_error *error)
{
    adm_workspace *ws = &model->ws;
    if (!ws->hidden)
        return adm_fail(error, ADM_ERROR_STATE, "backward needs a forward pass before it");
    adm_status status = adm_run_check(run, error);
    if (status == ADM_OK)
        status = adm_model_need_gradients(model, error);
    if (status == ADM_OK)
        status = adm_workspace_need_threads(model, run->threads, error);
    if (status != ADM_OK)
        return status;
    const int stack = only_stack(model);
    adm_stack_buffers *buffers = &ws->stacks[stack];
    const int64_t d = model->config.d_model;
    const size_t size = (size_t)(buffers->rows * d) * sizeof *dx;
    ws->run.accumulate = run->accumulate;
    adm_pass_begin(model, run->stop, ADM_PACK_BACKWARD);
    for (int64_t i = 0; i < model->params.stacks[stack].num_sublayers; i++)
        adm_workspace_fill_scales(model, stack, i); /* all weights are read as they are now */
    adm_pass_begin_gradients(model);
    memcpy(buffers->dx, dy, size);
    if (ws->shape.memory_rows > 0)
        memset(ws->dmemory, 0, (size_t)(ws->shape.memory_rows * d) * sizeof *dmemory);
    adm_pass_backward(model, stack);
    memcpy(dx, buffers->dx, size);
    if (dmemory != NULL && ws->shape.memory_rows > 0)
        memcpy(dmemory, ws->dmemory, (size_t)(ws->shape.memory_rows * d) * sizeof *dmemory);
    ws->hidden = !adm_stopped(ws->run.stop);
    return adm_pass_end_backward(model, error);
}
