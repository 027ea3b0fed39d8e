/* Sums over long flat ranges, in an order that the threads cannot change. */
#include "base/base.h"
#include "kernels/kernels.h"
#include "optim/update.h"

/* Elements: a block of weights, gradients and two moments stays in the second cache. */
#define BLOCK_MIN 16384

int64_t adm_block_length(int64_t n, int64_t most)
{
    int64_t length = BLOCK_MIN;
    while (adm_pieces(n, length) > most)
        length *= 2;
    return length;
}

typedef struct blocks {
    int64_t n, block;
    adm_range_fn fn;
    void *context;
    double sums[ADM_BLOCKS_MAX];
} blocks;

static void run_block(void *context, int64_t task, int thread)
{
    blocks *b = context;
    (void)thread;
    const int64_t begin = task * b->block;
    b->sums[task] = b->fn(b->context, begin, adm_min(begin + b->block, b->n));
}

double adm_sum_blocks(int64_t n, adm_range_fn fn, void *context, int threads)
{
    blocks b = {.n = n, .block = adm_block_length(n, ADM_BLOCKS_MAX), .fn = fn, .context = context};
    const int64_t count = adm_pieces(n, b.block);
    adm_parallel_for(threads, count, run_block, &b);
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += b.sums[i];
    return sum;
}

typedef struct norm_call {
    const adm_kernels *kernels;
    const adm_real *x;
} norm_call;

static double norm_range(void *context, int64_t begin, int64_t end)
{
    const norm_call *call = context;
    return call->kernels->sum_squares(call->x + begin, end - begin);
}

double adm_norm2(const adm_kernels *kernels, const adm_real *x, int64_t n, int threads)
{
    norm_call call = {kernels, x};
    const double sum = adm_sum_blocks(n, norm_range, &call, threads);
    return isinf(sum) ? adm_large_norm(x, NULL, n) : sqrt(sum);
}
