/* Attention forward and backward, by length and by the width of a head: heads read in place out of fused q, k, v; no
   mask, no dropout. "openblas" is the same code with the BLAS library's products. */
#include "benchmarks/timing.h"

#include "layers/attention.h"

#include <math.h>
#include <stdio.h>

#define TOKENS 2048 /* of all sequences of a call */
#define HEADS 4

typedef struct sequences {
    adm_attention attention;
    adm_worker worker;    /* with scratch */
    int64_t t;            /* T; TOKENS / T sequences */
    adm_real *qkv, *dqkv; /* [TOKENS, 3D] */
    adm_real *ctx;        /* [TOKENS, D]; the backward pass takes it for dctx */
    adm_real *lse;        /* [TOKENS, H] */
} sequences;

static adm_attention_sequence sequence_at(const sequences *s, int64_t first)
{
    const int64_t d = s->attention.ctx_stride;
    const adm_real *q = s->qkv + first * 3 * d;
    adm_real *dq = s->dqkv + first * 3 * d, *ctx = s->ctx + first * d;
    return (adm_attention_sequence){
        .queries = s->t,
        .keys = s->t,
        .row = first,
        .q = q,
        .k = q + d,
        .v = q + 2 * d,
        .ctx = ctx,
        .lse = s->lse + first * HEADS,
        .dctx = ctx,
        .dq = dq,
        .dk = dq + d,
        .dv = dq + 2 * d,
    };
}

static void call_forward(const void *work)
{
    const sequences *s = work;
    const adm_attention_share all = {.last_head = s->attention.heads, .parts = 1};
    adm_worker worker = s->worker;
    for (int64_t first = 0; first < TOKENS; first += s->t) {
        const adm_attention_sequence sequence = sequence_at(s, first);
        adm_attention_forward(&worker, &s->attention, &sequence, &all);
    }
}

static void call_backward(const void *work)
{
    const sequences *s = work;
    const adm_attention_share all = {.last_head = s->attention.heads, .parts = 1};
    adm_worker worker = s->worker;
    for (int64_t first = 0; first < TOKENS; first += s->t) {
        const adm_attention_sequence sequence = sequence_at(s, first);
        adm_attention_backward(&worker, &s->attention, &sequence, &all);
    }
}

/* Useful FLOPs: two products forward, four backward; those of the scores that are computed again do not count. */
static void time_direction(const sequences *core, bool backward)
{
    const int64_t d = core->attention.ctx_stride, t = core->t;
    const double products = backward ? 4 : 2;
    const int64_t rows = backward ? 3 * d + 3 * d + d + HEADS : 3 * d + d + HEADS; /* elements of a token */
    const adm_kernels blas = adm_kernels_by_blas(core->worker.kernels);
    sequences by_blas = *core;
    by_blas.worker.kernels = &blas;
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "attention %s, T %d, width %d", backward ? "backward" : "forward", (int)t,
             (int)core->attention.width);
    bench_time(&(bench_subject){
        .name = name,
        .group = "attention",
        .flops = products * 2 * (double)(TOKENS * t * d),
        .bytes = (double)(TOKENS * rows * (int64_t)sizeof(adm_real)),
        .elements = (double)(TOKENS * t * HEADS),
        .working_set = (double)(TOKENS * rows * (int64_t)sizeof(adm_real)),
        .num_sides = 3,
        .sides = {{"core", backward ? call_backward : call_forward, core},
                  {"openblas", backward ? call_backward : call_forward, &by_blas},
                  bench_peak(core->worker.kernels)},
    });
}

static void time_sequences(const adm_kernels *kernels, int64_t t, int64_t width)
{
    const int64_t d = HEADS * width, rows = TOKENS * 3 * d, scores = ADM_QUERY_TILE * ADM_KEY_TILE;
    const sequences core = {
        .attention = {HEADS, HEADS, width, .scoring = {.scale = (adm_real)(1 / sqrt((double)width))},
                      .q_stride = 3 * d, .kv_stride = 3 * d, .ctx_stride = d},
        .t = t,
        .qkv = bench_filled(rows),
        .dqkv = bench_filled(rows),
        .ctx = bench_filled(TOKENS * d),
        .lse = bench_filled(TOKENS * HEADS),
        .worker = {.kernels = kernels,
                   .scores = bench_filled(scores),
                   .dscores = bench_filled(scores),
                   .copies = bench_filled(ADM_GEMM_SCRATCH)},
    };
    time_direction(&core, false);
    time_direction(&core, true);
    bench_release(core.qkv, rows);
    bench_release(core.dqkv, rows);
    bench_release(core.ctx, TOKENS * d);
    bench_release(core.lse, TOKENS * HEADS);
    bench_release(core.worker.scores, scores);
    bench_release(core.worker.dscores, scores);
    bench_release(core.worker.copies, ADM_GEMM_SCRATCH);
}

void bench_attention(const adm_kernels *kernels)
{
    const int64_t widths[] = {32, 128}, lengths[] = {16, 32, 64, 128, 512, 2048};
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
            time_sequences(kernels, lengths[l], widths[w]);
}
