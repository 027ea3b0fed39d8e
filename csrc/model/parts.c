#include "model/parts.h"

#include "model/sublayer.h"
#include "model/work.h"

#include <string.h>

/* What the tasks of a region compute: a chunk each, or a head of one. */
typedef struct parts_region {
    adm_model *model;
    const adm_sublayer *sub;
} parts_region;

static void run_region(parts_region region, int64_t tasks, adm_task_fn task)
{
    const adm_run *run = &region.model->ws.run;
    adm_parallel_for_until(run->stop, run->threads, tasks, task, &region);
}

/* ---- forward ---- */

static void forward_whole_task(void *context, int64_t chunk, int thread)
{
    const parts_region *region = context;
    adm_worker worker = adm_worker_begin(region->model, thread);
    if (!adm_worker_stopped(&worker))
        adm_sublayer_forward(region->model, region->sub, (adm_chunks){chunk, chunk + 1}, &worker);
}

static void forward_in_task(void *context, int64_t chunk, int thread)
{
    const parts_region *region = context;
    adm_worker worker = adm_worker_begin(region->model, thread);
    if (!adm_worker_stopped(&worker))
        adm_sublayer_forward_in(region->model, region->sub, chunk, &worker);
}

/* The last chunk first: of causal queries it sees most keys. */
static void forward_heads_task(void *context, int64_t task, int thread)
{
    const parts_region *region = context;
    const int64_t heads = region->model->config.heads,
                  chunk = region->model->ws.shape.chunks - 1 - task / heads;
    const int64_t head = task % heads;
    adm_worker worker = adm_worker_begin(region->model, thread);
    if (!adm_worker_stopped(&worker))
        adm_sublayer_forward_heads(region->model, region->sub, chunk, (adm_heads){head, head + 1}, &worker);
}

static void forward_out_task(void *context, int64_t chunk, int thread)
{
    const parts_region *region = context;
    adm_worker worker = adm_worker_begin(region->model, thread);
    if (!adm_worker_stopped(&worker))
        adm_sublayer_forward_out(region->model, region->sub, chunk, &worker);
}

void adm_parts_forward(adm_model *model, const adm_sublayer *sub)
{
    const int64_t chunks = model->ws.shape.chunks;
    const parts_region region = {model, sub};
    if (!sub->kind->attends) {
        run_region(region, chunks, forward_whole_task);
        return;
    }
    run_region(region, chunks, forward_in_task);
    run_region(region, chunks * model->config.heads, forward_heads_task);
    run_region(region, chunks, forward_out_task);
}

/* ---- backward ---- */

static void backward_whole_task(void *context, int64_t chunk, int thread)
{
    const parts_region *region = context;
    adm_worker worker = adm_worker_begin(region->model, thread);
    if (!adm_worker_stopped(&worker))
        adm_sublayer_backward(region->model, region->sub, (adm_chunks){chunk, chunk + 1}, &worker);
}

static void backward_out_task(void *context, int64_t chunk, int thread)
{
    const parts_region *region = context;
    adm_worker worker = adm_worker_begin(region->model, thread);
    if (!adm_worker_stopped(&worker))
        adm_sublayer_backward_out(region->model, region->sub, chunk, &worker);
}

/* A task for the heads that read the same keys. In their order: a chunk waits for what those before it have summed, and
   goes on when it is stopped. */
static void backward_heads_task(void *context, int64_t task, int thread)
{
    const parts_region *region = context;
    const adm_config *config = &region->model->config;
    const int64_t kv_heads = adm_kv_heads(config), count = config->heads / kv_heads;
    const int64_t first = task % kv_heads * count;
    adm_worker worker = adm_worker_begin(region->model, thread);
    adm_sublayer_backward_heads(region->model, region->sub, task / kv_heads,
                                (adm_heads){first, first + count}, &worker);
}

static void backward_in_task(void *context, int64_t chunk, int thread)
{
    const parts_region *region = context;
    adm_worker worker = adm_worker_begin(region->model, thread);
    if (!adm_worker_stopped(&worker))
        adm_sublayer_backward_in(region->model, region->sub, chunk, &worker);
}

void adm_parts_backward(adm_model *model, const adm_sublayer *sub)
{
    const int64_t chunks = model->ws.shape.chunks, heads = chunks * model->config.heads;
    const parts_region region = {model, sub};
    if (!sub->kind->attends) {
        run_region(region, chunks, backward_whole_task);
        return;
    }
    run_region(region, chunks, backward_out_task);
    memset(model->ws.attended, 0, (size_t)heads * sizeof *model->ws.attended);
    run_region(region, chunks * adm_kv_heads(&model->config), backward_heads_task);
    run_region(region, chunks, backward_in_task);
}
