#include "model/pass.h"

#include "model/ends.h"
#include "model/observe.h"
#include "model/parts.h"
#include "model/resolve.h"
#include "model/sublayer.h"
#include "model/work.h"

#include <string.h>

void adm_pass_begin(adm_model *model, adm_stop *stop, adm_pack directions)
{
    model->ws.run.stop = stop;
    if (model->ws.lent_packed == NULL)
        adm_packing_run(model, directions);
}

adm_status adm_pass_end(adm_model *model, adm_error *error)
{
    const adm_status status = adm_stop_status(model->ws.run.stop, error);
    model->ws.run.stop = NULL; /* it was of this call */
    return status;
}

/* ---- groups ----

   A task takes several chunks at once where every thread has enough tasks nevertheless: products of more rows read the
   weights less often. Sums over rows stay each chunk's own, in the same order: the bits are the same. */

#define GROUP_ROWS 256   /* at most: more leave the second-level cache */
#define TASKS_A_THREAD 8 /* at least, so that threads end together */

/* Chunks of a group. */
static int64_t group_size(const adm_model *model)
{
    const adm_shape *shape = &model->ws.shape;
    const adm_run *run = &model->ws.run;
    const int64_t rows = adm_max(adm_max(shape->rows[0], shape->rows[1]), 1);
    const int64_t by_rows = GROUP_ROWS * shape->chunks / rows;
    const int64_t by_threads = shape->chunks / (run->threads * TASKS_A_THREAD);
    if (run->observe || shape->cut)
        return 1;
    return adm_max(1, adm_min(adm_min(by_rows, by_threads), ADM_GROUP_MAX));
}

static int64_t num_groups(const adm_model *model)
{
    return adm_pieces(model->ws.shape.chunks, group_size(model));
}

static adm_chunks group_at(const adm_model *model, int64_t number)
{
    const int64_t size = group_size(model), first = number * size;
    return (adm_chunks){first, adm_min(first + size, model->ws.shape.chunks)};
}

/* ---- forward ---- */

/* What a region of forward tasks does with each group. */
typedef struct forward_region {
    adm_model *model;
    int stack;
    int64_t first, last; /* sub-layers [first, last) */
    bool embed, finish;
} forward_region;

static void forward_group(const forward_region *region, int64_t number, adm_worker *worker)
{
    adm_model *model = region->model;
    const adm_chunks chunks = group_at(model, number);
    for (int64_t c = chunks.first; c < chunks.last && region->embed; c++)
        adm_embed_forward(model, region->stack, c);
    adm_work_note(worker, ADM_WORK_ROWS);
    for (int64_t i = region->first; i < region->last; i++) {
        if (adm_worker_stopped(worker))
            return;
        adm_sublayer_forward(model, &model->params.stacks[region->stack].sublayers[i], chunks, worker);
    }
    for (int64_t c = chunks.first; c < chunks.last && region->finish; c++)
        adm_end_forward(model, region->stack, c);
    adm_work_note(worker, ADM_WORK_ROWS);
}

static void forward_task(void *context, int64_t number, int thread)
{
    const forward_region *region = context;
    adm_worker worker = adm_worker_begin(region->model, thread);
    forward_group(region, number, &worker);
}

static void forward_all_task(void *context, int64_t number, int thread)
{
    adm_model *model = context;
    adm_worker worker = adm_worker_begin(model, thread);
    for (int s = 0; s < 2; s++) {
        const forward_region region = {model, s, 0, model->params.stacks[s].num_sublayers, true, true};
        if (region.last > 0)
            forward_group(&region, number, &worker);
    }
}

static void run_groups(adm_model *model, forward_region region)
{
    const adm_run *run = &model->ws.run;
    adm_parallel_for_until(run->stop, run->threads, num_groups(model), forward_task, &region);
}

static void run_region(adm_model *model, forward_region region)
{
    if (!model->ws.shape.cut) {
        run_groups(model, region);
        return;
    }
    if (region.embed)
        run_groups(model, (forward_region){model, region.stack, 0, 0, true, false});
    for (int64_t i = region.first; i < region.last; i++)
        adm_parts_forward(model, &model->params.stacks[region.stack].sublayers[i]);
    if (region.finish)
        run_groups(model, (forward_region){model, region.stack, 0, 0, false, true});
}

void adm_pass_embed(adm_model *model, int stack)
{
    run_region(model, (forward_region){model, stack, 0, 0, true, false});
}

void adm_pass_sublayer(adm_model *model, int stack, int64_t index)
{
    run_region(model, (forward_region){model, stack, index, index + 1, false, false});
}

void adm_pass_finish(adm_model *model, int stack)
{
    run_region(model, (forward_region){model, stack, 0, 0, false, true});
}

/* Sub-layers from `first` to the end of their segment, into the buffers that all segments share. */
static void forward_segment(adm_model *model, int stack, int64_t first, bool embed, bool finish)
{
    adm_workspace *ws = &model->ws;
    const int64_t r = model->params.stacks[stack].num_sublayers;
    const int64_t last = adm_min(first + ws->shape.segment[stack], r);
    run_region(model, (forward_region){model, stack, first, last, embed, finish});
    ws->filled_stack = stack;
    ws->filled_first = first;
}

/* Where segments share their buffers: fills them for the one from sub-layer `first`, unless they are. */
static void fill_segment(adm_model *model, int stack, int64_t first)
{
    const adm_workspace *ws = &model->ws;
    if (ws->shape.segmented && (ws->filled_stack != stack || ws->filled_first != first))
        forward_segment(model, stack, first, false, false);
}

static void forward_segments(adm_model *model)
{
    for (int s = 0; s < 2; s++) {
        const int64_t r = model->params.stacks[s].num_sublayers, length = model->ws.shape.segment[s];
        for (int64_t first = 0; first < r; first += length)
            forward_segment(model, s, first, first == 0, first + length >= r);
    }
}

static void forward_by_sublayers(adm_model *model, int stack)
{
    adm_pass_embed(model, stack);
    for (int64_t i = 0; i < model->params.stacks[stack].num_sublayers; i++)
        adm_pass_sublayer(model, stack, i);
    adm_pass_finish(model, stack);
}

/* Chunks of whole sequences need nothing of each other, so one region takes them all the way. Only where sub-layers
   share their buffers (segments, ADM_KEEP_NOTHING) must no chunk be ahead of the others. */
void adm_pass_forward(adm_model *model)
{
    const adm_workspace *ws = &model->ws;
    if (ws->shape.segmented)
        forward_segments(model);
    else if (ws->shape.keep != ADM_KEEP_NOTHING && !ws->shape.cut)
        adm_parallel_for_until(ws->run.stop, ws->run.threads, num_groups(model), forward_all_task, model);
    else
        for (int s = 0; s < 2; s++)
            if (adm_has_stack(&model->params, s))
                forward_by_sublayers(model, s);
    if (ws->run.observe && !adm_stopped(ws->run.stop))
        adm_observe_forward(model);
}

/* ---- backward ----

   One region takes the sub-layers from the last to the first, without a barrier between them. Its step s takes every
   group of chunks through one sub-layer and, amid them, computes the parameters' gradients of the sub-layer of step s - 1. What
   these read exists twice, for even and odd sub-layers. So
     a group waits for its own step s - 1, and for the parameters' gradients of step s - 2, whose place it takes;
     the parameters' gradients of a step wait for all its groups;
     the vectors' gradients of a step wait for those of step s - 1, since sub-layers may share their scales.
   Tasks begin in their order, and the parameters' gradients stand amid the groups of the next step: half a step after
   the groups that they wait for, and half a step before those that wait for them, so that hardly any thread ever
   waits. */

/* Sub-layers last - 1, ..., first: one each step; a step more for the parameters' gradients of the last one. */
typedef struct backward_region {
    adm_model *model;
    const adm_sublayer *end; /* sub-layer `last` of the stack */
    int64_t steps;
    int64_t groups;
    int64_t gradient_tasks; /* of a step; where it has fewer, the rest do nothing */
    int64_t *group_done;    /* [groups, ADM_COUNT_STRIDE] steps that a group has done */
    int64_t *step_done;     /* [steps, ADM_COUNT_STRIDE] groups that have done step s */
    int64_t *gradient_done; /* [steps, ADM_COUNT_STRIDE] gradient tasks of step s that are done */
    int64_t *vectors_done;  /* steps whose vectors' gradients are added up */
} backward_region;

/* ---- the parameters' gradients ---- */

/* gradient += sum over chunks, in their order, of the partial gradients */
static void reduce_slots(adm_model *model, const adm_slots *slots, const adm_real *partials)
{
    for (int s = 0; s < slots->count; s++) {
        const adm_slot *slot = &slots->items[s];
        adm_real *gradient = model->gradients + slot->offset;
        for (int64_t chunk = 0; chunk < model->ws.shape.chunks; chunk++) {
            const adm_real *partial = partials + chunk * slots->length + slot->partial;
            if (!slot->to_scalar) {
                model->kernels->axpy(1, partial, gradient, slot->length);
                continue;
            }
            adm_real sum = 0;
            for (int64_t c = 0; c < slot->length; c++)
                sum += partial[c];
            gradient[0] += sum;
        }
    }
}

/* Tiles of a map's weight gradient, a task each: the more threads, the smaller, so that none works alone at the end. */
static adm_weight_tiles weight_tiles(const adm_model *model, const adm_sublayer *sub, int map)
{
    const adm_matrix matrix = adm_resolve_matrix(model, &sub->maps[map]);
    return adm_linear_weight_tiles(model->kernels, &matrix, adm_pieces(model->ws.run.threads, sub->num_maps));
}

/* Tasks for a sub-layer's parameters: the weights', and one for the vectors. */
static int64_t gradient_tasks(const adm_model *model, const adm_sublayer *sub)
{
    int64_t tasks = 1;
    for (int map = 0; map < sub->num_maps; map++)
        tasks += weight_tiles(model, sub, map).count;
    return tasks;
}

static void weight_gradient(const adm_model *model, const adm_sublayer *sub, int map, int64_t tile,
                            adm_worker *worker)
{
    if (adm_worker_stopped(worker))
        return;
    const adm_sublayer_view view = adm_resolve(model, sub, ADM_ALL_CHUNKS);
    const adm_weight_tiles tiles = weight_tiles(model, sub, map);
    adm_linear_backward_weight(worker, &view.maps[map], &tiles, tile, model->ws.run.accumulate);
    adm_work_note(worker, ADM_WORK_PRODUCTS);
}

static void vector_gradients(const backward_region *region, int64_t step, adm_worker *worker)
{
    adm_model *model = region->model;
    const adm_sublayer *sub = region->end - 1 - step;
    adm_wait_for(region->vectors_done, step);
    if (!adm_stopped(worker->stop)) /* the count goes on: others wait for it */
        reduce_slots(model, &sub->slots, model->ws.stacks[sub->stack].sublayers[sub->index].partials);
    adm_count_done(region->vectors_done);
    adm_work_note(worker, ADM_WORK_ROWS);
}

static void run_gradient_task(const backward_region *region, int64_t step, int64_t task, adm_worker *worker)
{
    const adm_sublayer *sub = region->end - 1 - step;
    for (int map = 0; map < sub->num_maps; map++) {
        const int64_t tasks = weight_tiles(region->model, sub, map).count;
        if (task < tasks) {
            weight_gradient(region->model, sub, map, task, worker);
            return;
        }
        task -= tasks;
    }
    if (task == 0)
        vector_gradients(region, step, worker);
}

/* ---- the region ---- */

static void group_task(const backward_region *region, int64_t step, int64_t number, int thread)
{
    if (step == region->steps)
        return;
    int64_t *done = region->group_done + number * ADM_COUNT_STRIDE;
    adm_wait_for(done, step);
    if (step >= 2)
        adm_wait_for(region->gradient_done + (step - 2) * ADM_COUNT_STRIDE, region->gradient_tasks);
    adm_worker worker = adm_worker_begin(region->model, thread);
    if (!adm_worker_stopped(&worker)) /* the counts go on: others wait for them */
        adm_sublayer_backward(region->model, region->end - 1 - step, group_at(region->model, number),
                              &worker);
    adm_count_done(done);
    adm_count_done(region->step_done + step * ADM_COUNT_STRIDE);
}

/* `step` is the one whose gradients are summed. */
static void gradient_task(const backward_region *region, int64_t step, int64_t task, int thread)
{
    if (step < 0)
        return;
    adm_wait_for(region->step_done + step * ADM_COUNT_STRIDE, region->groups);
    adm_worker worker = adm_worker_begin(region->model, thread);
    run_gradient_task(region, step, task, &worker);
    adm_count_done(region->gradient_done + step * ADM_COUNT_STRIDE);
}

static void backward_task(void *context, int64_t task, int thread)
{
    const backward_region *region = context;
    const int64_t groups = region->groups, half = adm_pieces(groups, 2);
    const int64_t gradients = region->gradient_tasks;
    const int64_t step = task / (groups + gradients), i = task % (groups + gradients);
    if (i < half)
        group_task(region, step, i, thread);
    else if (i < half + gradients)
        gradient_task(region, step - 1, i - half, thread);
    else
        group_task(region, step, i - gradients, thread);
}

static void cut_gradient_task(void *context, int64_t task, int thread)
{
    const backward_region *region = context;
    adm_worker worker = adm_worker_begin(region->model, thread);
    run_gradient_task(region, 0, task, &worker);
}

/* Where sequences are cut: regions for the chunks, and then one for the parameters' gradients, as if of the first step. */
static void backward_cut(backward_region *region)
{
    const adm_run *run = &region->model->ws.run;
    for (int64_t step = 0; step < region->steps; step++, region->end--) {
        *region->vectors_done = 0;
        adm_parts_backward(region->model, region->end - 1);
        adm_parallel_for_until(run->stop, run->threads, region->gradient_tasks, cut_gradient_task, region);
    }
}

/* Sub-layers [first, last), from the last. */
static void backward_sublayers(adm_model *model, int stack, int64_t first, int64_t last)
{
    adm_workspace *ws = &model->ws;
    const adm_sublayer *sublayers = model->params.stacks[stack].sublayers;
    const int64_t groups = num_groups(model);
    backward_region region = {
        .model = model,
        .end = sublayers + last,
        .steps = last - first,
        .groups = groups,
        .vectors_done = ws->progress,
        .group_done = ws->progress + ADM_COUNT_STRIDE,
        .step_done = ws->progress + (1 + groups) * ADM_COUNT_STRIDE,
        .gradient_done = ws->progress + (1 + groups + last - first) * ADM_COUNT_STRIDE,
    };
    for (int64_t i = first; i < last; i++)
        region.gradient_tasks = adm_max(region.gradient_tasks, gradient_tasks(model, &sublayers[i]));
    memset(ws->progress, 0,
           (size_t)((1 + groups + 2 * region.steps) * ADM_COUNT_STRIDE) * sizeof *ws->progress);
    if (ws->shape.cut)
        backward_cut(&region);
    else
        adm_parallel_for_until(ws->run.stop, ws->run.threads,
                               (region.steps + 1) * (groups + region.gradient_tasks), backward_task, &region);
}

void adm_pass_backward(adm_model *model, int stack)
{
    const adm_stack *params = &model->params.stacks[stack];
    const int64_t r = params->num_sublayers, length = model->ws.shape.segment[stack];
    for (int64_t first = (r - 1) / length * length; first >= 0; first -= length) {
        fill_segment(model, stack, first);
        if (adm_stopped(model->ws.run.stop))
            return;
        backward_sublayers(model, stack, first, adm_min(first + length, r));
    }
    const adm_flushing outer = adm_flush_begin(); /* as in the region before */
    reduce_slots(model, &params->edge_slots, model->ws.stacks[stack].edge_partials);
    adm_flush_end(outer);
}

/* Whether a parameter's whole gradient is written by a product before anything is added to it. */
static bool is_written(const adm_params *params, const adm_param *param)
{
    return (param->ndim == 2 && param->sublayer >= 0) || param->offset == params->output.weight;
}

/* Zeroes what lies before, between and behind the gradients that products write. */
void adm_pass_begin_gradients(adm_model *model)
{
    const adm_run *run = &model->ws.run;
    const adm_param_table *table = &model->params.table;
    int64_t end = 0; /* of the one before: trained parameters lie in the table's order */
    for (int64_t p = 0; p <= table->count && !run->accumulate; p++) {
        const adm_param *param = p < table->count ? &table->items[p] : NULL;
        if (param != NULL && !is_written(&model->params, param))
            continue;
        const int64_t next = param != NULL ? param->offset : table->length;
        adm_zero(model->gradients + end, next - end, run->threads, run->stop);
        end = param != NULL ? next + param->size : next;
    }
}

adm_status adm_pass_end_backward(adm_model *model, adm_error *error)
{
    const adm_workspace *ws = &model->ws;
    if (adm_stopped(ws->run.stop))
        adm_clear(model->gradients, (size_t)model->params.table.length * sizeof *model->gradients);
    else if (ws->run.observe)
        adm_observe_backward(model);
    return adm_pass_end(model, error);
}
