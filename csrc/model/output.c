/* Logits, loss and their gradients, a block of rows at a time: the [M, V] matrix is never whole, and the gradient
   stands where the logits stood. */
#include "model/model_internal.h"

#include <string.h>

#define TASK_ROWS ADM_LOGITS_TASK_ROWS
#define WEIGHT_TASKS 4 /* of the output embedding's gradient, for each thread: so that all end together */

typedef struct output_block {
    adm_model *model;
    adm_real *logits;    /* [rows, V] */
    int64_t first, rows; /* of the decoder's rows */
    int64_t tile;        /* rows of the embedding's gradient that one task computes */
    bool backward;
    adm_real factor; /* on the loss whose gradient is taken, over the number of tokens; 0 without backward */
    double *losses;  /* [tasks, 2] */
} output_block;

static adm_matrix output_matrix(const adm_model *model)
{
    const adm_workspace *ws = &model->ws;
    return (adm_matrix){
        .weight = model->weights + model->output,
        .packed = ws->packed == NULL ? NULL : ws->packed + model->output_packing.forward,
        .packed_back = ws->packed_back == NULL ? NULL : ws->packed_back + model->output_packing.back,
        .out = model->config.vocab_size,
        .in = model->config.d_model,
    };
}

static adm_span task_span(const output_block *block, int64_t task)
{
    const int64_t first = task * TASK_ROWS;
    return (adm_span){first, adm_min(TASK_ROWS, block->rows - first)};
}

static int64_t block_tasks(const output_block *block)
{
    return (block->rows + TASK_ROWS - 1) / TASK_ROWS;
}

/* logits = x E^T */
static void logits_of(const output_block *block, int64_t task, int thread)
{
    adm_model *model = block->model;
    double since = adm_clock();
    const adm_matrix output = output_matrix(model);
    const adm_span span = task_span(block, task);
    const adm_real *x = model->ws.stacks[ADM_DECODER].end + (block->first + span.first) * output.in;
    adm_linear_forward(model->kernels, &output, x, block->logits + span.first * output.out, false, span.rows);
    adm_work_note(model, ADM_WORK_PRODUCTS, thread, &since);
}

static void logits_task(void *context, int64_t task, int thread)
{
    const output_block *block = context;
    if (!adm_stop_asked(block->model->ws.run.stop, thread))
        logits_of(block, task, thread);
}

/* logits = x E^T; loss; dlogits in their place; dx = dlogits E */
static void loss_task(void *context, int64_t task, int thread)
{
    const output_block *block = context;
    adm_model *model = block->model;
    const adm_matrix output = output_matrix(model);
    const adm_span span = task_span(block, task);
    const int64_t row = block->first + span.first;
    adm_real *logits = block->logits + span.first * output.out;
    double *losses = block->losses + 2 * task;
    losses[0] = losses[1] = 0;
    if (adm_stop_asked(model->ws.run.stop, thread))
        return;
    logits_of(block, task, thread);
    double since = adm_clock();
    model->kernels->cross_entropy(logits, model->ws.labels + row, span.rows, output.out,
                                  model->ws.run.label_smoothing, block->factor, &losses[0], &losses[1]);
    if (block->backward && block->factor == 0) /* the kernel left no gradient in place of the logits */
        memset(logits, 0, (size_t)(span.rows * output.out) * sizeof *logits);
    adm_work_note(model, ADM_WORK_LOSS, thread, &since);
    if (block->backward)
        adm_linear_backward_input(model->kernels, &output, logits,
                                  model->ws.stacks[ADM_DECODER].dx + row * output.in, false, span.rows);
    adm_work_note(model, ADM_WORK_PRODUCTS, thread, &since);
}

/* Rows of dE += dlogits^T x */
static void weight_task(void *context, int64_t task, int thread)
{
    const output_block *block = context;
    adm_model *model = block->model;
    if (adm_stop_asked(model->ws.run.stop, thread))
        return;
    double since = adm_clock();
    const adm_matrix output = output_matrix(model);
    const adm_real *x = model->ws.stacks[ADM_DECODER].end + block->first * output.in;
    const int64_t first = task * block->tile, last = adm_min(first + block->tile, output.out);
    adm_linear_backward_weight(model->kernels, &output, x, block->logits, model->gradients + model->output,
                               first, last, block->rows);
    adm_work_note(model, ADM_WORK_PRODUCTS, thread, &since);
}

void adm_output_logits(adm_model *model, adm_real *out)
{
    output_block block = {.model = model, .logits = out, .rows = model->ws.stacks[ADM_DECODER].rows};
    const adm_run *run = &model->ws.run;
    adm_parallel_for_until(run->stop, run->threads, block_tasks(&block), logits_task, &block);
}

void adm_output_loss(adm_model *model, bool backward, adm_loss *loss)
{
    adm_workspace *ws = &model->ws;
    const int64_t rows = ws->stacks[ADM_DECODER].rows;
    const int64_t v = model->config.vocab_size;
    const int64_t tile = adm_linear_weight_rows(model->kernels, v, WEIGHT_TASKS * ws->run.threads);
    output_block block = {.model = model, .tile = tile, .logits = ws->logits, .losses = ws->losses};
    double total = 0, nll = 0;
    block.backward = backward;
    block.factor = backward ? (adm_real)(ws->run.scale / (double)rows) : 0;
    for (block.first = 0; block.first < rows; block.first += ws->block_rows) {
        block.rows = adm_min(ws->block_rows, rows - block.first);
        const int64_t tasks = block_tasks(&block);
        adm_parallel_for_until(ws->run.stop, ws->run.threads, tasks, loss_task, &block);
        if (backward)
            adm_parallel_for_until(ws->run.stop, ws->run.threads, (v + tile - 1) / tile, weight_task, &block);
        for (int64_t t = 0; t < tasks; t++) {
            total += block.losses[2 * t];
            nll += block.losses[2 * t + 1];
        }
    }
    *loss = (adm_loss){total / (double)rows, nll / (double)rows, rows};
}
