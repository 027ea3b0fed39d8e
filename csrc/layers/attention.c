/* Scaled dot-product attention, ADM_QUERY_TILE queries at a time against all keys they may see: the scores of a
   tile are all that is ever held. The backward pass computes them again from the saved log-sum-exp. */
#include "layers/layers.h"

#include <math.h>

/* The products of one tile: C = A B (+ C), A [m, lda] or, transposed, [k, lda]. */
static void product(const adm_kernels *kernels, bool transpose_a, bool transpose_b, int64_t m, int64_t n,
                    int64_t k, const adm_real *a, int64_t lda, const adm_real *b, int64_t ldb, bool accumulate,
                    adm_real *c, int64_t ldc)
{
    kernels->gemm(&(adm_gemm){
        .m = m,
        .n = n,
        .k = k,
        .a = a,
        .row = transpose_a ? 1 : lda,
        .step = transpose_a ? lda : 1,
        .b = b,
        .ldb = ldb,
        .layout = transpose_b ? ADM_B_TRANSPOSED : ADM_B_ROWS,
        .c = c,
        .ldc = ldc,
        .accumulate = accumulate,
    });
}

/* Queries [first, first + rows) see the keys [0, keys). */
typedef struct query_tile {
    int64_t first, rows, keys;
} query_tile;

static query_tile tile_at(const adm_attention *attention, int64_t first, int64_t t, int64_t s)
{
    query_tile tile = {first, t - first < ADM_QUERY_TILE ? t - first : ADM_QUERY_TILE, s};
    if (attention->causal && first + tile.rows < s)
        tile.keys = first + tile.rows;
    return tile;
}

/* scores = q k^T; p = softmax(scores / sqrt(K)); ctx = dropout(p) v */
void adm_attention_forward(const adm_attention *attention, int64_t t, int64_t s, int64_t row0,
                           const adm_real *q, const adm_real *k, const adm_real *v, adm_real *ctx,
                           adm_real *lse, adm_real *scores)
{
    const adm_kernels *kernels = attention->kernels;
    const int64_t heads = attention->heads, width = attention->width;
    const int64_t q_stride = attention->q_stride, kv_stride = attention->kv_stride;
    const adm_real scale = (adm_real)(1.0 / sqrt((double)width));
    for (int64_t h = 0; h < heads; h++) {
        for (int64_t first = 0; first < t; first += ADM_QUERY_TILE) {
            const query_tile tile = tile_at(attention, first, t, s);
            const int64_t row = (row0 + first) * heads + h; /* the number of (row, head) for dropout */
            product(kernels, false, true, tile.rows, tile.keys, width, q + first * q_stride + h * width,
                    q_stride, k + h * width, kv_stride, false, scores, tile.keys);
            kernels->softmax_forward(scores, tile.keys, tile.rows, tile.keys,
                                     attention->causal ? first + 1 : tile.keys, attention->causal, scale,
                                     lse + first * heads + h, heads);
            kernels->softmax_dropout(scores, tile.keys, tile.rows, tile.keys, row, heads,
                                     &attention->dropout);
            product(kernels, false, false, tile.rows, width, tile.keys, scores, tile.keys, v + h * width,
                    kv_stride, false, ctx + first * attention->ctx_stride + h * width, attention->ctx_stride);
        }
    }
}

/* ctx = pd v, pd = dropout(p):  dv = pd^T dctx, dpd = dctx v^T, ds from the softmax, dq = ds k, dk = ds^T q.
   Tiles go from the last, which sees all keys, to the first: the last one writes dk and dv, the others add. */
void adm_attention_backward(const adm_attention *attention, int64_t t, int64_t s, int64_t row0,
                            const adm_real *q, const adm_real *k, const adm_real *v, const adm_real *lse,
                            const adm_real *dctx, adm_real *dq, adm_real *dk, adm_real *dv, adm_real *scores,
                            adm_real *dscores)
{
    const adm_kernels *kernels = attention->kernels;
    const int64_t heads = attention->heads, width = attention->width;
    const int64_t q_stride = attention->q_stride, kv_stride = attention->kv_stride;
    const adm_real scale = (adm_real)(1.0 / sqrt((double)width));
    const int64_t last = (t - 1) / ADM_QUERY_TILE * ADM_QUERY_TILE;
    for (int64_t h = 0; h < heads; h++) {
        for (int64_t first = last; first >= 0; first -= ADM_QUERY_TILE) {
            const query_tile tile = tile_at(attention, first, t, s);
            const int64_t row = (row0 + first) * heads + h;
            const bool accumulate = first != last;
            const adm_real *qh = q + first * q_stride + h * width;
            const adm_real *dctx_h = dctx + first * attention->ctx_stride + h * width;
            product(kernels, false, true, tile.rows, tile.keys, width, qh, q_stride, k + h * width, kv_stride,
                    false, scores, tile.keys);
            product(kernels, false, true, tile.rows, tile.keys, width, dctx_h, attention->ctx_stride,
                    v + h * width, kv_stride, false, dscores, tile.keys);
            kernels->softmax_backward(scores, dscores, tile.keys, tile.rows, tile.keys,
                                      attention->causal ? first + 1 : tile.keys, attention->causal, scale,
                                      lse + first * heads + h, heads, row, heads, &attention->dropout);
            product(kernels, true, false, tile.keys, width, tile.rows, scores, tile.keys, dctx_h,
                    attention->ctx_stride, accumulate, dv + h * width, kv_stride);
            product(kernels, false, false, tile.rows, width, tile.keys, dscores, tile.keys, k + h * width,
                    kv_stride, false, dq + first * q_stride + h * width, q_stride);
            product(kernels, true, false, tile.keys, width, tile.rows, dscores, tile.keys, qh, q_stride, accumulate,
                    dk + h * width, kv_stride);
        }
    }
}
