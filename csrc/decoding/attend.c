#include "decoding/attend.h"

#include "model/branch.h"

#include <math.h>
#include <string.h>

/* The keys of one row that it sees, in their order: `count` rows side by side, as a pass has left them, and then one of
   each step from `begin` on. */
typedef struct key_rows {
    const adm_real *first;
    int64_t count, stride;
    const adm_history *history; /* NULL: of no step */
    const int32_t *ancestors;
    int64_t layer, begin, steps;
} key_rows;

static const adm_real *key_at(const key_rows *rows, int64_t j)
{
    if (j < rows->count)
        return rows->first + j * rows->stride;
    const int64_t step = rows->begin + j - rows->count;
    return adm_history_row(rows->history, step, rows->layer, rows->ancestors[step]);
}

#define FETCHED 16384 /* elements of a row's keys and values that are asked for, at most */

/* Asks for what the next row will read, while this one's is read: a step's keys lie far from those of the step before. */
static void fetch_keys(const key_rows *rows, int64_t width)
{
    const int64_t keys = adm_min(rows->count + rows->steps, FETCHED / width);
    for (int64_t j = 0; j < keys; j++) {
        const adm_real *key = key_at(rows, j);
        for (int64_t c = 0; c < width; c += ADM_ALIGN / (int64_t)sizeof *key)
            __builtin_prefetch(key + c, 0, 2);
    }
}

/* One row's heads [first, last), at most ADM_QUERY_TILE. */
typedef struct row_heads {
    const key_rows *keys;
    int64_t first, last;
    int64_t width, shared; /* K; heads that read one head of keys, H / G */
    adm_scoring scoring;
    const adm_real *q; /* [H K] */
    adm_real *context; /* [H K] */
    int64_t v;         /* from a key's row to its values */
} row_heads;

/* context = softmax(scale q k^T) v, with a running maximum and sum over tiles of keys */
static void attend_heads(adm_worker *worker, const row_heads *row)
{
    const adm_kernels *kernels = worker->kernels;
    const int64_t heads = row->last - row->first, at = row->first * row->width;
    const int64_t queries = adm_round_up(heads, ADM_QUERY_STEP);
    const int64_t keys = row->keys->count + row->keys->steps;
    const adm_real scale = row->scoring.scale;
    adm_real top[ADM_QUERY_TILE], sum[ADM_QUERY_TILE], factor[ADM_QUERY_TILE], lse[ADM_QUERY_TILE];
    const adm_real *k[ADM_KEY_TILE];
    int64_t columns[ADM_QUERY_TILE];
    adm_real *context = row->context + at;
    for (int64_t h = 0; h < queries; h++) {
        top[h] = -(adm_real)INFINITY;
        sum[h] = 0;
    }
    for (int64_t h = 0; h < heads; h++)
        columns[h] = (row->first + h) / row->shared * row->width;
    memset(context, 0, (size_t)(heads * row->width) * sizeof *context);
    for (int64_t key = 0; key < keys; key += ADM_KEY_TILE) {
        const int64_t count = adm_min(keys - key, ADM_KEY_TILE);
        for (int64_t j = 0; j < count; j++)
            k[j] = key_at(row->keys, key + j);
        const adm_attend attend = {count, heads, row->width, row->q + at, k, columns, row->v};
        const adm_softmax_tile softmax = {.keys = count, .queries = queries, .valid = count, .scale = scale};
        kernels->attend_scores(&attend, worker->scores);
        if (row->scoring.cap.cap > 0)
            kernels->cap_scores(&softmax, &row->scoring.cap, worker->scores, NULL);
        kernels->softmax_tile(&softmax, worker->scores, top, sum, factor);
        if (key > 0)
            kernels->scale_rows(factor, context, row->width, heads, row->width);
        kernels->attend_sums(&attend, worker->scores, context);
    }
    kernels->softmax_end(top, sum, queries, scale, lse, factor);
    kernels->scale_rows(factor, context, row->width, heads, row->width);
}

/* Which of a stack's sub-layers of self-attention this is. */
static int64_t layer_of(const adm_model *model, const adm_sublayer *sub)
{
    return sub->index / model->params.stacks[sub->stack].per_layer;
}

/* Leaves out what lies before a window. */
static void forget(key_rows *keys, int64_t window)
{
    const int64_t left_out = window > 0 ? adm_max(keys->count + keys->steps - window, 0) : 0;
    const int64_t rows = adm_min(left_out, keys->count);
    if (rows > 0)
        keys->first += rows * keys->stride;
    keys->count -= rows;
    keys->begin = left_out - rows;
    keys->steps -= left_out - rows;
}

/* What a hypothesis has read and sees: its prefix, as the reader has left it, and a row of each step. */
static key_rows read_keys(const adm_decoder *decoder, const adm_sublayer *sub, int64_t i)
{
    const adm_history *history = &decoder->history;
    const adm_stack_buffers *read = &decoder->reader->ws.stacks[ADM_DECODER];
    const int64_t sequence = history->sequences[i], stride = sub->maps[ADM_MAP_IN].outputs;
    const adm_real *proj = read->sublayers[sub->index].proj;
    key_rows keys = {
        .stride = stride,
        .history = history,
        .ancestors = history->ancestors + i * history->steps_capacity,
        .layer = layer_of(decoder->reader, sub),
        .steps = history->steps + 1,
    };
    if (read->rows > 0) {
        keys.first = proj + (read->offsets[sequence] + 1) * stride - history->width;
        keys.count = read->offsets[sequence + 1] - read->offsets[sequence];
    }
    forget(&keys, sub->config->window);
    return keys;
}

static key_rows source_keys(const adm_decoder *decoder, const adm_sublayer *sub, int64_t i)
{
    const adm_workspace *ws = &decoder->reader->ws;
    const int64_t sequence = decoder->history.sequences[i], stride = sub->maps[ADM_MAP_KV].outputs;
    const int64_t first = ws->memory_offsets[sequence];
    return (key_rows){
        .first = ws->stacks[ADM_DECODER].sublayers[sub->index].kv + first * stride,
        .count = ws->memory_offsets[sequence + 1] - first,
        .stride = stride,
    };
}

static key_rows keys_of(const adm_decoder *decoder, const adm_sublayer *sub, int64_t row)
{
    return sub->kind->reads_memory ? source_keys(decoder, sub, row) : read_keys(decoder, sub, row);
}

/* Keeps the keys and values of a chunk's rows. */
static void keep_keys(const adm_decoder *decoder, const adm_sublayer_view *view)
{
    const adm_sublayer *sub = view->params;
    const adm_history *history = &decoder->history;
    const int64_t stride = sub->maps[ADM_MAP_IN].outputs, layer = layer_of(decoder->reader, sub);
    for (int64_t i = 0; i < view->rows; i++)
        memcpy(adm_history_row(history, history->steps, layer, view->first + i),
               view->maps[ADM_MAP_IN].y + (i + 1) * stride - history->width,
               (size_t)history->width * sizeof(adm_real));
}

void adm_decoder_attend(const adm_decoder *decoder, adm_worker *worker, const adm_sublayer_view *view)
{
    const adm_sublayer *sub = view->params;
    const int64_t heads = view->model->heads, shared = heads / adm_kv_heads(view->model);
    const int64_t stride = sub->maps[ADM_MAP_IN].outputs, inner = sub->maps[ADM_MAP_OUT].inputs;
    if (!sub->kind->reads_memory)
        keep_keys(decoder, view);
    key_rows next = keys_of(decoder, sub, view->first);
    for (int64_t i = 0; i < view->rows; i++) {
        const key_rows keys = next;
        if (i + 1 < view->rows) {
            next = keys_of(decoder, sub, view->first + i + 1);
            if (next.first != keys.first || !sub->kind->reads_memory)
                fetch_keys(&next, decoder->history.width);
        }
        for (int64_t first = 0; first < heads; first += ADM_QUERY_TILE) {
            const row_heads part = {&keys,
                                    first,
                                    adm_min(first + ADM_QUERY_TILE, heads),
                                    inner / heads,
                                    shared,
                                    adm_scoring_of(view->model),
                                    view->maps[ADM_MAP_IN].y + i * stride,
                                    view->inner_values + i * inner,
                                    inner / shared};
            attend_heads(worker, &part);
        }
    }
    adm_work_note(worker, ADM_WORK_ATTENTION);
}
