/* The products of linear maps, y = x W^T: forward and dx = dy W with packed weights, and dW += dy^T x; cut as the model
   cuts them. Packing is not counted: it happens once a step. The BLAS library gets the same pieces, and the whole
   product at once, so that it may cut as it likes. */
#include "benchmarks/timing.h"

#include "base/base.h"
#include "layers/linear.h"
#include "layers/span.h"

#include <stdio.h>

#define TOKENS 4096
#define CHUNK_ROWS 64 /* of tokens: what a task of the model takes through a layer */
#define VOCABULARY 10000
#define LOGITS_ROWS 384     /* of logits held at once ... */
#define LOGITS_TASK_ROWS 96 /* ... of which a task computes so many */

typedef enum direction { FORWARD, BACKWARD_INPUT, BACKWARD_WEIGHT, NUM_DIRECTIONS } direction;
static const char *const DIRECTIONS[NUM_DIRECTIONS] = {"forward", "backward input", "backward weight"};

typedef struct product {
    direction pass;
    adm_worker worker; /* with scratch */
    adm_matrix matrix;
    int64_t rows;  /* of x and y */
    int64_t piece; /* rows of a call: of y, or of dW */
    adm_real *x;   /* [rows, in] */
    adm_real *y;   /* [rows, out] */
    adm_real *dw;  /* [out, in] */
} product;

static void call_product(const void *work)
{
    const product *p = work;
    const adm_matrix *matrix = &p->matrix;
    adm_worker worker = p->worker;
    const int64_t all = p->pass == BACKWARD_WEIGHT ? matrix->outputs : p->rows;
    const adm_weight_tiles tiles = {p->piece, matrix->inputs, 1, adm_pieces(all, p->piece)};
    for (int64_t first = 0; first < all; first += p->piece) {
        const int64_t size = adm_min(all - first, p->piece);
        adm_linear linear = {.matrix = *matrix, .rows = size, .dweight = p->dw};
        if (p->pass == BACKWARD_WEIGHT) {
            linear.rows = p->rows;
            linear.x = p->x;
            linear.dy = p->y;
            adm_linear_backward_weight(&worker, &linear, &tiles, first / p->piece, true);
            continue;
        }
        linear.x = linear.dx = p->x + first * matrix->inputs;
        linear.y = linear.dy = p->y + first * matrix->outputs;
        if (p->pass == FORWARD)
            adm_linear_forward(&worker, &linear, false);
        else
            adm_linear_backward_input(&worker, &linear, false);
    }
}

/* Rows of a piece as the model cuts them for one thread or two. */
static int64_t piece_of(const adm_kernels *kernels, direction pass, int64_t out)
{
    if (pass == BACKWARD_WEIGHT)
        return adm_linear_weight_tiles(kernels, &(adm_matrix){.outputs = out, .inputs = 1}, 1).rows;
    return out == VOCABULARY ? LOGITS_TASK_ROWS : CHUNK_ROWS;
}

static void time_pass(const char *name, const product *core)
{
    const int64_t rows = core->rows, in = core->matrix.inputs, out = core->matrix.outputs;
    const adm_kernels blas = adm_kernels_by_blas(core->worker.kernels);
    product pieces = *core;
    pieces.worker.kernels = &blas;
    pieces.matrix.packed = pieces.matrix.packed_back = NULL;
    product whole = pieces;
    whole.piece = core->pass == BACKWARD_WEIGHT ? out : rows;
    const int64_t size = rows * (in + out) + in * out;
    bench_time(&(bench_subject){
        .name = name,
        .group = "products",
        .flops = 2.0 * (double)(rows * in * out),
        .bytes = (double)((core->pass == BACKWARD_WEIGHT ? size + in * out : size) * sizeof(adm_real)),
        .elements = (double)(rows * out),
        .working_set = (double)(size * (int64_t)sizeof(adm_real)),
        .num_sides = 4,
        .sides = {{"core", call_product, core},
                  {"openblas", call_product, &pieces},
                  {"openblas, whole", call_product, &whole},
                  bench_peak(core->worker.kernels)},
    });
}

/* All passes of one linear map. */
static void time_linear(const adm_kernels *kernels, const char *name, int64_t d, int64_t in, int64_t out)
{
    const int64_t rows = out == VOCABULARY ? LOGITS_ROWS : TOKENS;
    const int64_t packed_size = (out + ADM_PANEL_MAX) * in;
    adm_real *x = bench_filled(rows * in), *y = bench_filled(rows * out), *dw = bench_filled(out * in);
    adm_real *weight = bench_filled(out * in), *packed = bench_filled(packed_size);
    const int64_t back_size = (in + ADM_PANEL_MAX) * out;
    adm_real *packed_back = bench_filled(back_size), *copies = bench_filled(ADM_GEMM_SCRATCH);
    const bool packs = !kernels->by_blas;
    if (packs) {
        kernels->gemm_pack(out, in, weight, in, ADM_B_TRANSPOSED, packed);
        kernels->gemm_pack(in, out, weight, in, ADM_B_ROWS, packed_back);
    }
    for (direction pass = FORWARD; pass < NUM_DIRECTIONS; pass++) {
        char full_name[NAME_SIZE];
        snprintf(full_name, sizeof full_name, "%s %s, D %d", name, DIRECTIONS[pass], (int)d);
        time_pass(full_name,
                  &(product){
                      .pass = pass,
                      .worker = {.kernels = kernels, .copies = copies},
                      .matrix = {weight, NULL, packs ? packed : NULL, packs ? packed_back : NULL, out, in},
                      .rows = rows,
                      .piece = piece_of(kernels, pass, out),
                      .x = x,
                      .y = y,
                      .dw = dw,
                  });
    }
    bench_release(x, rows * in);
    bench_release(y, rows * out);
    bench_release(dw, out * in);
    bench_release(weight, out * in);
    bench_release(packed, packed_size);
    bench_release(packed_back, back_size);
    bench_release(copies, ADM_GEMM_SCRATCH);
}

void bench_products(const adm_kernels *kernels)
{
    const int64_t widths[] = {128, 512};
    for (int i = 0; i < 2; i++) {
        const int64_t d = widths[i], f = 2 * d;
        time_linear(kernels, "qkv", d, d, 3 * d);
        time_linear(kernels, "out", d, d, d);
        time_linear(kernels, "fc1", d, d, f);
        time_linear(kernels, "fc2", d, f, d);
        time_linear(kernels, "logits", d, d, VOCABULARY);
    }
}
