/* Logits, loss and their gradients, a block of rows at a time: the [M, V] matrix is never whole, and the gradient
   stands where the logits stood. */
#include "model/output.h"

#include "layers/linear.h"
#include "model/work.h"

#include <string.h>

#define TASK_ROWS ADM_LOGITS_TASK_ROWS
#define WEIGHT_TASKS 4 /* of the output embedding's gradient, for each thread: so that all end together */

typedef struct output_block {
    adm_model *model;
    adm_linear map;      /* logits = x E^T of all rows; y and dy are the block's alone */
    int64_t first, rows; /* of the decoder's rows */
    int64_t tile;        /* rows of the embedding's gradient that one task computes */
    bool backward;
    adm_real factor; /* on the loss whose gradient is taken, over the number of tokens; 0 without backward */
} output_block;

static adm_linear output_map(const adm_model *model, adm_real *logits)
{
    const adm_workspace *ws = &model->ws;
    const adm_stack_buffers *decoder = &ws->stacks[ADM_DECODER];
    const adm_packing *packing = &model->output_packing;
    const int64_t embedding = model->params.output_embedding;
    return (adm_linear){
        .matrix =
            {
                .weight = model->weights + embedding,
                .packed = ws->packed == NULL ? NULL : ws->packed + packing->forward,
                .packed_back = ws->packed_back == NULL ? NULL : ws->packed_back + packing->backward,
                .outputs = model->config.vocab_size,
                .inputs = model->config.d_model,
            },
        .rows = decoder->rows,
        .x = decoder->end,
        .y = logits,
        .dy = logits,
        .dx = decoder->dx,
        .dweight = model->gradients == NULL ? NULL : model->gradients + embedding,
    };
}

static int64_t block_tasks(const output_block *block)
{
    return (block->rows + TASK_ROWS - 1) / TASK_ROWS;
}

/* The block's rows [first, first + rows). */
static adm_linear rows_of(const output_block *block, int64_t first, int64_t rows)
{
    adm_linear part = block->map;
    const int64_t d = part.matrix.inputs, at = (block->first + first) * d;
    part.rows = rows;
    part.x += at;
    part.dx = part.dx == NULL ? NULL : part.dx + at;
    part.y += first * part.matrix.outputs;
    part.dy += first * part.matrix.outputs;
    return part;
}

static adm_linear task_rows(const output_block *block, int64_t task)
{
    const int64_t first = task * TASK_ROWS;
    return rows_of(block, first, adm_min(TASK_ROWS, block->rows - first));
}

static void logits_task(void *context, int64_t task, int thread)
{
    const output_block *block = context;
    adm_worker worker = adm_worker_begin(block->model, thread);
    const adm_linear part = task_rows(block, task);
    if (adm_worker_stopped(&worker))
        return;
    adm_linear_forward(&worker, &part, false);
    adm_work_note(&worker, ADM_WORK_PRODUCTS);
}

/* logits = x E^T; loss; dlogits in their place; dx = dlogits E */
static void loss_task(void *context, int64_t task, int thread)
{
    const output_block *block = context;
    adm_model *model = block->model;
    adm_worker worker = adm_worker_begin(model, thread);
    const adm_linear part = task_rows(block, task);
    const int32_t *labels = model->ws.labels + block->first + task * TASK_ROWS;
    const int64_t v = part.matrix.outputs;
    double *losses = model->ws.losses + 2 * task;
    losses[0] = losses[1] = 0;
    if (adm_worker_stopped(&worker))
        return;
    adm_linear_forward(&worker, &part, false);
    adm_work_note(&worker, ADM_WORK_PRODUCTS);
    model->kernels->cross_entropy(part.y, labels, part.rows, v, model->ws.run.label_smoothing, block->factor,
                                  &losses[0], &losses[1]);
    if (block->backward && block->factor == 0) /* the kernel left no gradient in place of the logits */
        memset(part.dy, 0, (size_t)(part.rows * v) * sizeof *part.dy);
    adm_work_note(&worker, ADM_WORK_LOSS);
    if (block->backward)
        adm_linear_backward_input(&worker, &part, false);
    adm_work_note(&worker, ADM_WORK_PRODUCTS);
}

/* Rows of dE += dlogits^T x */
static void weight_task(void *context, int64_t task, int thread)
{
    const output_block *block = context;
    adm_worker worker = adm_worker_begin(block->model, thread);
    if (adm_worker_stopped(&worker))
        return;
    const adm_linear part = rows_of(block, 0, block->rows);
    const int64_t first = task * block->tile, last = adm_min(first + block->tile, part.matrix.outputs);
    adm_linear_backward_weight(&worker, &part, first, last);
    adm_work_note(&worker, ADM_WORK_PRODUCTS);
}

void adm_output_logits(adm_model *model, adm_real *logits)
{
    const adm_run *run = &model->ws.run;
    output_block block = {
        .model = model, .map = output_map(model, logits), .rows = model->ws.stacks[ADM_DECODER].rows};
    adm_parallel_for_until(run->stop, run->threads, block_tasks(&block), logits_task, &block);
}

void adm_output_loss(adm_model *model, bool backward, adm_loss *loss)
{
    adm_workspace *ws = &model->ws;
    const adm_run *run = &ws->run;
    const int64_t rows = ws->stacks[ADM_DECODER].rows, v = model->config.vocab_size;
    output_block block = {.model = model, .map = output_map(model, ws->logits), .backward = backward};
    double total = 0, nll = 0;
    block.tile = adm_linear_weight_rows(model->kernels, v, WEIGHT_TASKS * run->threads);
    block.factor = backward ? (adm_real)(run->scale / (double)rows) : 0;
    for (block.first = 0; block.first < rows; block.first += ws->block_rows) {
        block.rows = adm_min(ws->block_rows, rows - block.first);
        const int64_t tasks = block_tasks(&block);
        adm_parallel_for_until(run->stop, run->threads, tasks, loss_task, &block);
        if (backward)
            adm_parallel_for_until(run->stop, run->threads, (v + block.tile - 1) / block.tile, weight_task,
                                   &block);
        for (int64_t t = 0; t < tasks; t++) {
            total += ws->losses[2 * t];
            nll += ws->losses[2 * t + 1];
        }
    }
    *loss = (adm_loss){total / (double)rows, nll / (double)rows, rows};
}
