/* Scaled dot-product attention by tiles of at most ADM_QUERY_TILE queries and ADM_KEY_TILE keys (Dao et al. 2022,
   FlashAttention): what is held of the scores fits in the second cache, and memory is linear in the length. The
   forward pass keeps a running maximum and sum for every query, and the logarithm of the sum of exponentials for the
   backward pass, which computes the scores again. What causal queries do not see is left out: whole tiles, and of those
   that they see in part what kernels.h calls a triangle; of what lies before a window whole tiles. Scores lie as k q^T,
   queries in the columns; their number is rounded up, since scratch has room for it. */
#include "layers/attention.h"

#include "layers/span.h"

#include <math.h>

/* ---- the products of one tile, whose scores, probabilities and their gradients lie as [keys, queries] ---- */

/* Triangles of so few keys save nothing: their tiles end after numbers of steps that no processor foresees. */
#define FEW_KEYS 32

static adm_triangle of_seen(const adm_softmax_tile *tile, adm_triangle triangle)
{
    return tile->valid < tile->keys && tile->keys > FEW_KEYS ? triangle : ADM_TRIANGLE_NONE;
}

/* One tile's products: with how many queries, and of a head how wide. */
typedef struct tile_products {
    const adm_worker *worker;
    const adm_softmax_tile *tile;
    int64_t rows, width;
} tile_products;

/* Rows that lie apart. */
typedef struct strided {
    const adm_real *x; /* [., ld] */
    int64_t ld;
} strided;

/* scores = x y^T over a head's width: a row of x for every key, and one of y for every query */
static void score(const tile_products *products, strided x, strided y, adm_real *scores)
{
    const adm_softmax_tile *tile = products->tile;
    products->worker->kernels->gemm(&(adm_gemm){
        .m = tile->keys,
        .n = products->rows,
        .k = products->width,
        .a = x.x,
        .row = x.ld,
        .step = 1,
        .b = y.x,
        .ldb = y.ld,
        .layout = ADM_B_TRANSPOSED,
        .c = scores,
        .ldc = tile->queries,
        .padded = true,
        .triangle = of_seen(tile, ADM_TRIANGLE_C),
        .diagonal = tile->valid,
        .scratch = products->worker->copies,
    });
}

typedef enum summed { OVER_KEYS, OVER_QUERIES } summed;

/* sums (+)= p^T x over keys, a row for every query; or p x over queries, a row for every key */
static void sum_over(summed over, const tile_products *products, const adm_real *p, strided x,
                     bool accumulate, adm_real *sums, int64_t ld)
{
    const adm_softmax_tile *tile = products->tile;
    const bool keys = over == OVER_KEYS;
    products->worker->kernels->gemm(&(adm_gemm){
        .m = keys ? products->rows : tile->keys,
        .n = products->width,
        .k = keys ? tile->keys : products->rows,
        .a = p,
        .row = keys ? 1 : tile->queries,
        .step = keys ? tile->queries : 1,
        .b = x.x,
        .ldb = x.ld,
        .layout = ADM_B_ROWS,
        .c = sums,
        .ldc = ld,
        .accumulate = accumulate,
        .triangle = of_seen(tile, keys ? ADM_TRIANGLE_A_T : ADM_TRIANGLE_A),
        .diagonal = tile->valid,
        .scratch = products->worker->copies,
    });
}

/* ---- tiles ---- */

/* Queries [first, first + rows), `queries` with those that round up, see the keys [key, keys), `step` at a time. */
typedef struct query_tile {
    int64_t first, rows, queries, key, keys, step;
    int64_t begin; /* of the keys of all parts; backward, of the tile that they begin in */
} query_tile;

static int64_t key_step(int64_t s)
{
    return adm_pieces(s, adm_pieces(s, ADM_KEY_TILE));
}

static query_tile tile_at(const adm_attention *attention, int64_t first, int64_t t, int64_t s)
{
    const int64_t rows = adm_min(t - first, ADM_QUERY_TILE), window = attention->window;
    const int64_t ahead = attention->causal ? 1 : window > 0 ? window : s; /* of the last query, itself too */
    const int64_t begin = window > 0 ? adm_max(first - window + 1, 0) : 0;
    return (query_tile){
        .first = first,
        .rows = rows,
        .queries = adm_round_up(rows, ADM_QUERY_STEP),
        .key = begin,
        .keys = adm_min(first + rows - 1 + ahead, s),
        .step = key_step(s),
        .begin = begin,
    };
}

/* The keys of a forward pass begin with the first that is seen, so that every query sees one of the first tile: that has
   as many as there are queries, or all. */
static query_tile forward_tile_at(const adm_attention *attention, int64_t first, int64_t t, int64_t s)
{
    query_tile tile = tile_at(attention, first, t, s);
    if (attention->window > 0)
        tile.step = key_step(tile.keys - tile.key);
    return tile;
}

/* Those of a backward pass, [key, end), begin and end with tiles that all queries share. */
static query_tile backward_tile_at(const adm_attention *attention, int64_t first, int64_t t, int64_t s,
                                   adm_span part)
{
    query_tile tile = tile_at(attention, first, t, s);
    tile.begin = tile.begin / tile.step * tile.step;
    tile.key = adm_max(tile.begin, part.first);
    tile.keys = adm_min(tile.keys, part.first + part.rows);
    return tile;
}

/* The first query of the last tile of queries that see any key of [key, key + step). */
static int64_t last_to_see(const adm_attention *attention, int64_t key, int64_t step, int64_t t, int64_t s)
{
    const int64_t end = adm_min(key + step, s);
    const int64_t last = attention->window > 0 ? adm_min(end - 1 + attention->window, t) : t; /* behind it */
    return (last - 1) / ADM_QUERY_TILE * ADM_QUERY_TILE;
}

/* One head of a sequence: where its columns begin. */
typedef struct head_view {
    const adm_attention *attention;
    int64_t head;
    adm_attention_sequence of;
} head_view;

static adm_real *columns_from(adm_real *x, int64_t column)
{
    return x == NULL ? NULL : x + column;
}

/* Heads of queries that read one head of keys. */
static int64_t queries_a_key(const adm_attention *attention)
{
    return attention->heads / attention->kv_heads;
}

static head_view view_of(const adm_attention *attention, const adm_attention_sequence *sequence, int64_t head)
{
    const int64_t column = head * attention->width;
    const int64_t key_column = head / queries_a_key(attention) * attention->width;
    head_view view = {attention, head, *sequence};
    adm_attention_sequence *of = &view.of;
    of->q += column;
    of->k += key_column;
    of->v += key_column;
    of->ctx += column;
    of->lse += head;
    of->dctx = of->dctx == NULL ? NULL : of->dctx + column;
    of->dq = columns_from(of->dq, column);
    of->dk = columns_from(of->dk, key_column);
    of->dv = columns_from(of->dv, key_column);
    return view;
}

/* The scores of a tile of queries with `keys` keys from `key` on. */
static adm_softmax_tile scores_of(const head_view *view, const query_tile *tile, int64_t key, int64_t keys)
{
    const adm_attention *attention = view->attention;
    const int64_t window = attention->window, ahead = attention->causal ? 1 : window;
    const int64_t since = tile->first + 1 - window - key;
    return (adm_softmax_tile){
        .keys = keys,
        .queries = tile->queries,
        .valid = ahead > 0 ? tile->first + ahead - key : keys,
        .window = window > 0 && since + tile->queries > 1,
        .since = since,
        .scale = attention->scoring.scale,
        .dropout = attention->dropout,
        .row = (view->of.row + tile->first) * attention->heads + view->head,
        .stride = attention->heads,
        .column = key,
    };
}

/* scores = cap(scale k q^T) (cap tanh of it over cap); p = softmax(scores); ctx = dropout(p)^T v, for a tile of queries */
static void forward_tile(const adm_worker *worker, const head_view *view, const query_tile *tile)
{
    const adm_attention *attention = view->attention;
    const adm_kernels *kernels = worker->kernels;
    const adm_cap *cap = &attention->scoring.cap;
    adm_real *scores = worker->scores;
    const int64_t width = attention->width, rows = tile->rows, queries = tile->queries;
    const int64_t kv_stride = attention->kv_stride, ctx_stride = attention->ctx_stride;
    const strided q = {view->of.q + tile->first * attention->q_stride, attention->q_stride};
    adm_real *ctx = view->of.ctx + tile->first * ctx_stride;
    adm_real *lse = view->of.lse + tile->first * attention->heads;
    adm_real top[ADM_QUERY_TILE], sum[ADM_QUERY_TILE], factor[ADM_QUERY_TILE], sums[ADM_QUERY_TILE];
    for (int64_t i = 0; i < queries; i++) {
        top[i] = i < rows ? -(adm_real)INFINITY : 0; /* those that round up may see no key */
        sum[i] = i < rows ? 0 : 1;
    }
    for (int64_t key = tile->key; key < tile->keys; key += tile->step) {
        const int64_t keys = adm_min(tile->keys - key, tile->step);
        const adm_softmax_tile softmax = scores_of(view, tile, key, keys);
        const tile_products products = {worker, &softmax, rows, width};
        const strided k = {view->of.k + key * kv_stride, kv_stride};
        const strided v = {view->of.v + key * kv_stride, kv_stride};
        score(&products, k, q, scores);
        if (cap->cap > 0)
            kernels->cap_scores(&softmax, cap, scores, NULL);
        kernels->softmax_tile(&softmax, scores, top, sum, factor);
        if (key > tile->key)
            kernels->scale_rows(factor, ctx, ctx_stride, rows, width);
        sum_over(OVER_KEYS, &products, scores, v, key > tile->key, ctx, ctx_stride);
    }
    kernels->softmax_end(top, sum, queries, attention->scoring.scale, sums, factor);
    kernels->scale_rows(factor, ctx, ctx_stride, rows, width);
    for (int64_t i = 0; i < rows; i++)
        lse[i * attention->heads] = sums[i];
}

/* ctx = pd^T v, pd = dropout(p):  dv = pd dctx, dpd = v dctx^T, ds from the softmax, dq = ds^T k, dk = ds q.
   The last tile of queries that sees a tile of keys, of the first head that reads these, sees them all and comes first:
   it writes dk and dv; the others add. So do all tiles of keys but the first that is seen to dq. */
static void backward_tile(const adm_worker *worker, const head_view *view, const query_tile *tile,
                          bool first_head)
{
    const adm_attention *attention = view->attention;
    const adm_kernels *kernels = worker->kernels;
    const adm_cap *cap = &attention->scoring.cap;
    adm_real *scores = worker->scores, *dscores = worker->dscores;
    const int64_t width = attention->width, rows = tile->rows, kv_stride = attention->kv_stride;
    const strided q = {view->of.q + tile->first * attention->q_stride, attention->q_stride};
    const strided dctx = {view->of.dctx + tile->first * attention->ctx_stride, attention->ctx_stride};
    const adm_real *lse = view->of.lse + tile->first * attention->heads;
    adm_real *dq = view->of.dq + tile->first * q.ld;
    adm_real dot[ADM_QUERY_TILE] = {0}, sums[ADM_QUERY_TILE] = {0};
    kernels->row_dots(view->of.ctx + tile->first * dctx.ld, dctx.x, dctx.ld, rows, width, dot);
    for (int64_t i = 0; i < rows; i++)
        sums[i] = lse[i * attention->heads];
    for (int64_t key = tile->key; key < tile->keys; key += tile->step) {
        const int64_t keys = adm_min(tile->keys - key, tile->step);
        const int64_t at = key * kv_stride;
        const bool writes = first_head && tile->first == last_to_see(attention, key, tile->step,
                                                                     view->of.queries, view->of.keys);
        const adm_softmax_tile softmax = scores_of(view, tile, key, keys);
        const tile_products products = {worker, &softmax, rows, width};
        const strided k = {view->of.k + at, kv_stride}, v = {view->of.v + at, kv_stride};
        score(&products, k, q, scores);
        score(&products, v, dctx, dscores);
        if (cap->cap > 0)
            kernels->cap_scores(&softmax, cap, scores, worker->slopes);
        kernels->softmax_backward(&softmax, scores, dscores, sums, dot);
        if (cap->cap > 0)
            kernels->scale_add(worker->slopes, dscores, NULL, dscores, 1, keys * softmax.queries);
        sum_over(OVER_QUERIES, &products, scores, dctx, !writes, view->of.dv + at, kv_stride);
        sum_over(OVER_KEYS, &products, dscores, k, key > tile->begin, dq, q.ld);
        sum_over(OVER_QUERIES, &products, dscores, q, !writes, view->of.dk + at, kv_stride);
    }
}

void adm_attention_forward(adm_worker *worker, const adm_attention *attention,
                           const adm_attention_sequence *sequence, const adm_attention_share *share)
{
    const int64_t t = sequence->queries;
    const int64_t begin = adm_part_start(t, ADM_QUERY_TILE, share->part, share->parts);
    const int64_t end = adm_part_start(t, ADM_QUERY_TILE, share->part + 1, share->parts);
    for (int64_t h = share->first_head; h < share->last_head; h++) {
        const head_view view = view_of(attention, sequence, h);
        for (int64_t first = begin; first < end; first += ADM_QUERY_TILE) {
            const query_tile tile = forward_tile_at(attention, first, t, sequence->keys);
            forward_tile(worker, &view, &tile);
        }
    }
}

void adm_attention_backward(adm_worker *worker, const adm_attention *attention,
                            const adm_attention_sequence *sequence, const adm_attention_share *share)
{
    const int64_t last = (sequence->queries - 1) / ADM_QUERY_TILE * ADM_QUERY_TILE, s = sequence->keys;
    const int64_t used = adm_min(share->parts, adm_pieces(s, ADM_KEY_TILE)); /* parts that have keys */
    const int64_t key = adm_part_start(s, key_step(s), share->part, used);
    const int64_t end = adm_part_start(s, key_step(s), share->part + 1, used);
    const int64_t heads = share->part < used ? share->last_head : share->first_head;
    int64_t *done = share->parts > 1 ? share->done + share->part * attention->heads : NULL;
    for (int64_t h = share->first_head; h < heads; h++) {
        const head_view view = view_of(attention, sequence, h);
        const bool first_head = h % queries_a_key(attention) == 0;
        for (int64_t first = last; first >= 0; first -= ADM_QUERY_TILE) {
            const query_tile tile =
                backward_tile_at(attention, first, sequence->queries, s, (adm_span){key, end - key});
            if (share->part > 0)
                adm_wait_for(done - attention->heads + h, (last - first) / ADM_QUERY_TILE + 1);
            if (tile.key < tile.keys &&
                !adm_worker_stopped(worker)) /* the count goes on: others wait for it */
                backward_tile(worker, &view, &tile, first_head);
            if (done != NULL)
                adm_count_done(done + h);
        }
    }
}
