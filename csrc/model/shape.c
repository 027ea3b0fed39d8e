#include "model/shape.h"

#include "kernels/kernels.h"
#include "layers/span.h"

#include <math.h>

#define CHUNK_MIN_ROWS 48  /* fewer rows do not pay for reading the weights */
#define CHUNK_MAX_ROWS 256 /* more leave the second-level cache */
#define CHUNKS_WANTED 64   /* so that many threads share a batch evenly */
#define STEP_MIN_ROWS 24   /* of decoding that a chunk has */
#define STEP_ROWS 6        /* of which it has a multiple: the tiles of products have so many */
#define LONG_ROWS 512      /* of a sequence, at most, that is never cut */

/* ---- sequences ---- */

static int64_t length_of(const adm_side *side, int64_t b)
{
    return side->offsets == NULL ? 0 : side->offsets[b + 1] - side->offsets[b] - side->unread;
}

static int64_t longest_of(const adm_side *side, int64_t count)
{
    int64_t longest = 0;
    for (int64_t b = 0; side->offsets != NULL && b < count; b++)
        longest = adm_max(longest, length_of(side, b));
    return longest;
}

static int64_t total_of(const adm_side *side, int64_t count)
{
    return side->offsets == NULL ? 0 : side->offsets[count] - side->offsets[0] - side->unread * count;
}

const adm_sequences *adm_decoded(const adm_params *params, const adm_batch *batch)
{
    return adm_has_stack(params, ADM_ENCODER) ? &batch->target : &batch->source;
}

void adm_batch_sides(const adm_params *params, const adm_batch *batch, adm_side sides[2])
{
    sides[0] = (adm_side){adm_has_stack(params, ADM_ENCODER) ? batch->source.offsets : NULL, 0};
    sides[1] = (adm_side){adm_has_stack(params, ADM_DECODER) ? adm_decoded(params, batch)->offsets : NULL, 1};
}

void adm_hidden_sides(const adm_hidden *input, adm_side sides[2])
{
    sides[0] = (adm_side){input->offsets, 0};
    sides[1] = (adm_side){input->memory == NULL ? NULL : input->memory_offsets, 0};
}

/* ---- chunks and segments ---- */

/* How the sequences of a batch are cut. */
typedef struct cutting {
    int64_t wanted; /* rows from which a chunk is full */
    int64_t tiles;  /* of queries in a part of a long sequence, or 0: none is cut */
} cutting;

/* Of a batch of so many rows. A chunk's attention is not shared out, so that sequences are cut where one is more than
   a chunk that is wanted. */
static cutting cutting_of(int64_t longest, int64_t rows)
{
    const int64_t wanted = adm_min(adm_max(rows / CHUNKS_WANTED, CHUNK_MIN_ROWS), CHUNK_MAX_ROWS);
    const bool cut = longest > adm_max(rows / CHUNKS_WANTED, LONG_ROWS);
    return (cutting){wanted, cut ? adm_pieces(wanted, ADM_QUERY_TILE) : 0};
}

static int64_t parts_of(const cutting *how, int64_t length)
{
    return how->tiles == 0 ? 1 : adm_pieces(adm_pieces(length, ADM_QUERY_TILE), how->tiles);
}

static cutting cutting_of_sides(const adm_side sides[2], int64_t count)
{
    return cutting_of(adm_max(longest_of(&sides[0], count), longest_of(&sides[1], count)),
                      adm_max(total_of(&sides[0], count), total_of(&sides[1], count)));
}

int64_t adm_cut_chunks(const adm_side sides[2], int64_t count, adm_chunk *chunks)
{
    const cutting how = cutting_of_sides(sides, count);
    int64_t number = 0, filled[2] = {how.wanted, how.wanted}, rows[2] = {0, 0};
    for (int64_t b = 0; b < count; b++) {
        const int64_t length[2] = {length_of(&sides[0], b), length_of(&sides[1], b)};
        const int64_t parts = parts_of(&how, adm_max(length[0], length[1]));
        const bool begins = parts > 1 || filled[0] >= how.wanted || filled[1] >= how.wanted;
        for (int64_t part = 0; begins && part < parts; part++, number++)
            if (chunks != NULL)
                chunks[number] =
                    (adm_chunk){b,
                                part,
                                parts,
                                {rows[0] + adm_part_start(length[0], ADM_QUERY_TILE, part, parts),
                                 rows[1] + adm_part_start(length[1], ADM_QUERY_TILE, part, parts)}};
        for (int s = 0; s < 2; s++) {
            filled[s] = length[s] + (begins ? 0 : filled[s]);
            rows[s] += length[s];
        }
    }
    if (chunks != NULL)
        chunks[number] = (adm_chunk){count, 0, 1, {rows[0], rows[1]}};
    return number;
}

/* Sub-layers of a segment of so many layers (adm_run); all of the stack where there are no segments. */
static int64_t segment_length(const adm_stack *stack, int64_t segment_layers)
{
    const int64_t layers = stack->num_sublayers / adm_max(stack->per_layer, 1);
    if (segment_layers == ADM_SEGMENTS_AUTO)
        segment_layers = (int64_t)ceil(sqrt((double)layers));
    return (segment_layers == 0 ? layers : adm_min(segment_layers, layers)) * stack->per_layer;
}

/* What a shape has of the run alone. */
static adm_shape shape_for_run(const adm_params *params, const adm_run *run, adm_keep keep, bool backward)
{
    return (adm_shape){
        .keep = keep,
        .backward = backward,
        .segmented = backward && run->segment_layers != 0,
        .segment = {segment_length(&params->stacks[0], run->segment_layers),
                    segment_length(&params->stacks[1], run->segment_layers)},
        .keep_gradients = backward && run->observe && run->keep_gradients,
    };
}

/* ---- shapes ---- */

adm_shape adm_shape_of_batch(const adm_params *params, const adm_batch *batch, const adm_run *run,
                             adm_keep keep, bool backward)
{
    const int64_t count = batch->source.count;
    adm_shape shape = shape_for_run(params, run, keep, backward);
    adm_side sides[2];
    adm_batch_sides(params, batch, sides);
    shape.count = count;
    shape.chunks = adm_cut_chunks(sides, count, NULL);
    shape.cut = cutting_of_sides(sides, count).tiles > 0;
    for (int s = 0; s < 2; s++)
        shape.rows[s] = total_of(&sides[s], count);
    shape.longest = adm_max(longest_of(&sides[0], count), longest_of(&sides[1], count));
    if (adm_has_stack(params, ADM_ENCODER) && adm_has_stack(params, ADM_DECODER))
        shape.memory_rows = shape.rows[ADM_ENCODER];
    return shape;
}

adm_shape adm_shape_of_lengths(const adm_params *params, const adm_lengths *lengths, const adm_run *run)
{
    const int64_t length = lengths->length, rest = lengths->rest;
    const int64_t count = lengths->count + (rest > 0), rows = lengths->count * length + rest;
    const cutting how = cutting_of(length, rows);
    const int64_t a_chunk = adm_pieces(how.wanted, length); /* sequences; the rest is in the last */
    adm_shape shape = shape_for_run(params, run, adm_keep_backward(run), true);
    shape.count = count;
    shape.cut = how.tiles > 0;
    shape.chunks = shape.cut ? lengths->count * parts_of(&how, length) + parts_of(&how, rest)
                             : adm_pieces(count, a_chunk);
    shape.longest = length;
    for (int s = 0; s < 2; s++)
        shape.rows[s] = adm_has_stack(params, s) ? rows : 0;
    if (adm_has_stack(params, ADM_ENCODER) && adm_has_stack(params, ADM_DECODER))
        shape.memory_rows = rows;
    return shape;
}

int64_t adm_step_chunk(int64_t rows, int threads)
{
    return adm_round_up(adm_max(adm_pieces(rows, threads), STEP_MIN_ROWS), STEP_ROWS);
}

/* A row's bits do not depend on its chunk, so that threads may be counted. */
adm_shape adm_shape_of_steps(const adm_params *params, int64_t rows, int threads)
{
    const adm_run run = {0};
    adm_shape shape = shape_for_run(params, &run, ADM_KEEP_BACKWARD, false);
    shape.count = rows;
    shape.steps = true;
    shape.chunks = adm_pieces(rows, adm_step_chunk(rows, threads));
    shape.rows[ADM_DECODER] = rows;
    shape.longest = 1;
    return shape;
}

adm_shape adm_shape_of_hidden(const adm_params *params, const adm_hidden *input, const adm_run *run,
                              adm_keep keep, bool backward)
{
    const int stack = adm_has_stack(params, ADM_ENCODER) ? ADM_ENCODER : ADM_DECODER;
    adm_run whole = *run;
    whole.segment_layers = 0;
    whole.keep_gradients = false;
    adm_shape shape = shape_for_run(params, &whole, keep, backward);
    adm_side sides[2];
    adm_hidden_sides(input, sides);
    shape.count = input->count;
    shape.hidden = true;
    shape.chunks = adm_cut_chunks(sides, input->count, NULL);
    shape.cut = cutting_of_sides(sides, input->count).tiles > 0;
    shape.longest = longest_of(&sides[0], input->count);
    shape.rows[stack] = total_of(&sides[0], input->count);
    shape.memory_rows = total_of(&sides[1], input->count);
    return shape;
}
