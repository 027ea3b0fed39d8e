#include "model/sublayer.h"

#include "model/ends.h"
#include "model/residual.h"
#include "model/resolve.h"

#include <string.h>

/* Where the moments of a chunk's rows are added up, or NULL: nobody asks for them. */
static double *moments_of(const adm_model *model, const adm_sublayer *sub, int64_t chunk)
{
    const int64_t r = model->params.stacks[sub->stack].num_sublayers;
    return model->ws.run.observe ? model->ws.stacks[sub->stack].moments + (chunk * r + sub->index) * 4 : NULL;
}

void adm_sublayer_forward_before(const adm_sublayer_view *view, adm_worker *worker)
{
    adm_residual_input_forward(view);
    adm_work_note(worker, ADM_WORK_ROWS);
    view->params->kind->forward_in(worker, view);
}

/* a = Ninner(inner) W_out^T */
static void forward_out(const adm_sublayer_view *view, adm_worker *worker)
{
    if (adm_norm_exists(&view->inner))
        adm_norm_forward(view->kernels, &view->inner, view->inner_values, view->inner_normed,
                         (adm_span){0, view->rows});
    adm_work_note(worker, ADM_WORK_ROWS);
    adm_linear_forward(worker, &view->maps[ADM_MAP_OUT], false);
    adm_work_note(worker, ADM_WORK_PRODUCTS);
}

void adm_sublayer_forward_after(const adm_model *model, const adm_sublayer_view *view, int64_t chunk,
                                adm_worker *worker)
{
    double *moments = moments_of(model, view->params, chunk);
    if (moments != NULL)
        memset(moments, 0, 4 * sizeof *moments);
    forward_out(view, worker);
    adm_residual_output_forward(view, moments);
    adm_work_note(worker, ADM_WORK_ROWS);
}

void adm_sublayer_forward_in(adm_model *model, const adm_sublayer *sub, int64_t chunk, adm_worker *worker)
{
    const adm_sublayer_view view = adm_resolve(model, sub, chunk);
    adm_sublayer_forward_before(&view, worker);
}

void adm_sublayer_forward_out(adm_model *model, const adm_sublayer *sub, int64_t chunk, adm_worker *worker)
{
    const adm_sublayer_view view = adm_resolve(model, sub, chunk);
    adm_sublayer_forward_after(model, &view, chunk, worker);
}

void adm_sublayer_forward_heads(adm_model *model, const adm_sublayer *sub, int64_t chunk, adm_heads heads,
                                adm_worker *worker)
{
    const adm_sublayer_view view = adm_resolve(model, sub, chunk);
    adm_branch_forward_heads(worker, &view, heads.first, heads.last);
}

void adm_sublayer_forward(adm_model *model, const adm_sublayer *sub, adm_chunks chunks, adm_worker *worker)
{
    const adm_sublayer_view view = adm_resolve_chunks(model, sub, chunks);
    adm_sublayer_forward_before(&view, worker);
    if (sub->kind->attends)
        adm_branch_forward_heads(worker, &view, 0, model->config.heads);
    adm_sublayer_forward_after(model, &view, chunks.first, worker);
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

/* Keeps dL/dx_{index} of a chunk's rows, and the sum of its squares, as far as they are asked for. */
static void note_gradient(const adm_model *model, int stack, int64_t index, int64_t chunk)
{
    const adm_stack_buffers *buffers = &model->ws.stacks[stack];
    const int64_t d = model->config.d_model, r = model->params.stacks[stack].num_sublayers;
    const adm_span span = adm_chunk_span(&model->ws, stack, chunk);
    const int64_t at = span.first * d, size = span.rows * d;
    adm_real *kept = index == r ? buffers->kept_dx : buffers->sublayers[index].kept_dx;
    if (kept != NULL)
        memcpy(kept + at, buffers->dx + at, (size_t)size * sizeof *kept);
    if (model->ws.run.observe)
        buffers->grad_sums[chunk * (r + 1) + index] = model->kernels->sum_squares(buffers->dx + at, size);
}

/* Chunks that a task takes at once: their products together, and what has sums over rows one after another. */
typedef struct group {
    adm_chunks chunks;
    adm_sublayer_view all;
    adm_sublayer_view each[ADM_GROUP_MAX]; /* where there are several */
} group;

static void group_begin(group *of, const adm_model *model, const adm_sublayer *sub, adm_chunks chunks)
{
    of->chunks = chunks;
    of->all = adm_resolve_chunks(model, sub, chunks);
    for (int64_t c = chunks.first; c < chunks.last && chunks.last - chunks.first > 1; c++)
        of->each[c - chunks.first] = adm_resolve(model, sub, c);
}

static const adm_sublayer_view *view_of(const group *of, int64_t chunk)
{
    return of->chunks.last - of->chunks.first > 1 ? &of->each[chunk - of->chunks.first] : &of->all;
}

/* dx_i becomes dy and da */
static void backward_sum(adm_model *model, const adm_sublayer_view *view, int64_t chunk)
{
    const adm_sublayer *sub = view->params;
    const adm_sublayer_buffers *buffers = &model->ws.stacks[sub->stack].sublayers[sub->index];
    const int64_t length = sub->slots.length;
    if (sub->index == model->params.stacks[sub->stack].num_sublayers - 1) {
        adm_end_backward(model, sub->stack, chunk);
        note_gradient(model, sub->stack, sub->index + 1, chunk);
    }
    memset(buffers->partials + chunk * length, 0, (size_t)length * sizeof *buffers->partials);
    if (sub->last_in_layer && sub->layer_is_kept)
        memset(view->dlayer, 0, (size_t)(view->rows * view->d) * sizeof *view->dlayer);
    compute_shared(model, sub, view, chunk);
    adm_residual_output_backward(view);
}

/* a = Ninner(inner) W_out^T:                  dinner = Ninner'(da W_out) */
static void backward_out(adm_model *model, const group *of, adm_worker *worker)
{
    for (int64_t c = of->chunks.first; c < of->chunks.last; c++)
        backward_sum(model, view_of(of, c), c);
    adm_work_note(worker, ADM_WORK_ROWS);
    adm_linear_backward_input(worker, &of->all.maps[ADM_MAP_OUT], false);
    adm_work_note(worker, ADM_WORK_PRODUCTS);
    for (int64_t c = of->chunks.first; c < of->chunks.last; c++) {
        const adm_sublayer_view *view = view_of(of, c);
        adm_real *dinner = view->maps[ADM_MAP_OUT].dx;
        if (adm_norm_exists(&view->inner))
            adm_norm_backward(worker->kernels, &view->inner, dinner, view->inner_values, dinner,
                              (adm_span){0, view->rows});
    }
    adm_work_note(worker, ADM_WORK_ROWS);
}

/* z = h W_in^T (, kv = memory W_kv^T):        dh = dz W_in (, dmemory += dkv W_kv) */
static void backward_in(adm_model *model, const group *of, adm_worker *worker)
{
    const adm_sublayer *sub = of->all.params;
    for (int64_t c = of->chunks.first; c < of->chunks.last; c++)
        sub->kind->backward_rows(worker, view_of(of, c));
    adm_linear_backward_input(worker, &of->all.maps[ADM_MAP_IN], false);
    if (sub->kind->reads_memory)
        adm_linear_backward_input(worker, &of->all.maps[ADM_MAP_KV], true);
    adm_work_note(worker, ADM_WORK_PRODUCTS);
    for (int64_t c = of->chunks.first; c < of->chunks.last; c++) {
        adm_residual_input_backward(view_of(of, c));
        note_gradient(model, sub->stack, sub->index, c);
        if (sub->index == 0)
            adm_embed_backward(model, sub->stack, c);
    }
    adm_work_note(worker, ADM_WORK_ROWS);
}

void adm_sublayer_backward_out(adm_model *model, const adm_sublayer *sub, int64_t chunk, adm_worker *worker)
{
    group one;
    group_begin(&one, model, sub, (adm_chunks){chunk, chunk + 1});
    backward_out(model, &one, worker);
}

void adm_sublayer_backward_in(adm_model *model, const adm_sublayer *sub, int64_t chunk, adm_worker *worker)
{
    group one;
    group_begin(&one, model, sub, (adm_chunks){chunk, chunk + 1});
    backward_in(model, &one, worker);
}

void adm_sublayer_backward_heads(adm_model *model, const adm_sublayer *sub, int64_t chunk, adm_heads heads,
                                 adm_worker *worker)
{
    const adm_sublayer_view view = adm_resolve(model, sub, chunk);
    adm_branch_backward_heads(worker, &view, heads.first, heads.last);
}

void adm_sublayer_backward(adm_model *model, const adm_sublayer *sub, adm_chunks chunks, adm_worker *worker)
{
    group of;
    group_begin(&of, model, sub, chunks);
    backward_out(model, &of, worker);
    if (sub->kind->attends)
        adm_branch_backward_heads(worker, &of.all, 0, model->config.heads);
    backward_in(model, &of, worker);
}
