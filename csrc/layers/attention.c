/* Scaled dot-product attention by tiles of at most ADM_QUERY_TILE queries and ADM_KEY_TILE keys (Dao et al. 2022,
   FlashAttention): what is held of the scores fits in the second cache, and memory is linear in the length. The
   forward pass keeps a running maximum and sum for every query, and the logarithm of the sum of exponentials for the
   backward pass, which computes the scores again. What causal queries do not see is left out: whole tiles, and of those
   that they see in part what kernels.h calls a triangle. Scores lie as k q^T, queries in the columns; their number is
   rounded up, since scratch has room for it. */
#include "layers/layers.h"

#include <math.h>

/* ---- the products of one tile, whose scores, probabilities and their gradients lie as [keys, queries] ---- */

/* Triangles of so few keys save nothing: their tiles end after numbers of steps that no processor foresees. */
#define FEW_KEYS 32

static adm_triangle of_seen(const adm_softmax_tile *tile, adm_triangle triangle)
{
    return tile->valid < tile->keys && tile->keys > FEW_KEYS ? triangle : ADM_TRIANGLE_NONE;
}

/* scores = x y^T over a head's width: a row of x for every key, and one of y for the first `rows` queries */
static void score(const adm_kernels *kernels, const adm_softmax_tile *tile, int64_t rows, int64_t width,
                  const adm_real *x, int64_t ldx, const adm_real *y, int64_t ldy, adm_real *scores)
{
    kernels->gemm(&(adm_gemm){
        .m = tile->keys,
        .n = rows,
        .k = width,
        .a = x,
        .row = ldx,
        .step = 1,
        .b = y,
        .ldb = ldy,
        .layout = ADM_B_TRANSPOSED,
        .c = scores,
        .ldc = tile->queries,
        .spare = true,
        .triangle = of_seen(tile, ADM_TRIANGLE_C),
        .diagonal = tile->valid,
    });
}

typedef enum direction { TO_QUERIES, TO_KEYS } direction;

/* out (+)= p^T x, from keys to queries, or p x, from queries to keys */
static void carry(const adm_kernels *kernels, const adm_softmax_tile *tile, direction to, int64_t rows,
                  int64_t width, const adm_real *p, const adm_real *x, int64_t ldx, bool accumulate,
                  adm_real *out, int64_t ldo)
{
    const bool queries = to == TO_QUERIES;
    kernels->gemm(&(adm_gemm){
        .m = queries ? rows : tile->keys,
        .n = width,
        .k = queries ? tile->keys : rows,
        .a = p,
        .row = queries ? 1 : tile->queries,
        .step = queries ? tile->queries : 1,
        .b = x,
        .ldb = ldx,
        .layout = ADM_B_ROWS,
        .c = out,
        .ldc = ldo,
        .accumulate = accumulate,
        .triangle = of_seen(tile, queries ? ADM_TRIANGLE_A_T : ADM_TRIANGLE_A),
        .diagonal = tile->valid,
    });
}

/* ---- tiles ---- */

/* Queries [first, first + rows), `queries` with those that round up, see the keys [0, keys), `step` at a time. */
typedef struct query_tile {
    int64_t first, rows, queries, keys, step;
} query_tile;

static query_tile tile_at(const adm_attention *attention, int64_t first, int64_t t, int64_t s)
{
    const int64_t rows = t - first < ADM_QUERY_TILE ? t - first : ADM_QUERY_TILE;
    const int64_t tiles = (s + ADM_KEY_TILE - 1) / ADM_KEY_TILE;
    return (query_tile){
        .first = first,
        .rows = rows,
        .queries = (rows + ADM_QUERY_STEP - 1) / ADM_QUERY_STEP * ADM_QUERY_STEP,
        .keys = attention->causal && first + rows < s ? first + rows : s,
        .step = (s + tiles - 1) / tiles,
    };
}

/* One head: where its columns begin. */
typedef struct head_view {
    const adm_attention *attention;
    const adm_kernels *kernels;
    int64_t head, row0;
    const adm_real *q, *k, *v;
    adm_real scale;
} head_view;

static head_view view_of(const adm_attention *attention, int64_t head, int64_t row0, const adm_real *q,
                         const adm_real *k, const adm_real *v)
{
    const int64_t column = head * attention->width;
    return (head_view){
        attention,  attention->kernels, head,       row0,
        q + column, k + column,         v + column, (adm_real)(1.0 / sqrt((double)attention->width))};
}

/* The scores of a tile of queries with `keys` keys from `key` on. */
static adm_softmax_tile scores_of(const head_view *view, const query_tile *tile, int64_t key, int64_t keys)
{
    const adm_attention *attention = view->attention;
    return (adm_softmax_tile){
        .keys = keys,
        .queries = tile->queries,
        .valid = attention->causal ? tile->first + 1 - key : keys,
        .scale = view->scale,
        .dropout = attention->dropout,
        .row = (view->row0 + tile->first) * attention->heads + view->head,
        .stride = attention->heads,
        .column = key,
    };
}

/* scores = k q^T; p = softmax(scores / sqrt(K)); ctx = dropout(p)^T v, all for one tile of queries */
static void forward_tile(const head_view *view, const query_tile *tile, adm_real *ctx, adm_real *lse,
                         adm_real *scores)
{
    const adm_attention *attention = view->attention;
    const adm_kernels *kernels = view->kernels;
    const int64_t width = attention->width, rows = tile->rows, queries = tile->queries;
    const int64_t q_stride = attention->q_stride, kv_stride = attention->kv_stride;
    adm_real top[ADM_QUERY_TILE], sum[ADM_QUERY_TILE], factor[ADM_QUERY_TILE], sums[ADM_QUERY_TILE];
    for (int64_t i = 0; i < queries; i++) {
        top[i] = -(adm_real)INFINITY;
        sum[i] = 0;
    }
    for (int64_t key = 0; key < tile->keys; key += tile->step) {
        const int64_t keys = tile->keys - key < tile->step ? tile->keys - key : tile->step;
        const adm_softmax_tile softmax = scores_of(view, tile, key, keys);
        score(kernels, &softmax, rows, width, view->k + key * kv_stride, kv_stride,
              view->q + tile->first * q_stride, q_stride, scores);
        kernels->softmax_tile(&softmax, scores, top, sum, factor);
        if (key > 0)
            kernels->scale_rows(factor, ctx, attention->ctx_stride, rows, width);
        carry(kernels, &softmax, TO_QUERIES, rows, width, scores, view->v + key * kv_stride, kv_stride,
              key > 0, ctx, attention->ctx_stride);
    }
    kernels->softmax_end(top, sum, queries, view->scale, sums, factor);
    kernels->scale_rows(factor, ctx, attention->ctx_stride, rows, width);
    for (int64_t i = 0; i < rows; i++)
        lse[i * attention->heads] = sums[i];
}

void adm_attention_forward(const adm_attention *attention, int64_t t, int64_t s, int64_t row0,
                           const adm_real *q, const adm_real *k, const adm_real *v, adm_real *ctx,
                           adm_real *lse, adm_real *scores)
{
    for (int64_t h = 0; h < attention->heads; h++) {
        const head_view view = view_of(attention, h, row0, q, k, v);
        for (int64_t first = 0; first < t; first += ADM_QUERY_TILE) {
            const query_tile tile = tile_at(attention, first, t, s);
            forward_tile(&view, &tile, ctx + first * attention->ctx_stride + h * attention->width,
                         lse + first * attention->heads + h, scores);
        }
    }
}

/* Gradients of one head. */
typedef struct head_gradients {
    const adm_real *ctx, *dctx; /* [T, ctx_stride] */
    adm_real *dq;               /* [T, q_stride] */
    adm_real *dk, *dv;          /* [S, kv_stride] */
} head_gradients;

/* ctx = pd^T v, pd = dropout(p):  dv = pd dctx, dpd = v dctx^T, ds from the softmax, dq = ds^T k, dk = ds q.
   The last tile of queries, which sees all keys and comes first, writes dk and dv; the others add. */
static void backward_tile(const head_view *view, const query_tile *tile, const head_gradients *head,
                          bool last, const adm_real *lse, adm_real *scores, adm_real *dscores)
{
    const adm_attention *attention = view->attention;
    const adm_kernels *kernels = view->kernels;
    const int64_t width = attention->width, rows = tile->rows;
    const int64_t ctx_stride = attention->ctx_stride, q_stride = attention->q_stride,
                  kv_stride = attention->kv_stride;
    const adm_real *q = view->q + tile->first * q_stride, *dctx = head->dctx + tile->first * ctx_stride;
    adm_real dot[ADM_QUERY_TILE] = {0}, sums[ADM_QUERY_TILE] = {0};
    kernels->row_dots(head->ctx + tile->first * ctx_stride, dctx, ctx_stride, rows, width, dot);
    for (int64_t i = 0; i < rows; i++)
        sums[i] = lse[i * attention->heads];
    for (int64_t key = 0; key < tile->keys; key += tile->step) {
        const int64_t keys = tile->keys - key < tile->step ? tile->keys - key : tile->step;
        const int64_t at = key * kv_stride;
        const adm_softmax_tile softmax = scores_of(view, tile, key, keys);
        score(kernels, &softmax, rows, width, view->k + at, kv_stride, q, q_stride, scores);
        score(kernels, &softmax, rows, width, view->v + at, kv_stride, dctx, ctx_stride, dscores);
        kernels->softmax_backward(&softmax, scores, dscores, sums, dot);
        carry(kernels, &softmax, TO_KEYS, rows, width, scores, dctx, ctx_stride, !last, head->dv + at,
              kv_stride);
        carry(kernels, &softmax, TO_QUERIES, rows, width, dscores, view->k + at, kv_stride, key > 0,
              head->dq + tile->first * q_stride, q_stride);
        carry(kernels, &softmax, TO_KEYS, rows, width, dscores, q, q_stride, !last, head->dk + at, kv_stride);
    }
}

void adm_attention_backward(const adm_attention *attention, int64_t t, int64_t s, int64_t row0,
                            const adm_real *q, const adm_real *k, const adm_real *v, const adm_real *ctx,
                            const adm_real *lse, const adm_real *dctx, adm_real *dq, adm_real *dk,
                            adm_real *dv, adm_real *scores, adm_real *dscores)
{
    const int64_t last = (t - 1) / ADM_QUERY_TILE * ADM_QUERY_TILE;
    for (int64_t h = 0; h < attention->heads; h++) {
        const int64_t column = h * attention->width;
        const head_view view = view_of(attention, h, row0, q, k, v);
        const head_gradients head = {ctx + column, dctx + column, dq + column, dk + column, dv + column};
        for (int64_t first = last; first >= 0; first -= ADM_QUERY_TILE) {
            const query_tile tile = tile_at(attention, first, t, s);
            backward_tile(&view, &tile, &head, first == last, lse + first * attention->heads + h, scores,
                          dscores);
        }
    }
}
