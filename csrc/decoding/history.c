#include "decoding/history.h"

#include <stdlib.h>
#include <string.h>

#define STEPS_AT_FIRST 32

static adm_status no_memory(adm_error *error)
{
    return adm_fail(error, ADM_ERROR_MEMORY, "no memory for the hypotheses");
}

static size_t row_bytes(const adm_history *history)
{
    return (size_t)history->width * sizeof(adm_real);
}

static size_t block_bytes(const adm_history *history, int64_t rows)
{
    return (size_t)(history->layers * rows) * row_bytes(history);
}

/* ---- room ---- */

/* A new array of `capacity` rows of `steps` with what the first `rows` of the old one hold; NULL: there is no memory. */
static int32_t *wider(const int32_t *old, int64_t old_steps, int64_t rows, int64_t capacity, int64_t steps)
{
    int32_t *wide = malloc((size_t)(capacity * steps) * sizeof *wide);
    for (int64_t i = 0; wide != NULL && old != NULL && i < rows; i++)
        memcpy(wide + i * steps, old + i * old_steps, (size_t)old_steps * sizeof *wide);
    return wide;
}

/* Room for so many hypotheses of so many steps; after an error it is as it was. */
static adm_status make_room(adm_history *history, int64_t rows, int64_t steps, adm_error *error)
{
    if (rows <= history->capacity && steps <= history->steps_capacity)
        return ADM_OK;
    const int64_t capacity =
        rows > history->capacity ? adm_max(rows, 2 * history->capacity) : history->capacity;
    const int64_t wide = steps > history->steps_capacity
                             ? adm_max(adm_max(steps, STEPS_AT_FIRST), 2 * history->steps_capacity)
                             : history->steps_capacity;
    const size_t numbers = (size_t)capacity * sizeof(int64_t);
    int64_t *counts = malloc(4 * numbers);
    int32_t *ancestors = wider(history->ancestors, history->steps_capacity, history->rows, capacity, wide);
    int32_t *moved = malloc((size_t)(capacity * wide) * sizeof *moved);
    if (counts == NULL || ancestors == NULL || moved == NULL) {
        free(counts);
        free(ancestors);
        free(moved);
        return no_memory(error);
    }
    for (int64_t i = 0; i < history->rows; i++) {
        counts[i] = history->sequences[i];
        counts[capacity + i] = history->lengths[i];
    }
    free(history->counts);
    free(history->ancestors);
    free(history->moved_ancestors);
    history->counts = history->sequences = counts;
    history->lengths = counts + capacity;
    history->moved_sequences = counts + 2 * capacity;
    history->moved_lengths = counts + 3 * capacity;
    history->ancestors = ancestors;
    history->moved_ancestors = moved;
    history->capacity = capacity;
    history->steps_capacity = wide;
    return ADM_OK;
}

/* One more block, without values. */
static adm_status add_block(adm_history *history, adm_error *error)
{
    adm_step_block *blocks =
        realloc(history->blocks, (size_t)(history->blocks_count + 1) * sizeof *history->blocks);
    if (blocks == NULL)
        return no_memory(error);
    history->blocks = blocks;
    blocks[history->blocks_count++] = (adm_step_block){NULL, 0};
    return ADM_OK;
}

adm_status adm_history_prepare(adm_history *history, adm_error *error)
{
    adm_status status = make_room(history, history->rows, history->steps + 1, error);
    if (status == ADM_OK && history->steps == history->blocks_count)
        status = add_block(history, error);
    if (status != ADM_OK)
        return status;
    adm_step_block *block = &history->blocks[history->steps];
    if (history->rows > block->rows) {
        adm_release(block->values, block_bytes(history, block->rows));
        block->rows = 0;
        block->values = adm_alloc(block_bytes(history, history->rows));
        if (block->values == NULL)
            return no_memory(error);
        block->rows = history->rows;
    }
    for (int64_t i = 0; i < history->rows; i++)
        history->ancestors[i * history->steps_capacity + history->steps] = (int32_t)i;
    return ADM_OK;
}

void adm_history_free(adm_history *history)
{
    for (int64_t step = 0; step < history->blocks_count; step++)
        adm_release(history->blocks[step].values, block_bytes(history, history->blocks[step].rows));
    free(history->blocks);
    free(history->counts);
    free(history->ancestors);
    free(history->moved_ancestors);
    *history = (adm_history){0};
}

size_t adm_history_bytes(const adm_history *history)
{
    size_t bytes = (size_t)history->capacity *
                   (4 * sizeof(int64_t) + 2 * (size_t)history->steps_capacity * sizeof(int32_t));
    for (int64_t step = 0; step < history->blocks_count; step++)
        bytes += block_bytes(history, history->blocks[step].rows);
    return bytes;
}

/* ---- hypotheses ---- */

adm_status adm_history_begin(adm_history *history, const int64_t *offsets, int64_t count, adm_error *error)
{
    history->rows = history->steps = 0;
    const adm_status status = make_room(history, count, 1, error);
    if (status != ADM_OK)
        return status;
    for (int64_t i = 0; i < count; i++) {
        history->sequences[i] = i;
        history->lengths[i] = offsets[i + 1] - offsets[i];
    }
    history->rows = count;
    return ADM_OK;
}

static void exchange(int64_t **a, int64_t **b)
{
    int64_t *other = *a;
    *a = *b;
    *b = other;
}

adm_status adm_history_reorder(adm_history *history, const int64_t *parents, int64_t count, adm_error *error)
{
    for (int64_t i = 0; i < count; i++)
        if (parents[i] < 0 || parents[i] >= history->rows)
            return adm_fail(error, ADM_ERROR_INDEX,
                            "parents[%lld] must be one of the %lld hypotheses, got %lld", (long long)i,
                            (long long)history->rows, (long long)parents[i]);
    const adm_status status = make_room(history, count, history->steps, error);
    if (status != ADM_OK)
        return status;
    const int64_t ld = history->steps_capacity;
    for (int64_t i = 0; i < count; i++) {
        history->moved_sequences[i] = history->sequences[parents[i]];
        history->moved_lengths[i] = history->lengths[parents[i]];
        memcpy(history->moved_ancestors + i * ld, history->ancestors + parents[i] * ld,
               (size_t)history->steps * sizeof *history->ancestors);
    }
    int32_t *other = history->ancestors;
    history->ancestors = history->moved_ancestors;
    history->moved_ancestors = other;
    exchange(&history->sequences, &history->moved_sequences);
    exchange(&history->lengths, &history->moved_lengths);
    history->rows = count;
    return ADM_OK;
}

void adm_history_advance(adm_history *history)
{
    history->steps++;
    for (int64_t i = 0; i < history->rows; i++)
        history->lengths[i]++;
}
