/* Sums over long flat ranges, in an order that the threads cannot change. */
#include "base/base.h"
#include "kernels/kernels.h"
#include "optim/update.h"

/* Elements: a block of weights, gradients and two moments stays in the second cache. */
#define BLOCK_MIN 16384

int64_t adm_block_length(int64_t n)
{
    int64_t length = BLOCK_MIN;
    while (adm_pieces(n, length) > ADM_BLOCKS_MAX)
        length *= 2;
    return length;
}

adm_status adm_part_check(const adm_param_table *params, const adm_optim_part *part, adm_error *error)
{
    const int64_t whole = params->trained_length, block = adm_block_length(whole);
    const bool cut =
        (part->begin % block == 0 || part->begin == whole) && (part->end % block == 0 || part->end == whole);
    if (cut && 0 <= part->begin && part->begin <= part->end && part->end <= whole)
        return ADM_OK;
    return adm_fail(error, ADM_ERROR_VALUE,
                    "begin and end must be multiples of %lld up to %lld, in order, got %lld and %lld",
                    (long long)block, (long long)whole, (long long)part->begin, (long long)part->end);
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

double adm_sum_blocks(adm_blocks cut, adm_range_fn fn, void *context, int threads)
{
    blocks b = {.n = cut.n, .block = cut.block, .fn = fn, .context = context};
    const int64_t count = adm_pieces(cut.n, cut.block);
    adm_parallel_for(threads, count, run_block, &b);
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += b.sums[i];
        if (cut.sums != NULL)
            cut.sums[i] = b.sums[i];
    }
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

void adm_block_squares(const adm_kernels *kernels, const adm_real *x, int64_t n, int64_t block,
                       double *squares, int threads)
{
    norm_call call = {kernels, x};
    adm_sum_blocks((adm_blocks){.n = n, .block = block, .sums = squares}, norm_range, &call, threads);
}

double adm_norm2(const adm_kernels *kernels, const adm_real *x, int64_t n, int threads)
{
    norm_call call = {kernels, x};
    const adm_blocks cut = {.n = n, .block = adm_block_length(n)};
    const double sum = adm_sum_blocks(cut, norm_range, &call, threads);
    return isinf(sum) ? adm_large_norm(x, NULL, n) : sqrt(sum);
}

typedef struct add_call {
    adm_real *sum;
    const adm_real *x;
} add_call;

static double add_range(void *context, int64_t begin, int64_t end)
{
    const add_call *call = context;
    adm_real *restrict sum = call->sum;
    const adm_real *restrict x = call->x;
#pragma omp simd
    for (int64_t i = begin; i < end; i++)
        sum[i] += x[i];
    return 0.0;
}

void adm_add(adm_real *sum, const adm_real *x, int64_t n, int threads)
{
    add_call call = {sum, x};
    adm_sum_blocks((adm_blocks){.n = n, .block = adm_block_length(n)}, add_range, &call, threads);
}
