/* The workspace: one plan lays out every buffer of a pass in one arena. It runs twice, to measure and to hand out;
   a second batch of the same size allocates nothing. */
#include "model/model_internal.h"

#include <string.h>

#define CHUNK_MIN_ROWS 48                /* fewer rows do not pay for reading the weights */
#define CHUNK_MAX_ROWS 256               /* more leave the second-level cache */
#define CHUNKS_WANTED 16                 /* so that a few threads share a small batch evenly */
#define LOGITS_BYTES ((int64_t)16 << 20) /* of logits held at once, about: they pass through the last cache */
#define PACKED_FROM_ROWS 64              /* rows from which packed weights pay */

/* What the two ends of a stack and its outputs need. */
static void plan_stack(adm_model *model, adm_arena *arena, const adm_batch_shape *shape, int number)
{
    adm_stack *stack = &model->stacks[number];
    adm_stack_acts *acts = &model->ws.stacks[number];
    const int64_t d = model->config.d_model, m = shape->rows[number];
    acts->rows = m;
    acts->max_length = shape->max_length[number];
    if (stack->num_sublayers == 0)
        return;
    acts->offsets = adm_arena_int64(arena, shape->count + 1);
    acts->tokens = (int32_t *)adm_arena_real(arena, m);
    acts->x0 = adm_arena_real(arena, m * d);
    acts->embedded = stack->input_scale >= 0 ? adm_arena_real(arena, m * d) : acts->x0;
    adm_plan_outputs(model, arena, shape, number);
    acts->moments = adm_arena_double(arena, shape->chunks * stack->num_sublayers * 4);
    acts->grad_sums = adm_arena_double(arena, shape->chunks * (stack->num_sublayers + 1));
    if (shape->backward) {
        acts->dx = adm_arena_real(arena, m * d);
        acts->kept_dx = shape->keep_gradients ? adm_arena_real(arena, m * d) : NULL;
        acts->edge_partials = adm_arena_real(arena, shape->chunks * stack->edge_slots.length);
    }
}

/* The sub-layers of both stacks; segments of both use the same buffers. */
static void plan_sublayers(adm_model *model, adm_arena *arena, const adm_batch_shape *shape)
{
    adm_memory_plan *sizes = &model->ws.sizes;
    const size_t start = arena->used, outputs = sizes->kept[0] + sizes->kept[1];
    size_t end = start;
    for (int s = 0; s < 2; s++) {
        if (shape->segmented)
            arena->used = start;
        if (model->stacks[s].num_sublayers > 0)
            adm_plan_sublayers(model, arena, shape, s);
        end = arena->used > end ? arena->used : end;
    }
    arena->used = end;
    sizes->again = end - start - (sizes->kept[0] + sizes->kept[1] - outputs);
}

static void plan_end(adm_model *model, adm_arena *arena, const adm_batch_shape *shape, int number)
{
    const adm_stack *stack = &model->stacks[number];
    adm_stack_acts *acts = &model->ws.stacks[number];
    const int64_t m = shape->rows[number];
    const bool final = stack->final.kind != ADM_NORM_NONE;
    if (stack->num_sublayers == 0)
        return;
    acts->end =
        final ? adm_arena_real(arena, m * model->config.d_model) : adm_stack_x(acts, stack->num_sublayers);
    acts->end_stats = final ? adm_arena_real(arena, 2 * m) : NULL;
}

static void plan_backward(adm_model *model, adm_arena *arena, const adm_batch_shape *shape)
{
    adm_workspace *ws = &model->ws;
    const int64_t d = model->config.d_model, f = model->config.d_ff;
    const int64_t m = adm_max(shape->rows[0], shape->rows[1]);
    int64_t partial_length = 0, sublayers = 0;
    for (int s = 0; s < 2; s++) {
        sublayers = adm_max(sublayers, model->stacks[s].num_sublayers);
        for (int64_t i = 0; i < model->stacks[s].num_sublayers; i++)
            partial_length = adm_max(partial_length, model->stacks[s].sublayers[i].slots.length);
    }
    ws->progress = adm_arena_int64(arena, 1 + shape->chunks + sublayers);
    for (int i = 0; i < 2; i++) {
        ws->da[i] = adm_arena_real(arena, m * d);
        ws->dproj[i] = adm_arena_real(arena, m * adm_max(3 * d, f));
        ws->dkv[i] = adm_arena_real(arena, shape->memory_rows * 2 * d);
        ws->partials[i] = adm_arena_real(arena, shape->chunks * partial_length);
    }
    ws->dy = adm_arena_real(arena, m * d);
    ws->dh = adm_arena_real(arena, m * d);
    ws->dinner = adm_arena_real(arena, m * d);
    ws->dlayer = adm_arena_real(arena, m * d);
}

static void plan_output(adm_model *model, adm_arena *arena, const adm_batch_shape *shape)
{
    adm_workspace *ws = &model->ws;
    const int64_t v = model->config.vocab_size, m = shape->rows[ADM_DECODER];
    if (v == 0 || m == 0)
        return;
    int64_t rows = LOGITS_BYTES / (v * (int64_t)sizeof(adm_real));
    rows = adm_max(rows / ADM_LOGITS_TASK_ROWS, 1) * ADM_LOGITS_TASK_ROWS;
    ws->block_rows = adm_min(rows, m);
    ws->labels = (int32_t *)adm_arena_real(arena, m);
    ws->logits = adm_arena_real(arena, ws->block_rows * v);
    ws->losses = adm_arena_double(arena, 2 * (ws->block_rows / ADM_LOGITS_TASK_ROWS + 1));
}

/* Completes ws.sizes, whose parts kept and again the stacks have noted. */
static void note_sizes(adm_workspace *ws, const adm_batch_shape *shape, size_t backward, size_t logits,
                       size_t total)
{
    adm_memory_plan *sizes = &ws->sizes;
    sizes->backward = backward;
    sizes->logits = logits;
    sizes->activations = total;
    sizes->other = total - sizes->kept[0] - sizes->kept[1] - sizes->again - backward - logits - sizes->packed;
    for (int s = 0; s < 2; s++)
        sizes->rows[s] = shape->rows[s];
}

static void plan(adm_model *model, adm_arena *arena, const adm_batch_shape *shape)
{
    adm_workspace *ws = &model->ws;
    const int64_t d = model->config.d_model;
    const bool packed =
        model->kernels->panel > 0 && adm_max(shape->rows[0], shape->rows[1]) >= PACKED_FROM_ROWS;
    ws->sizes = (adm_memory_plan){0};
    ws->chunks = adm_arena_int64(arena, shape->chunks + 1);
    const size_t before_packed = arena->used;
    ws->packed = packed ? adm_arena_real(arena, model->packed_lengths.forward) : NULL;
    /* whoever recomputes activations would rather have the memory than a few percent of a backward pass */
    const bool packed_back = packed && shape->backward && !shape->segmented;
    ws->packed_back = packed_back ? adm_arena_real(arena, model->packed_lengths.back) : NULL;
    ws->sizes.packed = arena->used - before_packed;
    for (int s = 0; s < 2; s++)
        plan_stack(model, arena, shape, s);
    plan_sublayers(model, arena, shape);
    for (int s = 0; s < 2; s++)
        plan_end(model, arena, shape, s);
    if (shape->hidden && shape->memory_rows > 0) {
        ws->memory_copy = adm_arena_real(arena, shape->memory_rows * d);
        ws->memory_offsets = adm_arena_int64(arena, shape->count + 1);
        ws->dmemory = shape->backward ? adm_arena_real(arena, shape->memory_rows * d) : NULL;
        ws->memory = ws->memory_copy;
    } else {
        ws->memory = ws->stacks[ADM_ENCODER].end;
        ws->memory_offsets = ws->stacks[ADM_ENCODER].offsets;
        ws->dmemory = ws->stacks[ADM_ENCODER].dx;
    }
    ws->memory_rows = shape->memory_rows;
    ws->memory_max_length = shape->memory_max_length;
    ws->work = adm_arena_double(arena, (int64_t)shape->threads * ADM_WORK_STRIDE);
    ws->score_size = ADM_QUERY_TILE * ADM_KEY_TILE;
    ws->scores = adm_arena_real(arena, shape->threads * 2 * ws->score_size);
    const size_t before_backward = arena->used;
    if (shape->backward)
        plan_backward(model, arena, shape);
    const size_t before_output = arena->used;
    plan_output(model, arena, shape);
    note_sizes(ws, shape, before_output - before_backward, arena->used - before_output, arena->used);
}

/* ---- what a batch asks for ---- */

/* The length of sequence b that a stack reads: predicted tokens are one fewer than those given. */
typedef struct side_lengths {
    const int64_t *offsets;
    int64_t less; /* 1 where the last token is only predicted */
} side_lengths;

static int64_t length_of(const side_lengths *lengths, int64_t b)
{
    return lengths->offsets == NULL ? 0 : lengths->offsets[b + 1] - lengths->offsets[b] - lengths->less;
}

static int64_t longest_of(const side_lengths *lengths, int64_t count)
{
    int64_t longest = 0;
    for (int64_t b = 0; b < count; b++)
        longest = adm_max(longest, length_of(lengths, b));
    return longest;
}

static int64_t total_of(const side_lengths *lengths, int64_t count)
{
    return lengths->offsets == NULL ? 0
                                    : lengths->offsets[count] - lengths->offsets[0] - lengths->less * count;
}

/* Rows from which a chunk of a batch is full. */
static int64_t rows_wanted(int64_t rows)
{
    return adm_min(adm_max(rows / CHUNKS_WANTED, CHUNK_MIN_ROWS), CHUNK_MAX_ROWS);
}

/* Cuts the batch into chunks of whole sequences by its shape alone; returns how many, and writes their first
   sequences if starts is not NULL. */
static int64_t cut_chunks(const side_lengths sides[2], int64_t count, int64_t *starts)
{
    const int64_t wanted = rows_wanted(adm_max(total_of(&sides[0], count), total_of(&sides[1], count)));
    int64_t chunks = 0, filled[2] = {wanted, wanted};
    for (int64_t b = 0; b < count; b++) {
        if (filled[0] >= wanted || filled[1] >= wanted) {
            if (starts != NULL)
                starts[chunks] = b;
            chunks++;
            filled[0] = filled[1] = 0;
        }
        filled[0] += length_of(&sides[0], b);
        filled[1] += length_of(&sides[1], b);
    }
    if (starts != NULL)
        starts[chunks] = count;
    return chunks;
}

/* Lays out the workspace; state is as before if that fails. */
static adm_status lay_out(adm_model *model, const adm_batch_shape *shape, const adm_run *run,
                          adm_error *error)
{
    adm_workspace *ws = &model->ws;
    adm_arena arena = {0};
    adm_status status = adm_run_check(run, error);
    if (status != ADM_OK)
        return status;
    model->activations_kept = false;
    model->gradients_kept = false;
    ws->hidden = false;
    adm_work_fold(model);
    ws->work = NULL; /* the arena is laid out anew */
    plan(model, &arena, shape);
    if (arena.too_large)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for more than 2^64 bytes of activations");
    status = adm_arena_reserve(&ws->arena, arena.used, error);
    if (status != ADM_OK)
        return status;
    ws->arena.used = 0;
    plan(model, &ws->arena, shape);
    memset(ws->work, 0, (size_t)shape->threads * ADM_WORK_STRIDE * sizeof *ws->work);
    ws->work_threads = shape->threads;
    ws->run = *run;
    ws->run.stop = NULL; /* until the pass begins */
    ws->keep = shape->keep;
    ws->backward = shape->backward;
    ws->segmented = shape->segmented;
    for (int s = 0; s < 2; s++)
        ws->segment[s] = shape->segment[s];
    ws->num_sequences = shape->count;
    ws->num_chunks = shape->chunks;
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; i < model->stacks[s].num_sublayers; i++)
            adm_workspace_fill_scales(model, s, i);
    return ADM_OK;
}

void adm_workspace_fill_scales(adm_model *model, int stack, int64_t index)
{
    const adm_sublayer *sub = &model->stacks[stack].sublayers[index];
    adm_sublayer_acts *acts = &model->ws.stacks[stack].sublayers[index];
    const int64_t d = model->config.d_model;
    acts->omega = sub->omega < 0 ? NULL : model->weights + sub->omega;
    acts->alpha = sub->alpha < 0 ? NULL : model->weights + sub->alpha;
    for (int64_t c = 0; acts->omega_filled != NULL && c < d; c++)
        acts->omega_filled[c] = model->weights[sub->omega];
    for (int64_t c = 0; acts->alpha_filled != NULL && c < d; c++)
        acts->alpha_filled[c] = model->weights[sub->alpha];
    if (acts->omega_filled != NULL)
        acts->omega = acts->omega_filled;
    if (acts->alpha_filled != NULL)
        acts->alpha = acts->alpha_filled;
}

/* offsets, tokens and (if not NULL) labels of one stack, from packed sequences. */
static void copy_sequences(adm_stack_acts *acts, const adm_sequences *sequences, int64_t less,
                           int32_t *labels)
{
    int64_t row = 0;
    for (int64_t b = 0; b < sequences->count; b++) {
        const int32_t *tokens = sequences->tokens + sequences->offsets[b];
        const int64_t length = sequences->offsets[b + 1] - sequences->offsets[b] - less;
        acts->offsets[b] = row;
        memcpy(acts->tokens + row, tokens, (size_t)length * sizeof *tokens);
        if (labels != NULL)
            memcpy(labels + row, tokens + 1, (size_t)length * sizeof *tokens);
        row += length;
    }
    acts->offsets[sequences->count] = row;
}

/* The sequences that the decoder reads. */
static const adm_sequences *decoded(const adm_model *model, const adm_batch *batch)
{
    return model->stacks[ADM_ENCODER].num_sublayers > 0 ? &batch->target : &batch->source;
}

static void sides_of(const adm_model *model, const adm_batch *batch, side_lengths sides[2])
{
    const bool encoder = model->stacks[ADM_ENCODER].num_sublayers > 0;
    const bool decoder = model->stacks[ADM_DECODER].num_sublayers > 0;
    sides[0] = (side_lengths){encoder ? batch->source.offsets : NULL, 0};
    sides[1] = (side_lengths){decoder ? decoded(model, batch)->offsets : NULL, 1};
}

static adm_batch_shape shape_of(const adm_model *model, const adm_batch *batch, const adm_run *run,
                                adm_keep keep, bool backward)
{
    side_lengths sides[2];
    sides_of(model, batch, sides);
    const bool encoder = sides[0].offsets != NULL, decoder = sides[1].offsets != NULL;
    const int64_t count = batch->source.count;
    return (adm_batch_shape){
        .count = count,
        .rows = {total_of(&sides[0], count), total_of(&sides[1], count)},
        .max_length = {longest_of(&sides[0], encoder ? count : 0),
                       longest_of(&sides[1], decoder ? count : 0)},
        .memory_rows = encoder && decoder ? total_of(&sides[0], count) : 0,
        .memory_max_length = encoder && decoder ? longest_of(&sides[0], count) : 0,
        .chunks = cut_chunks(sides, count, NULL),
        .threads = run->threads,
        .keep = keep,
        .backward = backward,
        .segmented = backward && run->segment_layers != 0,
        .segment = {adm_segment_length(&model->stacks[0], run->segment_layers),
                    adm_segment_length(&model->stacks[1], run->segment_layers)},
        .keep_gradients = backward && run->observe && run->keep_gradients,
    };
}

/* The shape of a batch that is thought of: no array is as long as it has sequences. */
static adm_batch_shape shape_of_lengths(const adm_model *model, const adm_lengths *lengths,
                                        const adm_run *run)
{
    const int64_t length = lengths->length, rest = lengths->rest;
    const int64_t count = lengths->count + (rest > 0), rows = lengths->count * length + rest;
    const int64_t has[] = {model->stacks[0].num_sublayers > 0, model->stacks[1].num_sublayers > 0};
    const int64_t memory = has[0] && has[1];
    const int64_t a_chunk =
        (rows_wanted(rows) + length - 1) / length; /* sequences; the rest is in the last */
    return (adm_batch_shape){
        .count = count,
        .rows = {has[0] * rows, has[1] * rows},
        .max_length = {has[0] * length, has[1] * length},
        .memory_rows = memory * rows,
        .memory_max_length = memory * length,
        .chunks = (count + a_chunk - 1) / a_chunk,
        .threads = run->threads,
        .keep = adm_keep_backward(run),
        .backward = true,
        .segmented = run->segment_layers != 0,
        .segment = {adm_segment_length(&model->stacks[0], run->segment_layers),
                    adm_segment_length(&model->stacks[1], run->segment_layers)},
        .keep_gradients = run->observe && run->keep_gradients,
    };
}

static adm_status measure(adm_model *model, const adm_batch_shape *shape, adm_memory_plan *result,
                          adm_error *error)
{
    const adm_memory_plan given = *result;
    adm_arena arena = {0};
    model->activations_kept = model->gradients_kept = model->ws.hidden = false;
    plan(model, &arena, shape);
    if (arena.too_large)
        return adm_fail(error, ADM_ERROR_VALUE, "a step on such a batch would hold more than 2^64 bytes");
    *result = model->ws.sizes;
    result->weights = given.weights;
    result->gradients = given.gradients;
    return ADM_OK;
}

adm_status adm_workspace_measure(adm_model *model, const adm_batch *batch, const adm_run *run,
                                 adm_memory_plan *result, adm_error *error)
{
    const adm_status status = adm_run_check(run, error);
    if (status != ADM_OK)
        return status;
    const adm_batch_shape shape = shape_of(model, batch, run, adm_keep_backward(run), true);
    return measure(model, &shape, result, error);
}

adm_status adm_workspace_measure_lengths(adm_model *model, const adm_lengths *lengths, const adm_run *run,
                                         adm_memory_plan *result, adm_error *error)
{
    const adm_status status = adm_run_check(run, error);
    if (status != ADM_OK)
        return status;
    const adm_batch_shape shape = shape_of_lengths(model, lengths, run);
    return measure(model, &shape, result, error);
}

adm_status adm_workspace_for_batch(adm_model *model, const adm_batch *batch, const adm_run *run,
                                   adm_keep keep, bool backward, adm_error *error)
{
    adm_workspace *ws = &model->ws;
    const adm_batch_shape shape = shape_of(model, batch, run, keep, backward);
    side_lengths sides[2];
    sides_of(model, batch, sides);
    adm_status status =
        adm_model_need_positions(model, adm_max(shape.max_length[0], shape.max_length[1]), error);
    if (status == ADM_OK)
        status = lay_out(model, &shape, run, error);
    if (status != ADM_OK)
        return status;
    cut_chunks(sides, shape.count, ws->chunks);
    if (sides[0].offsets != NULL)
        copy_sequences(&ws->stacks[ADM_ENCODER], &batch->source, 0, NULL);
    if (sides[1].offsets != NULL)
        copy_sequences(&ws->stacks[ADM_DECODER], decoded(model, batch), 1, ws->labels);
    return ADM_OK;
}

adm_status adm_workspace_for_hidden(adm_model *model, const adm_hidden *input, const adm_run *run,
                                    adm_keep keep, bool backward, adm_error *error)
{
    adm_workspace *ws = &model->ws;
    const int stack = model->stacks[ADM_ENCODER].num_sublayers > 0 ? ADM_ENCODER : ADM_DECODER;
    const int64_t d = model->config.d_model, count = input->count;
    const side_lengths own = {input->offsets, 0},
                       memory = {input->memory == NULL ? NULL : input->memory_offsets, 0};
    const side_lengths sides[2] = {own, memory};
    adm_batch_shape shape = {
        .count = count,
        .memory_rows = total_of(&memory, count),
        .memory_max_length = longest_of(&memory, count),
        .chunks = cut_chunks(sides, count, NULL),
        .threads = run->threads,
        .keep = keep,
        .backward = backward,
        .hidden = true,
        .segment = {adm_segment_length(&model->stacks[0], 0), adm_segment_length(&model->stacks[1], 0)},
    };
    shape.rows[stack] = total_of(&own, count);
    shape.max_length[stack] = longest_of(&own, count);
    adm_status status = lay_out(model, &shape, run, error);
    if (status != ADM_OK)
        return status;
    cut_chunks(sides, count, ws->chunks);
    adm_stack_acts *acts = &ws->stacks[stack];
    memcpy(acts->offsets, input->offsets, (size_t)(count + 1) * sizeof *acts->offsets);
    memcpy(acts->embedded, input->x, (size_t)(acts->rows * d) * sizeof *acts->embedded);
    if (shape.memory_rows > 0) {
        memcpy(ws->memory_offsets, input->memory_offsets, (size_t)(count + 1) * sizeof *ws->memory_offsets);
        memcpy(ws->memory_copy, input->memory, (size_t)(shape.memory_rows * d) * sizeof *ws->memory_copy);
    }
    return ADM_OK;
}
