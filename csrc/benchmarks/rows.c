/* Row kernels, each beside a += b on arrays of as many bytes in all: what the memory, or the cache that holds them,
   gives on this core. Nothing that a call leaves behind drifts away from ordinary numbers in the next ones. */
#include "benchmarks/timing.h"

#include <stdio.h>

#define SIZES_MAX 3
#define LABELS 10000 /* classes of the cross-entropy */
#define CALM 1e-6f   /* a factor so small that an array that is added to stays as it is, about */

typedef struct rows_work {
    const adm_kernels *kernels;
    int64_t rows, n;
    adm_real *x, *y, *z;   /* [rows, n]; those that the kernel leaves alone: [rows] */
    adm_real *vector;      /* [n]: gamma, nu, omega */
    adm_real *sums;        /* [2, n]: gradients of gamma and nu */
    adm_real *mean, *rstd; /* [rows]; a softmax has no fewer rows than n */
    int32_t *labels;       /* [rows] */
    double *losses;        /* [rows, 2] */
} rows_work;

static adm_norm_args layer_norm(const rows_work *w)
{
    return (adm_norm_args){ADM_NORM_LAYER, w->n, 1e-5f, w->vector, w->vector, NULL};
}

static void call_norm_forward(const void *work)
{
    const rows_work *w = work;
    const adm_norm_args norm = layer_norm(w);
    w->kernels->norm_forward(&norm, w->x, w->y, w->mean, w->rstd, w->rows);
}

static void call_norm_backward(const void *work)
{
    const rows_work *w = work;
    const adm_norm_args norm = layer_norm(w);
    w->kernels->norm_backward(&(adm_norm_gradient){
        .norm = &norm,
        .rows = w->rows,
        .dy = w->x,
        .x = w->y,
        .mean = w->mean,
        .rstd = w->rstd,
        .dx = w->z,
        .grads = {w->sums, w->sums + w->n, NULL},
    });
}

static void call_residual_forward(const void *work)
{
    const rows_work *w = work;
    w->kernels->residual_forward(&(adm_residual_sum){
        .rows = w->rows,
        .n = w->n,
        .omega = w->vector,
        .r = w->x,
        .b = w->y,
        .y = w->z,
    });
}

/* The scale is 1, so that what is kept does not grow from call to call. */
static void call_dropout(const void *work)
{
    const rows_work *w = work;
    const adm_dropout dropout = {.key = 1, .threshold = (uint32_t)(0.1 * 0x1p32), .scale = 1};
    w->kernels->dropout(w->x, w->rows, w->n, 0, &dropout);
}

static void call_gelu_forward(const void *work)
{
    const rows_work *w = work;
    w->kernels->activation_forward(ADM_ACTIVATION_GELU, w->x, w->y, w->rows * w->n);
}

/* n queries a tile: the rows are its keys */
static void call_softmax_forward(const void *work)
{
    const rows_work *w = work;
    const adm_softmax_tile tile = {.keys = w->rows, .queries = w->n, .valid = w->rows, .scale = 1};
    w->kernels->softmax_tile(&tile, w->x, w->mean, w->rstd, w->y);
}

static void call_cross_entropy(const void *work)
{
    const rows_work *w = work;
    w->kernels->cross_entropy(&(adm_cross_entropy){
        .rows = w->rows,
        .classes = w->n,
        .logits = w->x,
        .labels = w->labels,
        .smoothing = 0.1,
        .gradient = true,
        .factor = 1,
        .losses = w->losses,
    });
}

/* a += b */
typedef struct addition {
    const adm_kernels *kernels;
    int64_t count;
    adm_real *a, *b; /* [count] */
} addition;

static void call_addition(const void *work)
{
    const addition *w = work;
    w->kernels->axpy(CALM, w->b, w->a, w->count);
}

typedef struct row_kernel {
    const char *name;
    void (*call)(const void *work);
    int arrays;                  /* [rows, n], that it touches */
    int passes;                  /* over one of them, reading or writing, that it needs */
    int64_t sizes[SIZES_MAX][2]; /* rows, n: what a task holds, and more than all caches */
} row_kernel;

static const row_kernel KERNELS[] = {
    {"norm forward", call_norm_forward, 2, 2, {{256, 128}, {256, 512}, {32768, 512}}},
    {"norm backward", call_norm_backward, 3, 3, {{256, 128}, {256, 512}, {32768, 512}}},
    {"residual forward", call_residual_forward, 3, 3, {{256, 128}, {256, 512}, {32768, 512}}},
    {"dropout", call_dropout, 1, 2, {{256, 128}, {256, 512}, {65536, 512}}},
    {"gelu forward", call_gelu_forward, 2, 3, {{256, 256}, {256, 1024}, {32768, 1024}}},
    {"softmax forward", call_softmax_forward, 1, 2, {{32, 32}, {128, 64}, {524288, 64}}},
    {"cross-entropy", call_cross_entropy, 1, 2, {{48, LABELS}, {384, LABELS}, {4096, LABELS}}},
};

static void time_size(const row_kernel *kernel, const rows_work *core)
{
    const int64_t count = core->rows * core->n, size = count * (int64_t)sizeof(adm_real);
    const int64_t half = count * kernel->arrays / 2;
    const addition add = {core->kernels, half, bench_filled(half), bench_filled(half)};
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s, %d x %d", kernel->name, (int)core->rows, (int)core->n);
    bench_time(&(bench_subject){
        .name = name,
        .group = "rows",
        .bytes = (double)(size * kernel->passes),
        .elements = (double)count,
        .working_set = (double)(size * kernel->arrays),
        .num_sides = 2,
        .sides = {{"core", kernel->call, core}, {"a += b", call_addition, &add}},
    });
    bench_release(add.a, half);
    bench_release(add.b, half);
}

static void time_kernel(const adm_kernels *kernels, const row_kernel *kernel, int64_t rows, int64_t n)
{
    const int64_t count = rows * n;
    const rows_work core = {
        .kernels = kernels,
        .rows = rows,
        .n = n,
        .x = bench_filled(count),
        .y = bench_filled(kernel->arrays > 1 ? count : rows),
        .z = bench_filled(kernel->arrays > 2 ? count : rows),
        .vector = bench_filled(n),
        .sums = bench_filled(2 * n),
        .mean = bench_filled(rows),
        .rstd = bench_filled(rows),
        .labels = (int32_t *)bench_filled(rows),
        .losses = (double *)bench_filled(4 * rows), /* of float32 */
    };
    for (int64_t i = 0; i < rows; i++)
        core.labels[i] = (int32_t)(i * 31 % n);
    time_size(kernel, &core);
    bench_release(core.x, count);
    bench_release(core.y, kernel->arrays > 1 ? count : rows);
    bench_release(core.z, kernel->arrays > 2 ? count : rows);
    bench_release(core.vector, n);
    bench_release(core.sums, 2 * n);
    bench_release(core.mean, rows);
    bench_release(core.rstd, rows);
    bench_release((adm_real *)core.labels, rows);
    bench_release((adm_real *)core.losses, 4 * rows);
}

void bench_rows(const adm_kernels *kernels)
{
    for (size_t k = 0; k < sizeof KERNELS / sizeof *KERNELS; k++)
        for (int s = 0; s < SIZES_MAX; s++)
            time_kernel(kernels, &KERNELS[k], KERNELS[k].sizes[s][0], KERNELS[k].sizes[s][1]);
}
