#include "model/sublayer.h"

#include "model/residual.h"
#include "model/resolve.h"

#include <string.h>

void adm_sublayer_forward(adm_model *model, const adm_sublayer *sub, int64_t chunk, adm_worker *worker)
{
    const adm_sublayer_view view = adm_resolve(model, sub, chunk);
    const int64_t r = model->params.stacks[sub->stack].num_sublayers;
    double *moments = NULL;
    if (model->ws.run.observe) {
        moments = model->ws.stacks[sub->stack].moments + (chunk * r + sub->index) * 4;
        memset(moments, 0, 4 * sizeof *moments);
    }
    adm_residual_input_forward(&view);
    adm_work_note(worker, ADM_WORK_ROWS);
    sub->kind->forward(worker, &view);
    adm_residual_output_forward(&view, moments);
    adm_work_note(worker, ADM_WORK_ROWS);
}

/* What later sub-layers have overwritten since the forward pass (plan.c), computed again with the same bits: the
   input from the sum below, and from the input what the branch and its last product read. */
static void compute_shared(const adm_model *model, const adm_sublayer *sub, const adm_sublayer_view *view,
                           int64_t chunk)
{
    const adm_span all = {0, view->rows};
    if (!view->shared)
        return;
    if (sub->index > 0) {
        const adm_sublayer_view below = adm_resolve(model, sub - 1, chunk);
        if (below.x_next_shared)
            adm_norm_forward(view->kernels, &below.post, below.y, below.x_next, all);
    }
    adm_residual_input_forward(view);
    if (view->inner_normed != NULL)
        adm_norm_forward(view->kernels, &view->inner, view->inner_values, view->inner_normed, all);
}

void adm_sublayer_backward(adm_model *model, const adm_sublayer *sub, int64_t chunk, adm_worker *worker)
{
    const adm_sublayer_view view = adm_resolve(model, sub, chunk);
    const adm_sublayer_buffers *buffers = &model->ws.stacks[sub->stack].sublayers[sub->index];
    const int64_t length = sub->slots.length;
    memset(buffers->partials + chunk * length, 0, (size_t)length * sizeof *buffers->partials);
    if (sub->last_in_layer && sub->layer_has_kappa)
        memset(view.dlayer, 0, (size_t)(view.rows * view.d) * sizeof *view.dlayer);
    compute_shared(model, sub, &view, chunk);
    adm_residual_output_backward(&view);
    adm_work_note(worker, ADM_WORK_ROWS);
    sub->kind->backward(worker, &view);
    adm_residual_input_backward(&view);
    adm_work_note(worker, ADM_WORK_ROWS);
}
