/* Takes the chunks of a batch through the stacks: forward and backward, and who does what beside whom. */
#include "model/model_internal.h"

#include <string.h>

#define SITE_EMBEDDING 0xFFFFFFFFu /* above the sites of all sub-layers */

/* ---- the ends of a stack: embedding and final norm ---- */

static adm_dropout embedding_dropout(const adm_model *model, int stack)
{
    const adm_run *run = &model->ws.run;
    return adm_dropout_make(model->config.dropout, run->training, run->seed, run->step,
                            ((uint64_t)stack << 32) + SITE_EMBEDDING);
}

/* x0 = input_scale dropout(sqrt(D) embedding + position); with hidden states given, x0 = input_scale x */
static void embed_chunk(adm_model *model, int number, int64_t chunk)
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
    if (stack->config->input_scale == ADM_SCALE_VECTOR) {
        kernels->scale_add(scale, x, NULL, x0, span.rows, d);
    } else {
        memset(x0, 0, (size_t)(span.rows * d) * sizeof *x0);
        kernels->axpy(scale[0], x, x0, span.rows * d);
    }
}

/* dx0 becomes the gradient of the embedding: dscale = sum dx0 x, dx = dropout(scale dx0) */
static void embed_chunk_backward(adm_model *model, int number, int64_t chunk)
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
            kernels->axpy(scale[0] - 1, dx, dx, span.rows * d);
    }
    if (stack->embedding >= 0) {
        const adm_dropout dropout = embedding_dropout(model, number);
        kernels->dropout(dx, span.rows, d, span.first, &dropout);
    }
}

static void finish_chunk(adm_model *model, int number, int64_t chunk)
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

static void finish_chunk_backward(adm_model *model, int number, int64_t chunk)
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

/* ---- forward ---- */

/* What a region of forward tasks does with each chunk. */
typedef struct forward_region {
    adm_model *model;
    int stack;
    int64_t first, last; /* sub-layers [first, last) */
    bool begin, finish;
} forward_region;

static void forward_chunk(forward_region *region, int64_t chunk, int thread)
{
    adm_model *model = region->model;
    double since = adm_clock();
    if (region->begin)
        embed_chunk(model, region->stack, chunk);
    adm_work_note(model, ADM_WORK_ROWS, thread, &since);
    for (int64_t i = region->first; i < region->last; i++)
        adm_sublayer_forward(model, region->stack, i, chunk, thread);
    since = adm_clock();
    if (region->finish)
        finish_chunk(model, region->stack, chunk);
    adm_work_note(model, ADM_WORK_ROWS, thread, &since);
}

static void forward_task(void *context, int64_t chunk, int thread)
{
    forward_chunk(context, chunk, thread);
}

static void forward_all_task(void *context, int64_t chunk, int thread)
{
    adm_model *model = context;
    for (int s = 0; s < 2; s++) {
        forward_region region = {model, s, 0, model->stacks[s].num_sublayers, true, true};
        if (region.last > 0)
            forward_chunk(&region, chunk, thread);
    }
}

static void run_region(adm_model *model, forward_region region)
{
    adm_parallel_for(model->ws.run.threads, model->ws.num_chunks, forward_task, &region);
}

void adm_stack_begin(adm_model *model, int stack)
{
    run_region(model, (forward_region){model, stack, 0, 0, true, false});
}

void adm_stack_forward_sublayer(adm_model *model, int stack, int64_t index)
{
    run_region(model, (forward_region){model, stack, index, index + 1, false, false});
}

void adm_stack_finish(adm_model *model, int stack)
{
    run_region(model, (forward_region){model, stack, 0, 0, false, true});
}

/* Sub-layers from `first` to the end of their segment, into the buffers that all segments share. */
static void forward_segment(adm_model *model, int stack, int64_t first, bool begin, bool finish)
{
    adm_workspace *ws = &model->ws;
    const int64_t last = adm_min(first + ws->segment[stack], model->stacks[stack].num_sublayers);
    run_region(model, (forward_region){model, stack, first, last, begin, finish});
    ws->live_stack = stack;
    ws->live_first = first;
}

static void forward_segments(adm_model *model)
{
    for (int s = 0; s < 2; s++) {
        const int64_t r = model->stacks[s].num_sublayers, length = model->ws.segment[s];
        for (int64_t first = 0; first < r; first += length)
            forward_segment(model, s, first, first == 0, first + length >= r);
    }
}

/* Chunks need nothing of each other, so one region takes them all the way. Only where sub-layers share their
   buffers (segments, ADM_KEEP_NOTHING) must no chunk be ahead of the others. */
void adm_stacks_forward(adm_model *model)
{
    if (model->ws.segmented) {
        forward_segments(model);
    } else if (model->ws.keep != ADM_KEEP_NOTHING) {
        adm_parallel_for(model->ws.run.threads, model->ws.num_chunks, forward_all_task, model);
    } else {
        for (int s = 0; s < 2; s++) {
            if (model->stacks[s].num_sublayers == 0)
                continue;
            adm_stack_begin(model, s);
            for (int64_t i = 0; i < model->stacks[s].num_sublayers; i++)
                adm_stack_forward_sublayer(model, s, i);
            adm_stack_finish(model, s);
        }
    }
    if (model->ws.run.observe)
        adm_observe_forward(model);
}

/* ---- backward ---- */

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

/* The jobs of a sub-layer, at most 3. */
static int sublayer_jobs(adm_model *model, const adm_sublayer *sub, weight_job jobs[3])
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

/* One backward region: chunks through sub-layer `below` (-1: none, but the embedding's end), and the weight
   gradients of sub-layer `above` (the one computed in the region before; -1: none). */
typedef struct backward_region {
    adm_model *model;
    int stack;
    int64_t below, above;
    weight_job jobs[3];
    int num_jobs;
} backward_region;

/* Rows of a gradient to where they are kept, if they are. */
static void keep_gradient(adm_real *kept, const adm_real *gradient, adm_span span, int64_t d)
{
    if (kept != NULL)
        memcpy(kept + span.first * d, gradient + span.first * d, (size_t)(span.rows * d) * sizeof *kept);
}

static void backward_chunk(const backward_region *region, int64_t chunk, int thread)
{
    adm_model *model = region->model;
    const adm_stack *stack = &model->stacks[region->stack];
    adm_stack_acts *acts = &model->ws.stacks[region->stack];
    const int64_t d = model->config.d_model, r = stack->num_sublayers;
    const adm_span span = adm_chunk_span(&model->ws, acts->offsets, chunk);
    double *sums = acts->grad_sums + chunk * (r + 1), unused = 0;
    if (region->below == r - 1) {
        finish_chunk_backward(model, region->stack, chunk);
        keep_gradient(acts->kept_dx, acts->dx, span, d);
        if (model->ws.run.observe) {
            memset(sums, 0, (size_t)(r + 1) * sizeof *sums);
            model->kernels->add_moments(acts->dx + span.first * d, span.rows * d, &unused, &sums[r]);
        }
    }
    adm_sublayer_backward(model, region->stack, region->below, chunk, thread);
    if (model->ws.run.observe)
        model->kernels->add_moments(acts->dx + span.first * d, span.rows * d, &unused, &sums[region->below]);
    keep_gradient(acts->sublayers[region->below].kept_dx, acts->dx, span, d);
    if (region->below == 0)
        embed_chunk_backward(model, region->stack, chunk);
}

/* Weight gradients, the longest tasks, come first, so that all threads end together. */
static void backward_task(void *context, int64_t task, int thread)
{
    const backward_region *region = context;
    adm_model *model = region->model;
    double since = adm_clock();
    for (int j = 0; j < region->num_jobs; j++) {
        const weight_job *job = &region->jobs[j];
        const int64_t tiles = job_tiles(job);
        if (task < tiles) {
            const int64_t first = task * job->tile, last = adm_min(first + job->tile, job->matrix.out);
            adm_linear_backward_weight(model->kernels, &job->matrix, job->x, job->dy, job->dw, first, last,
                                       job->rows);
            adm_work_note(model, ADM_WORK_PRODUCTS, thread, &since);
            return;
        }
        task -= tiles;
    }
    if (region->below >= 0 && task < model->ws.num_chunks) {
        backward_chunk(region, task, thread);
        return;
    }
    const adm_sublayer *above = &model->stacks[region->stack].sublayers[region->above];
    reduce_slots(model, &above->slots, model->ws.partials[region->above % 2]);
    adm_work_note(model, ADM_WORK_ROWS, thread, &since);
}

/* Sub-layers [first, last), from the last; one region more for the weight gradients of the first. */
static void backward_sublayers(adm_model *model, int number, int64_t first, int64_t last)
{
    const adm_stack *stack = &model->stacks[number];
    for (int64_t below = last - 1; below >= first - 1; below--) {
        backward_region region = {
            .model = model, .stack = number, .below = below >= first ? below : -1, .above = -1};
        int64_t tasks = below >= first ? model->ws.num_chunks : 0;
        if (below < last - 1) {
            region.above = below + 1;
            region.num_jobs = sublayer_jobs(model, &stack->sublayers[region.above], region.jobs);
            for (int j = 0; j < region.num_jobs; j++)
                tasks += job_tiles(&region.jobs[j]);
            tasks += 1; /* the vectors */
        }
        adm_parallel_for(model->ws.run.threads, tasks, backward_task, &region);
    }
}

void adm_stack_backward(adm_model *model, int number)
{
    const adm_stack *stack = &model->stacks[number];
    const adm_workspace *ws = &model->ws;
    const int64_t r = stack->num_sublayers, length = ws->segment[number];
    for (int64_t first = (r - 1) / length * length; first >= 0; first -= length) {
        if (ws->segmented && (ws->live_stack != number || ws->live_first != first))
            forward_segment(model, number, first, false, false);
        backward_sublayers(model, number, first, adm_min(first + length, r));
    }
    reduce_slots(model, &stack->edge_slots, ws->stacks[number].edge_partials);
}
