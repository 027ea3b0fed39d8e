/* Logits, loss and their gradients, a block of rows at a time: the [M, V] matrix is never whole, and the gradient
   stands where the logits stood. */
#include "model/output.h"

#include "model/resolve.h"
#include "model/work.h"

#define TASK_ROWS ADM_LOGITS_TASK_ROWS
#define FEW_TASKS 16       /* of a block, which many threads cannot share evenly */
#define LOGITS_COLUMNS 256 /* of the logits that one task computes at most, where rows are few */
#define LOSS_ROWS 4        /* whose loss one task computes, where rows are few */
#define INPUT_ROWS 24  /* of the gradient of the input that one task computes at least, where rows are few */
#define THREAD_TASKS 4 /* of a region, for each thread: so that all end together */

/* What of a block is computed, each with those before it. */
typedef enum output_result { RESULT_LOGITS, RESULT_LOSS, RESULT_GRADIENTS } output_result;

typedef struct output_block {
    adm_model *model;
    output_result result;
    adm_linear map; /* logits = scale (x E^T + bias) of all rows; y and dy are the block's alone */
    adm_real scale;
    int64_t first, rows;    /* of the decoder's rows */
    adm_weight_tiles tiles; /* of the embedding's gradient, a task each */
    int64_t columns;        /* of the logits that one task computes, where rows are few */
    int64_t input_rows;     /* of dx that one task computes, where rows are few */
    int64_t
        input_tasks; /* that compute dx, before the one of the bias and those of the embedding's gradient */
    int64_t bias_tasks;
    adm_real factor; /* on the loss whose gradient is taken, over the number of tokens, times scale */
} output_block;

static double logits_scale(const adm_model *model)
{
    return model->config.logits_scale > 0 ? model->config.logits_scale : 1.0;
}

static adm_linear output_map(const adm_model *model, adm_real *logits)
{
    const adm_workspace *ws = &model->ws;
    const adm_stack_buffers *decoder = &ws->stacks[ADM_DECODER];
    const adm_linear_params *params = &model->params.output;
    return (adm_linear){
        .matrix = adm_resolve_matrix(model, params),
        .rows = decoder->rows,
        .x = decoder->end,
        .y = logits,
        .dy = logits,
        .dx = decoder->dx,
        .dweight = model->gradients == NULL ? NULL : model->gradients + params->weight,
        .dbias = model->gradients == NULL || params->bias < 0 ? NULL : model->gradients + params->bias,
    };
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

/* Rows of one of the block's tasks that have `rows` each. */
static adm_linear task_rows(const output_block *block, int64_t task, int64_t rows)
{
    const int64_t first = task * rows;
    return rows_of(block, first, adm_min(rows, block->rows - first));
}

/* ---- what the tasks do ---- */

/* Of logits, where they lie. */
static adm_real *slopes_of(const output_block *block, const adm_real *logits)
{
    const adm_workspace *ws = &block->model->ws;
    return ws->logits_slopes + (logits - ws->logits);
}

/* y becomes logits = cap tanh(scale y / cap) of columns [first, last), and, where gradients are asked for, the derivative of
   the cap is kept; without a cap logits = scale y */
static void scale_and_cap(const output_block *block, const adm_linear *part, int64_t first, int64_t last)
{
    const adm_model *model = block->model;
    const double cap = model->config.logits_cap;
    const adm_cap how = {cap > 0 ? (adm_real)(1.0 / cap) : 0, (adm_real)cap};
    if (block->scale == 1 && !(cap > 0))
        return;
    for (int64_t i = 0; i < part->rows; i++) {
        adm_real *row = part->y + i * part->matrix.outputs + first;
        adm_real *slopes = cap > 0 && block->result == RESULT_GRADIENTS ? slopes_of(block, row) : NULL;
        if (block->scale != 1)
            model->kernels->multiply(block->scale, row, row, last - first);
        if (cap > 0)
            model->kernels->soft_cap(&how, row, slopes, last - first);
    }
}

/* Losses of the block's rows from `first` on, each in its own place; dlogits where the logits stood. */
static void loss_of(const output_block *block, const adm_linear *part, int64_t first, adm_worker *worker)
{
    const adm_workspace *ws = &block->model->ws;
    worker->kernels->cross_entropy(&(adm_cross_entropy){
        .rows = part->rows,
        .classes = part->matrix.outputs,
        .logits = part->y,
        .labels = ws->labels + block->first + first,
        .smoothing = ws->run.label_smoothing,
        .z_loss = ws->run.z_loss,
        .gradient = block->result == RESULT_GRADIENTS,
        .factor = block->factor,
        .losses = ws->losses + 2 * (block->first + first),
    });
    if (block->result == RESULT_GRADIENTS && block->model->config.logits_cap > 0)
        worker->kernels->scale_add(slopes_of(block, part->y), part->dy, NULL, part->dy, 1,
                                   part->rows * part->matrix.outputs);
    adm_work_note(worker, ADM_WORK_LOSS);
}

/* logits = cap(scale (x E^T + bias)); loss; in their place dlogits, by x E^T + bias; dx = dlogits E: as far as asked */
static void rows_task(void *context, int64_t task, int thread)
{
    const output_block *block = context;
    adm_worker worker = adm_worker_begin(block->model, thread);
    const adm_linear part = task_rows(block, task, TASK_ROWS);
    if (adm_worker_stopped(&worker))
        return;
    adm_linear_forward(&worker, &part, false);
    scale_and_cap(block, &part, 0, part.matrix.outputs);
    adm_work_note(&worker, ADM_WORK_PRODUCTS);
    if (block->result != RESULT_LOGITS)
        loss_of(block, &part, task * TASK_ROWS, &worker);
    if (block->result == RESULT_GRADIENTS)
        adm_linear_backward_input(&worker, &part, false);
    adm_work_note(&worker, ADM_WORK_PRODUCTS);
}

/* Columns of logits = scale (x E^T + bias), of all rows of the block */
static void logits_columns_task(void *context, int64_t task, int thread)
{
    const output_block *block = context;
    adm_worker worker = adm_worker_begin(block->model, thread);
    const adm_linear part = rows_of(block, 0, block->rows);
    const int64_t first = task * block->columns, last = adm_min(first + block->columns, part.matrix.outputs);
    if (adm_worker_stopped(&worker))
        return;
    adm_linear_forward_columns(&worker, &part, first, last);
    scale_and_cap(block, &part, first, last);
    adm_work_note(&worker, ADM_WORK_PRODUCTS);
}

/* The loss of a few rows, and dlogits. */
static void loss_task(void *context, int64_t task, int thread)
{
    const output_block *block = context;
    adm_worker worker = adm_worker_begin(block->model, thread);
    const adm_linear part = task_rows(block, task, LOSS_ROWS);
    if (!adm_worker_stopped(&worker))
        loss_of(block, &part, task * LOSS_ROWS, &worker);
}

/* Columns of dx = dlogits E, of a part of the block's rows */
static void input_columns_task(const output_block *block, int64_t task, adm_worker *worker)
{
    const int64_t panels = adm_pieces(block->map.matrix.inputs, ADM_PANEL_MAX);
    const adm_linear part = task_rows(block, task / panels, block->input_rows);
    const int64_t first = task % panels * ADM_PANEL_MAX;
    adm_linear_backward_input_columns(worker, &part, first,
                                      adm_min(first + ADM_PANEL_MAX, part.matrix.inputs));
}

/* Rows of dE = dlogits^T x, to which later blocks add; before them, where the block is cut by columns, those of dx, and
   the sums of dlogits where there is a bias. */
static void gradient_task(void *context, int64_t task, int thread)
{
    const output_block *block = context;
    adm_worker worker = adm_worker_begin(block->model, thread);
    if (adm_worker_stopped(&worker))
        return;
    if (task < block->input_tasks) {
        input_columns_task(block, task, &worker);
        adm_work_note(&worker, ADM_WORK_PRODUCTS);
        return;
    }
    const adm_linear part = rows_of(block, 0, block->rows);
    task -= block->input_tasks;
    if (task < block->bias_tasks) {
        adm_linear_backward_bias(&worker, &part);
        adm_work_note(&worker, ADM_WORK_ROWS);
    } else {
        const bool accumulate = block->model->ws.run.accumulate || block->first > 0;
        adm_linear_backward_weight(&worker, &part, &block->tiles, task - block->bias_tasks, accumulate);
        adm_work_note(&worker, ADM_WORK_PRODUCTS);
    }
}

/* ---- the passes ---- */

/* Whether a block's rows are too few to be shared out: then its columns are, unless that would change bits. */
static bool cut_by_columns(const output_block *block)
{
    const adm_matrix *matrix = &block->map.matrix;
    return !block->model->kernels->by_blas && adm_pieces(block->rows, TASK_ROWS) < FEW_TASKS &&
           matrix->outputs >= FEW_TASKS * LOGITS_COLUMNS;
}

/* Columns of the logits that one task computes: whole panels, the fewer the more threads there are. */
static int64_t logits_columns(const output_block *block)
{
    const int64_t tasks = (int64_t)THREAD_TASKS * block->model->ws.run.threads;
    const int64_t columns = block->map.matrix.outputs / tasks / ADM_PANEL_MAX * ADM_PANEL_MAX;
    return adm_max(adm_min(columns, LOGITS_COLUMNS), ADM_PANEL_MAX);
}

/* Rows of dx that one task computes of a panel of columns: all, where there are panels enough for the threads. */
static int64_t input_rows(const output_block *block)
{
    const int64_t panels = adm_pieces(block->map.matrix.inputs, ADM_PANEL_MAX);
    const int64_t cut = adm_max(block->model->ws.run.threads / panels, 1);
    return adm_max(adm_pieces(block->rows, cut), INPUT_ROWS);
}

static void run_region(output_block *block, int64_t tasks, adm_task_fn task)
{
    const adm_run *run = &block->model->ws.run;
    adm_parallel_for_until(run->stop, run->threads, tasks, task, block);
}

static void run_block(output_block *block)
{
    const adm_matrix *matrix = &block->map.matrix;
    const bool columns = cut_by_columns(block);
    block->columns = logits_columns(block);
    block->input_rows = input_rows(block);
    if (columns)
        run_region(block, adm_pieces(matrix->outputs, block->columns), logits_columns_task);
    else
        run_region(block, adm_pieces(block->rows, TASK_ROWS), rows_task);
    if (columns && block->result != RESULT_LOGITS)
        run_region(block, adm_pieces(block->rows, LOSS_ROWS), loss_task);
    block->input_tasks =
        columns ? adm_pieces(matrix->inputs, ADM_PANEL_MAX) * adm_pieces(block->rows, block->input_rows) : 0;
    block->bias_tasks = block->map.dbias != NULL;
    if (block->result == RESULT_GRADIENTS)
        run_region(block, block->input_tasks + block->bias_tasks + block->tiles.count, gradient_task);
}

void adm_output_logits(adm_model *model, adm_real *logits)
{
    output_block block = {.model = model,
                          .result = RESULT_LOGITS,
                          .map = output_map(model, logits),
                          .scale = (adm_real)logits_scale(model),
                          .rows = model->ws.stacks[ADM_DECODER].rows};
    run_block(&block);
}

/* The sum over rows of losses [rows, 2], without smoothing or with it: by TASK_ROWS, however the rows were shared out. */
static double sum_losses(const double *losses, int64_t rows)
{
    double total = 0;
    for (int64_t first = 0; first < rows; first += TASK_ROWS) {
        double sum = 0;
        for (int64_t i = first; i < adm_min(first + TASK_ROWS, rows); i++)
            sum += losses[2 * i];
        total += sum;
    }
    return total;
}

void adm_output_loss(adm_model *model, bool backward, adm_loss *loss)
{
    adm_workspace *ws = &model->ws;
    const adm_run *run = &ws->run;
    const int64_t rows = ws->stacks[ADM_DECODER].rows;
    output_block block = {.model = model,
                          .result = backward ? RESULT_GRADIENTS : RESULT_LOSS,
                          .map = output_map(model, ws->logits),
                          .scale = (adm_real)logits_scale(model)};
    block.tiles =
        adm_linear_weight_tiles(model->kernels, &block.map.matrix, (int64_t)THREAD_TASKS * run->threads);
    block.factor = (adm_real)(run->scale * logits_scale(model) / (double)rows);
    for (block.first = 0; block.first < rows; block.first += ws->block_rows) {
        block.rows = adm_min(ws->block_rows, rows - block.first);
        run_block(&block);
    }
    *loss = (adm_loss){sum_losses(ws->losses, rows) / (double)rows,
                       sum_losses(ws->losses + 1, rows) / (double)rows, rows};
}
