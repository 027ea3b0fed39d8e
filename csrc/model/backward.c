/* The backward pass of a stack, and who waits for whom.

   One region takes the sub-layers from the last to the first, without a barrier between them. Its step s takes every
   chunk through one sub-layer and, beside them, computes the weight gradients of the sub-layer of step s - 1. What
   these read exists twice, for even and odd sub-layers. So
     a chunk waits for its own step s - 1, and for the weight gradients of step s - 2, whose place it takes;
     the weight gradients of a step wait for all its chunks;
     the vectors' gradients of a step wait for those of step s - 1, since sub-layers may share their scales.
   Tasks begin in their order, and weight gradients stand amid the chunks of the next step: half a step after the chunks
   that they wait for, and half a step before those that wait for them, so that hardly any thread ever waits. */
#include "model/model_internal.h"

#include <string.h>

/* Sub-layers last - 1, ..., first: one each step; a step more for the tasks beside the last one's chunks. */
typedef struct backward_region {
    adm_model *model;
    const adm_sublayer *end; /* sub-layer `last` of the stack */
    int64_t steps;
    int64_t beside;        /* tasks of a step beside the chunks; where it has fewer, the rest do nothing */
    int64_t *chunk_done;   /* [C] steps that a chunk has done */
    int64_t *beside_done;  /* [steps] tasks beside the chunks of step s that are done */
    int64_t *vectors_done; /* steps whose vectors' gradients are added up */
} backward_region;

/* ---- what is computed beside the chunks ---- */

/* gradient += sum over chunks, in their order, of the partial gradients */
static void reduce_slots(adm_model *model, const adm_slots *slots, const adm_real *partials)
{
    for (int s = 0; s < slots->count; s++) {
        const adm_slot *slot = &slots->items[s];
        adm_real *gradient = model->gradients + slot->offset;
        for (int64_t chunk = 0; chunk < model->ws.num_chunks; chunk++) {
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

/* The weight gradient of one linear map: its input, the gradient of its output. */
typedef struct weight_job {
    adm_matrix matrix;
    const adm_real *x, *dy;
    adm_real *dw;
    int64_t rows, tile; /* tile: rows of the gradient that one task computes */
} weight_job;

static weight_job job_make(adm_model *model, const adm_linear *linear, const adm_real *x, const adm_real *dy,
                           int64_t rows)
{
    return (weight_job){
        .matrix = adm_linear_resolve(model, linear),
        .x = x,
        .dy = dy,
        .dw = model->gradients + linear->weight,
        .rows = rows,
    };
}

static int64_t job_tiles(const weight_job *job)
{
    return (job->matrix.out + job->tile - 1) / job->tile;
}

/* The jobs of a sub-layer, one for each linear map. */
static int sublayer_jobs(adm_model *model, const adm_sublayer *sub, weight_job jobs[ADM_MAX_LINEARS])
{
    adm_workspace *ws = &model->ws;
    const adm_stack_acts *stack = &ws->stacks[sub->stack];
    const adm_sublayer_acts *acts = &stack->sublayers[sub->index];
    const int64_t parity = sub->index % 2;
    const adm_real *inner = acts->inner_normed != NULL ? acts->inner_normed : acts->inner;
    int count = 0;
    jobs[count++] = job_make(model, &sub->in, adm_sublayer_h(model, sub->stack, sub->index),
                             ws->dproj[parity], stack->rows);
    jobs[count++] = job_make(model, &sub->out, inner, ws->da[parity], stack->rows);
    if (sub->kind == ADM_BRANCH_CROSS_ATTENTION)
        jobs[count++] = job_make(model, &sub->kv, ws->memory, ws->dkv[parity], ws->memory_rows);
    const int64_t tasks = (ws->run.threads + count - 1) / count;
    for (int j = 0; j < count; j++) /* the more threads, the smaller, so that none works alone at the end */
        jobs[j].tile = adm_linear_weight_rows(model->kernels, jobs[j].matrix.out, tasks);
    return count;
}

/* The tasks beside the chunks: the weight gradients, and one for the vectors. */
static int64_t tasks_beside(adm_model *model, const adm_sublayer *sub)
{
    weight_job jobs[ADM_MAX_LINEARS];
    const int count = sublayer_jobs(model, sub, jobs);
    int64_t tasks = 1;
    for (int j = 0; j < count; j++)
        tasks += job_tiles(&jobs[j]);
    return tasks;
}

static void run_task_beside(const backward_region *region, int64_t step, int64_t task, int thread)
{
    adm_model *model = region->model;
    const adm_sublayer *sub = region->end - 1 - step;
    weight_job jobs[ADM_MAX_LINEARS];
    const int count = sublayer_jobs(model, sub, jobs);
    double since = adm_clock();
    for (int j = 0; j < count; j++) {
        const weight_job *job = &jobs[j];
        const int64_t tiles = job_tiles(job);
        if (task < tiles) {
            if (adm_stop_asked(model->ws.run.stop, thread))
                return;
            const int64_t first = task * job->tile, last = adm_min(first + job->tile, job->matrix.out);
            adm_linear_backward_weight(model->kernels, &job->matrix, job->x, job->dy, job->dw, first, last,
                                       job->rows);
            adm_work_note(model, ADM_WORK_PRODUCTS, thread, &since);
            return;
        }
        task -= tiles;
    }
    if (task == 0) {
        adm_wait_for(region->vectors_done, step);
        if (!adm_stopped(model->ws.run.stop)) /* the count goes on: others wait for it */
            reduce_slots(model, &sub->slots, model->ws.partials[sub->index % 2]);
        adm_count_done(region->vectors_done);
    }
    adm_work_note(model, ADM_WORK_ROWS, thread, &since);
}

/* ---- the chunks ---- */

/* Rows of a gradient to where they are kept, if they are. */
static void keep_gradient(adm_real *kept, const adm_real *gradient, adm_span span, int64_t d)
{
    if (kept != NULL)
        memcpy(kept + span.first * d, gradient + span.first * d, (size_t)(span.rows * d) * sizeof *kept);
}

static void backward_chunk(adm_model *model, const adm_sublayer *sub, int64_t chunk, int thread)
{
    const int number = sub->stack;
    adm_stack_acts *acts = &model->ws.stacks[number];
    const int64_t d = model->config.d_model, r = model->stacks[number].num_sublayers, index = sub->index;
    const adm_span span = adm_chunk_span(&model->ws, acts->offsets, chunk);
    double *sums = acts->grad_sums + chunk * (r + 1), unused = 0;
    if (index == r - 1) {
        adm_finish_chunk_backward(model, number, chunk);
        keep_gradient(acts->kept_dx, acts->dx, span, d);
        if (model->ws.run.observe) {
            memset(sums, 0, (size_t)(r + 1) * sizeof *sums);
            model->kernels->add_moments(acts->dx + span.first * d, span.rows * d, &unused, &sums[r]);
        }
    }
    adm_sublayer_backward(model, number, index, chunk, thread);
    if (model->ws.run.observe)
        model->kernels->add_moments(acts->dx + span.first * d, span.rows * d, &unused, &sums[index]);
    keep_gradient(acts->sublayers[index].kept_dx, acts->dx, span, d);
    if (index == 0)
        adm_embed_chunk_backward(model, number, chunk);
}

/* ---- the region ---- */

static void chunk_task(const backward_region *region, int64_t step, int64_t chunk, int thread)
{
    if (step == region->steps)
        return;
    adm_wait_for(&region->chunk_done[chunk], step);
    if (step >= 2)
        adm_wait_for(&region->beside_done[step - 2], region->beside);
    if (!adm_stop_asked(region->model->ws.run.stop, thread)) /* the counts go on: others wait for them */
        backward_chunk(region->model, region->end - 1 - step, chunk, thread);
    adm_count_done(&region->chunk_done[chunk]);
}

/* A task beside the chunks: `step` is the one whose gradients it sums. */
static void beside_task(const backward_region *region, int64_t step, int64_t task, int thread)
{
    if (step < 0)
        return;
    for (int64_t chunk = 0; chunk < region->model->ws.num_chunks; chunk++)
        adm_wait_for(&region->chunk_done[chunk], step + 1);
    run_task_beside(region, step, task, thread);
    adm_count_done(&region->beside_done[step]);
}

static void backward_task(void *context, int64_t task, int thread)
{
    const backward_region *region = context;
    const int64_t chunks = region->model->ws.num_chunks, half = (chunks + 1) / 2;
    const int64_t step = task / (chunks + region->beside), i = task % (chunks + region->beside);
    if (i < half)
        chunk_task(region, step, i, thread);
    else if (i < half + region->beside)
        beside_task(region, step - 1, i - half, thread);
    else
        chunk_task(region, step, i - region->beside, thread);
}

/* Sub-layers [first, last), from the last. */
static void backward_sublayers(adm_model *model, int number, int64_t first, int64_t last)
{
    adm_workspace *ws = &model->ws;
    const adm_sublayer *sublayers = model->stacks[number].sublayers;
    backward_region region = {
        .model = model,
        .end = sublayers + last,
        .steps = last - first,
        .vectors_done = ws->progress,
        .chunk_done = ws->progress + 1,
        .beside_done = ws->progress + 1 + ws->num_chunks,
    };
    for (int64_t i = first; i < last; i++)
        region.beside = adm_max(region.beside, tasks_beside(model, &sublayers[i]));
    memset(ws->progress, 0, (size_t)(1 + ws->num_chunks + region.steps) * sizeof *ws->progress);
    adm_parallel_for_until(ws->run.stop, ws->run.threads,
                           (region.steps + 1) * (ws->num_chunks + region.beside), backward_task, &region);
}

void adm_stack_backward(adm_model *model, int number)
{
    const adm_stack *stack = &model->stacks[number];
    const int64_t r = stack->num_sublayers, length = model->ws.segment[number];
    for (int64_t first = (r - 1) / length * length; first >= 0; first -= length) {
        adm_stack_fill_segment(model, number, first);
        if (adm_stopped(model->ws.run.stop))
            return;
        backward_sublayers(model, number, first, adm_min(first + length, r));
    }
    reduce_slots(model, &stack->edge_slots, model->ws.stacks[number].edge_partials);
}
