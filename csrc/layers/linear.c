#include "layers/linear.h"

#include "layers/span.h"

#include <assert.h>

/* Rows of a weight gradient in one task: at most ADM_GEMM_ROWS, ... */
#define LEAST_ROWS 32    /* and at least, since fewer do not pay for the copied panels */
#define LIBRARY_ROWS 120 /* where BLAS computes them: its sums may depend on how many rows it is given */

/* y = x W^T + bias, negative elements 0 where relu; columns [first, last) */
static void forward_columns(adm_worker *worker, const adm_linear *linear, int64_t first, int64_t last,
                            bool relu)
{
    const adm_matrix *matrix = &linear->matrix;
    const bool packed = matrix->packed != NULL;
    worker->kernels->gemm(&(adm_gemm){
        .m = linear->rows,
        .n = last - first,
        .k = matrix->inputs,
        .a = linear->x,
        .row = matrix->inputs,
        .step = 1,
        .b = (packed ? matrix->packed : matrix->weight) + first * matrix->inputs,
        .ldb = matrix->inputs,
        .layout = packed ? ADM_B_PACKED : ADM_B_TRANSPOSED,
        .c = linear->y + first,
        .ldc = matrix->outputs,
        .bias = matrix->bias == NULL ? NULL : matrix->bias + first,
        .relu = relu,
        .scratch = worker->copies,
    });
}

/* y = x W^T + bias:  dx = dy W; columns [first, last) */
static void backward_columns(adm_worker *worker, const adm_linear *linear, int64_t first, int64_t last,
                             bool accumulate)
{
    const adm_matrix *matrix = &linear->matrix;
    const bool packed = matrix->packed_back != NULL;
    worker->kernels->gemm(&(adm_gemm){
        .m = linear->rows,
        .n = last - first,
        .k = matrix->outputs,
        .a = linear->dy,
        .row = matrix->outputs,
        .step = 1,
        .b = packed ? matrix->packed_back + first * matrix->outputs : matrix->weight + first,
        .ldb = matrix->inputs,
        .layout = packed ? ADM_B_PACKED : ADM_B_ROWS,
        .c = linear->dx + first,
        .ldc = matrix->inputs,
        .accumulate = accumulate,
        .scratch = worker->copies,
    });
}

/* ---- the whole forward product, maybe by a team ---- */

#define SHARED_MULTIPLY_ADDS ((int64_t)1 << 17) /* from which a region pays */

typedef struct team_product {
    const adm_worker *worker; /* thread 0's */
    const adm_linear *linear;
    int64_t columns; /* of a task */
    bool relu;
} team_product;

static void team_task(void *context, int64_t task, int thread)
{
    const team_product *product = context;
    adm_worker worker = {.kernels = product->worker->kernels,
                         .copies = product->worker->copies + thread * ADM_GEMM_SCRATCH};
    const int64_t first = task * product->columns;
    forward_columns(&worker, product->linear, first,
                    adm_min(first + product->columns, product->linear->matrix.outputs), product->relu);
}

static bool shares(const adm_worker *worker, const adm_linear *linear)
{
    const adm_matrix *matrix = &linear->matrix;
    return worker->team > 1 && matrix->packed != NULL && matrix->outputs > ADM_PANEL_MAX &&
           linear->rows * matrix->outputs * matrix->inputs >= SHARED_MULTIPLY_ADDS;
}

void adm_linear_forward(adm_worker *worker, const adm_linear *linear, bool relu)
{
    const int64_t outputs = linear->matrix.outputs;
    if (!shares(worker, linear)) {
        forward_columns(worker, linear, 0, outputs, relu);
        return;
    }
    const int64_t columns = adm_round_up(adm_pieces(outputs, worker->team), ADM_PANEL_MAX);
    team_product product = {worker, linear, columns, relu};
    adm_parallel_for(worker->team, adm_pieces(outputs, columns), team_task, &product);
}

/* ---- backward, and columns alone ---- */

void adm_linear_backward_input(adm_worker *worker, const adm_linear *linear, bool accumulate)
{
    backward_columns(worker, linear, 0, linear->matrix.inputs, accumulate);
}

void adm_linear_forward_columns(adm_worker *worker, const adm_linear *linear, int64_t first, int64_t last)
{
    assert(first % ADM_PANEL_MAX == 0);
    forward_columns(worker, linear, first, last, false);
}

void adm_linear_backward_input_columns(adm_worker *worker, const adm_linear *linear, int64_t first,
                                       int64_t last)
{
    assert(first % ADM_PANEL_MAX == 0);
    backward_columns(worker, linear, first, last, false);
}

/* y = x W^T + bias:  dbias = sum over rows of dy */
void adm_linear_backward_bias(adm_worker *worker, const adm_linear *linear)
{
    if (linear->dbias != NULL)
        worker->kernels->add_column_sums(linear->dy, linear->dbias, linear->rows, linear->matrix.outputs);
}

/* y = x W^T + bias:  dW = dy^T x. What is written has the bits of what is added to zeros: a tile's -0 becomes +0. */
void adm_linear_backward_weight(adm_worker *worker, const adm_linear *linear, const adm_weight_tiles *tiles,
                                int64_t tile, bool accumulate)
{
    const adm_matrix *matrix = &linear->matrix;
    const int64_t row = tile / tiles->across * tiles->rows, column = tile % tiles->across * tiles->columns;
    worker->kernels->gemm(&(adm_gemm){
        .m = adm_min(tiles->rows, matrix->outputs - row),
        .n = adm_min(tiles->columns, matrix->inputs - column),
        .k = linear->rows,
        .a = linear->dy + row,
        .row = 1,
        .step = matrix->outputs,
        .b = linear->x + column,
        .ldb = matrix->inputs,
        .c = linear->dweight + row * matrix->inputs + column,
        .ldc = matrix->inputs,
        .accumulate = accumulate,
        .scratch = worker->copies,
    });
}

/* Rows are cut first, since a tile copies all panels that it reads. */
adm_weight_tiles adm_linear_weight_tiles(const adm_kernels *kernels, const adm_matrix *matrix, int64_t tasks)
{
    const bool library = kernels->by_blas;
    const int64_t fewest = adm_pieces(matrix->outputs, ADM_GEMM_ROWS);
    const int64_t most = adm_max(matrix->outputs / LEAST_ROWS, 1);
    const int64_t down =
        library ? adm_pieces(matrix->outputs, LIBRARY_ROWS) : adm_max(adm_min(tasks, most), fewest);
    const int64_t panels = adm_pieces(matrix->inputs, ADM_PANEL_MAX);
    const int64_t wanted = library ? 1 : adm_max(adm_min(tasks / down, panels), 1);
    adm_weight_tiles tiles = {.rows = adm_pieces(matrix->outputs, down),
                              .columns = adm_pieces(panels, wanted) * ADM_PANEL_MAX};
    tiles.across = adm_pieces(matrix->inputs, tiles.columns);
    tiles.count = tiles.across * adm_pieces(matrix->outputs, tiles.rows);
    return tiles;
}
