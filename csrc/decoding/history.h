/* Hypotheses and where their keys and values lie. Each step has a block with a row for every hypothesis of then; a
   hypothesis knows its ancestors' rows, so that one that branches or moves copies a few numbers, and no keys. */
#ifndef ADM_DECODING_HISTORY_H
#define ADM_DECODING_HISTORY_H

#include "base/base.h"

/* Keys and values of one step. */
typedef struct adm_step_block {
    adm_real *values; /* [layers, rows, 2 G K] */
    int64_t rows;     /* that there is room for */
} adm_step_block;

typedef struct adm_history {
    int64_t layers, width;  /* self-attention's sub-layers, 2 G K */
    int64_t steps;          /* done since the beginning */
    adm_step_block *blocks; /* [blocks_count] */
    int64_t blocks_count;
    int64_t rows;                 /* N */
    int64_t capacity;             /* hypotheses that there is room for, ... */
    int64_t steps_capacity;       /* ... and ancestors of each */
    int64_t *counts;              /* [4, capacity], of which these are parts: */
    int64_t *sequences, *lengths; /* [capacity] number in the batch; tokens so far, the prefix's included */
    int32_t *ancestors;           /* [capacity, steps_capacity] a row of each step's block */
    int64_t *moved_sequences, *moved_lengths; /* where they go when they are reordered */
    int32_t *moved_ancestors;
} adm_history;

/* Forgets all hypotheses; sequences 0, 1, ... with prefixes of these lengths are the new ones. */
adm_status adm_history_begin(adm_history *history, const int64_t *offsets, int64_t count, adm_error *error);
adm_status adm_history_reorder(adm_history *history, const int64_t *parents, int64_t count, adm_error *error);
/* Room for the keys and values of a step, whose rows are the hypotheses'. */
adm_status adm_history_prepare(adm_history *history, adm_error *error);
/* The step is done. */
void adm_history_advance(adm_history *history);
void adm_history_free(adm_history *history);
size_t adm_history_bytes(const adm_history *history);

/* Keys and values [2 G K] of a row of a step. */
static inline adm_real *adm_history_row(const adm_history *history, int64_t step, int64_t layer, int64_t row)
{
    const adm_step_block *block = &history->blocks[step];
    return block->values + (layer * block->rows + row) * history->width;
}

#endif
