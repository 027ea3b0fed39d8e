/* Takes the chunks of a batch forward through the stacks. */
#include "model/model_internal.h"

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
        adm_embed_chunk(model, region->stack, chunk);
    adm_work_note(model, ADM_WORK_ROWS, thread, &since);
    for (int64_t i = region->first; i < region->last; i++) {
        if (adm_stop_asked(model->ws.run.stop, thread))
            return;
        adm_sublayer_forward(model, region->stack, i, chunk, thread);
    }
    since = adm_clock();
    if (region->finish)
        adm_finish_chunk(model, region->stack, chunk);
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
    const adm_run *run = &model->ws.run;
    adm_parallel_for_until(run->stop, run->threads, model->ws.num_chunks, forward_task, &region);
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

void adm_stack_fill_segment(adm_model *model, int stack, int64_t first)
{
    const adm_workspace *ws = &model->ws;
    if (ws->segmented && (ws->live_stack != stack || ws->live_first != first))
        forward_segment(model, stack, first, false, false);
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
        adm_parallel_for_until(model->ws.run.stop, model->ws.run.threads, model->ws.num_chunks,
                               forward_all_task, model);
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
    if (model->ws.run.observe && !adm_stopped(model->ws.run.stop))
        adm_observe_forward(model);
}
