/* Whole passes: tokens to logits, to loss, to gradients. */
#include "model/ends.h"
#include "model/model.h"
#include "model/output.h"
#include "model/pass.h"

#include <string.h>

adm_status adm_model_forward(adm_model *model, const adm_batch *batch, const adm_run *run, adm_real *result,
                             adm_error *error)
{
    const adm_keep keep = run->observe ? ADM_KEEP_BRANCHES : ADM_KEEP_NOTHING;
    adm_status status = adm_model_check_batch(model, batch, error);
    if (status == ADM_OK)
        status = adm_workspace_for_batch(model, batch, run, keep, false, error);
    if (status != ADM_OK)
        return status;
    adm_pass_begin(model, run->stop, ADM_PACK_BOTH);
    adm_pass_forward(model);
    if (adm_has_stack(&model->params, ADM_DECODER)) {
        adm_output_logits(model, result);
    } else {
        const adm_stack_buffers *buffers = &model->ws.stacks[ADM_ENCODER];
        memcpy(result, buffers->end, (size_t)(buffers->rows * model->config.d_model) * sizeof *result);
    }
    return adm_pass_end(model, error);
}

static adm_status check_loss(const adm_model *model, const adm_batch *batch, adm_error *error)
{
    if (!adm_has_stack(&model->params, ADM_DECODER))
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
    adm_pass_begin(model, run->stop, ADM_PACK_BOTH);
    adm_pass_forward(model);
    adm_output_loss(model, false, loss);
    return adm_pass_end(model, error);
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
    adm_pass_begin(model, run->stop, ADM_PACK_BOTH);
    adm_pass_forward(model);
    adm_pass_begin_gradients(model);
    adm_output_loss(model, true, loss);
    if (adm_has_stack(&model->params, ADM_ENCODER))
        memset(ws->dmemory, 0, (size_t)(ws->shape.memory_rows * model->config.d_model) * sizeof *ws->dmemory);
    for (int s = ADM_DECODER; s >= ADM_ENCODER; s--) {
        if (!adm_has_stack(&model->params, s) || adm_stopped(ws->run.stop))
            continue;
        adm_pass_backward(model, s);
        adm_embed_scatter(model, s);
        if (s == ADM_DECODER && run->decoder_done != NULL && !adm_stopped(ws->run.stop))
            run->decoder_done(run->context);
    }
    return adm_pass_end_backward(model, error);
}
