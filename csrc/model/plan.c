/* Where the buffers of a pass lie, and which of them share their place. What a pass keeps is a matter of its adm_keep:

     nothing   forward only: all sub-layers use the same buffers
     backward  what costs a product to compute again is kept; what costs a pass over rows is not, so norms are kept at
               one side only. Buffers of the other side go round, and the backward pass fills them again before it
               reads them (sublayer.c), with the same bits
     branches  everything

   With segments (adm_run.segment_layers) only the outputs of segments are kept beside this; the sub-layers of all
   segments use the buffers of one, and the backward pass fills them again by the segment's forward pass (pass.c). */
#include "model/plan.h"

#define RING_MAX 4                       /* sub-layers of a layer, and one */
#define LOGITS_BYTES ((int64_t)16 << 20) /* of logits held at once, about: they pass through the last cache */
#define PACKED_FROM_ROWS 64              /* rows from which packed weights pay */
#define CHUNK_INTEGERS ((int64_t)(sizeof(adm_chunk) / sizeof(int64_t)))

/* ---- sub-layers ---- */

/* Buffers that go round among the sub-layers of a stack. Those that the weight gradients read exist twice, for
   sub-layers of even and odd index. Chunks may be at different sub-layers, so that rows of different lengths must not
   meet in one buffer: there is one for each width. */
typedef struct shared_rows {
    adm_real *a;           /* [M, D] */
    adm_real *b;           /* [M, D] Nbranch(a) */
    adm_real *x[RING_MAX]; /* [M, D] outputs: the layer's input may be read again until the layer's end */
    adm_real *normed[2];   /* [M, D] */
    adm_real *scaled[2];   /* [M, D] */
    adm_real *inner[2][ADM_NUM_WIDTHS]; /* by width: [M, H K] or [M, F] Ninner */
} shared_rows;

/* Places that any sub-layer of a stack has. */
typedef struct stack_places {
    bool pre, branch, post, scaled;
    bool inner[ADM_NUM_WIDTHS];
} stack_places;

static stack_places places_of(const adm_stack *stack)
{
    stack_places places = {0};
    for (int64_t i = 0; i < stack->num_sublayers; i++) {
        const adm_sublayer *sub = &stack->sublayers[i];
        places.pre |= sub->pre.kind != ADM_NORM_NONE;
        places.branch |= sub->branch.kind != ADM_NORM_NONE;
        places.post |= sub->post.kind != ADM_NORM_NONE;
        places.inner[sub->kind->inner] |= sub->inner.kind != ADM_NORM_NONE;
        places.scaled |= sub->config->input_scale != 1.0;
    }
    return places;
}

static shared_rows plan_shared(const adm_model *model, adm_arena *arena, const adm_shape *shape, int number)
{
    const adm_stack *stack = &model->params.stacks[number];
    const stack_places places = places_of(stack);
    const bool nothing = shape->keep == ADM_KEEP_NOTHING, backward = shape->keep == ADM_KEEP_BACKWARD;
    const int64_t m = shape->rows[number], rows = m * model->config.d_model;
    shared_rows shared = {0};
    if (shape->keep == ADM_KEEP_BRANCHES)
        return shared;
    shared.a = adm_arena_real(arena, rows);
    shared.b = adm_arena_real(arena, backward && places.branch ? rows : 0);
    for (int64_t i = 0; i <= stack->per_layer; i++)
        shared.x[i] = nothing && i == 0 ? model->ws.stacks[number].x0
                                        : adm_arena_real(arena, nothing || places.post ? rows : 0);
    for (int i = 0; i < 2; i++) {
        shared.normed[i] = adm_arena_real(arena, backward && places.pre ? rows : 0);
        shared.scaled[i] = adm_arena_real(arena, backward && places.scaled ? rows : 0);
        for (int width = 0; width < ADM_NUM_WIDTHS; width++) {
            const int64_t inner = m * adm_width_of(&model->config, (adm_width)width);
            shared.inner[i][width] = adm_arena_real(arena, backward && places.inner[width] ? inner : 0);
        }
    }
    return shared;
}

static bool is_output(const adm_model *model, const adm_shape *shape, int number, int64_t index)
{
    const int64_t next = index + 1;
    return next == model->params.stacks[number].num_sublayers || next % shape->segment[number] == 0;
}

/* Queries and keys before their norms, which the backward pass reads, and the norms' statistics. */
static void plan_qk_norms(const adm_model *model, adm_arena *arena, const adm_shape *shape,
                          const adm_sublayer *sub, adm_sublayer_buffers *buffers)
{
    const int64_t q = adm_width_of(&model->config, ADM_WIDTH_QUERIES);
    const int64_t k = adm_width_of(&model->config, ADM_WIDTH_KEYS);
    const int64_t m = shape->rows[sub->stack], keys = sub->kind->reads_memory ? shape->memory_rows : m;
    buffers->q_before = buffers->k_before = buffers->q_stats = buffers->k_stats = NULL;
    if (sub->q.kind == ADM_NORM_NONE)
        return;
    buffers->q_before = adm_arena_real(arena, m * q);
    buffers->k_before = adm_arena_real(arena, keys * k);
    buffers->q_stats = adm_arena_real(arena, 2 * m * (q / sub->q.n));
    buffers->k_stats = adm_arena_real(arena, 2 * keys * (k / sub->k.n));
}

/* What the branch of a sub-layer keeps between its products. */
static void plan_branch(adm_model *model, adm_arena *arena, const adm_shape *shape, const adm_sublayer *sub,
                        adm_sublayer_buffers *buffers)
{
    const adm_config *config = &model->config;
    const adm_linear_params *maps = sub->maps;
    const int64_t m = shape->rows[sub->stack];
    const bool in_place =
        !sub->kind->attends && !sub->kind->gated && config->activation == ADM_ACTIVATION_RELU;
    buffers->inner = adm_arena_real(arena, m * maps[ADM_MAP_OUT].inputs);
    buffers->proj = in_place ? buffers->inner : adm_arena_real(arena, m * maps[ADM_MAP_IN].outputs);
    buffers->kv =
        sub->kind->reads_memory ? adm_arena_real(arena, shape->memory_rows * maps[ADM_MAP_KV].outputs) : NULL;
    buffers->lse = sub->kind->attends ? adm_arena_real(arena, m * config->heads) : NULL;
    plan_qk_norms(model, arena, shape, sub, buffers);
}

/* Whether an output is the input of a layer that a sub-layer reads in parallel: then it stays, since the backward pass of
   that sub-layer computes no sum below the layer again. */
static bool read_in_parallel(const adm_stack *stack, int64_t index)
{
    const int64_t next = index + 1;
    bool found = false;
    for (int64_t i = next; next % stack->per_layer == 0 && i < next + stack->per_layer; i++)
        found |= i < stack->num_sublayers && stack->sublayers[i].config->parallel;
    return found;
}

/* x, the output of a sub-layer; those of segments and of the stack have their places (plan_outputs). */
static void plan_x(adm_model *model, adm_arena *arena, const adm_shape *shape, const shared_rows *shared,
                   const adm_sublayer *sub)
{
    adm_sublayer_buffers *buffers = &model->ws.stacks[sub->stack].sublayers[sub->index];
    const adm_stack *stack = &model->params.stacks[sub->stack];
    const int64_t ring = stack->per_layer + 1;
    const bool output = is_output(model, shape, sub->stack, sub->index);
    const bool backward = shape->keep == ADM_KEEP_BACKWARD;
    buffers->x_shared =
        backward && sub->post.kind != ADM_NORM_NONE && !output && !read_in_parallel(stack, sub->index);
    if (shape->keep == ADM_KEEP_NOTHING || buffers->x_shared)
        buffers->x = shared->x[(sub->index + 1) % ring];
    else if (!backward || !output)
        buffers->x = adm_arena_real(arena, shape->rows[sub->stack] * model->config.d_model);
}

static void plan_sublayer(adm_model *model, adm_arena *arena, const adm_shape *shape,
                          const shared_rows *shared, const adm_sublayer *sub)
{
    adm_sublayer_buffers *buffers = &model->ws.stacks[sub->stack].sublayers[sub->index];
    const adm_keep keep = shape->keep;
    const int64_t m = shape->rows[sub->stack], rows = m * model->config.d_model;
    const bool shares = keep == ADM_KEEP_BACKWARD, branch = sub->branch.kind != ADM_NORM_NONE;
    const bool a_read = branch || sub->partial_alpha >= 0; /* in the backward pass */
    const int parity = (int)(sub->index % 2);
    const adm_norm_params *norms[] = {&sub->pre, &sub->branch, &sub->post, &sub->inner};
    adm_real **stats[] = {&buffers->pre_stats, &buffers->branch_stats, &buffers->post_stats,
                          &buffers->inner_stats};

    buffers->normed = buffers->scaled = buffers->inner_normed = buffers->b = buffers->y = NULL;
    plan_branch(model, arena, shape, sub, buffers);
    if (sub->pre.kind != ADM_NORM_NONE)
        buffers->normed = shares ? shared->normed[parity] : adm_arena_real(arena, rows);
    if (sub->config->input_scale != 1.0)
        buffers->scaled = shares ? shared->scaled[parity] : adm_arena_real(arena, rows);
    if (sub->inner.kind != ADM_NORM_NONE)
        buffers->inner_normed =
            shares ? shared->inner[parity][sub->kind->inner] : adm_arena_real(arena, m * sub->inner.n);
    if (branch)
        buffers->b = shares ? shared->b : adm_arena_real(arena, rows);
    if (sub->post.kind != ADM_NORM_NONE)
        buffers->y = adm_arena_real(arena, rows);
    const bool keeps_a = keep == ADM_KEEP_BRANCHES || (shares && a_read);
    buffers->a = keeps_a ? adm_arena_real(arena, rows) : shared->a;
    plan_x(model, arena, shape, shared, sub);
    buffers->kept_dx = shape->keep_gradients ? adm_arena_real(arena, rows) : NULL;
    buffers->kept_da = shape->keep_gradients ? adm_arena_real(arena, rows) : NULL;
    for (int i = 0; i < 4; i++)
        *stats[i] = norms[i]->kind != ADM_NORM_NONE ? adm_arena_real(arena, 2 * m) : NULL;
}

/* Outputs of segments, and of the stack; scales. */
static void plan_outputs(adm_model *model, adm_arena *arena, const adm_shape *shape, int number)
{
    const adm_stack *stack = &model->params.stacks[number];
    const int64_t d = model->config.d_model;
    const size_t start = arena->used;
    for (int64_t i = 0; i < stack->num_sublayers; i++) {
        const adm_sublayer_config *config = stack->sublayers[i].config;
        adm_sublayer_buffers *buffers = &model->ws.stacks[number].sublayers[i];
        buffers->omega_filled = config->omega.kind == ADM_SCALE_SCALAR ? adm_arena_real(arena, d) : NULL;
        buffers->alpha_filled = config->alpha.kind == ADM_SCALE_SCALAR ? adm_arena_real(arena, d) : NULL;
        if (shape->keep == ADM_KEEP_BACKWARD && is_output(model, shape, number, i))
            buffers->x = adm_arena_real(arena, shape->rows[number] * d);
    }
    model->ws.sizes.kept[number] += arena->used - start;
}

static void plan_sublayers_of(adm_model *model, adm_arena *arena, const adm_shape *shape, int number)
{
    const adm_stack *stack = &model->params.stacks[number];
    const shared_rows shared = plan_shared(model, arena, shape, number);
    const int64_t reused = shape->keep == ADM_KEEP_NOTHING ? 1 : shape->segment[number];
    const size_t start = arena->used;
    size_t end = start;
    for (int64_t i = 0; i < stack->num_sublayers; i++) {
        if (i % reused == 0)
            arena->used = start;
        plan_sublayer(model, arena, shape, &shared, &stack->sublayers[i]);
        end = arena->used > end ? arena->used : end;
    }
    arena->used = end;
    if (!shape->segmented)
        model->ws.sizes.kept[number] += end - start;
}

/* ---- the rest of a pass ---- */

/* What the two ends of a stack and its outputs need. */
static void plan_stack(adm_model *model, adm_arena *arena, const adm_shape *shape, int number)
{
    const adm_stack *stack = &model->params.stacks[number];
    adm_stack_buffers *buffers = &model->ws.stacks[number];
    const int64_t d = model->config.d_model, m = shape->rows[number];
    buffers->rows = m;
    if (stack->num_sublayers == 0)
        return;
    buffers->offsets = adm_arena_int64(arena, shape->count + 1);
    buffers->starts = shape->steps ? adm_arena_int64(arena, shape->count) : NULL;
    buffers->tokens = (int32_t *)adm_arena_real(arena, m);
    buffers->x0 = adm_arena_real(arena, m * d);
    buffers->embedded = stack->input_scale >= 0 ? adm_arena_real(arena, m * d) : buffers->x0;
    const bool normed = stack->embedded.kind != ADM_NORM_NONE;
    buffers->summed = normed ? adm_arena_real(arena, m * d) : buffers->embedded;
    buffers->summed_stats = normed ? adm_arena_real(arena, 2 * m) : NULL;
    plan_outputs(model, arena, shape, number);
    buffers->moments = adm_arena_double(arena, shape->chunks * stack->num_sublayers * 4);
    buffers->grad_sums = adm_arena_double(arena, shape->chunks * (stack->num_sublayers + 1));
    const int64_t edge_length = shape->chunks * stack->edge_slots.length;
    buffers->dx = shape->backward ? adm_arena_real(arena, m * d) : NULL;
    buffers->kept_dx = shape->keep_gradients ? adm_arena_real(arena, m * d) : NULL;
    buffers->edge_partials = shape->backward ? adm_arena_real(arena, edge_length) : NULL;
}

/* The sub-layers of both stacks; segments of both use the same buffers. */
static void plan_sublayers(adm_model *model, adm_arena *arena, const adm_shape *shape)
{
    adm_memory_plan *sizes = &model->ws.sizes;
    const size_t start = arena->used, outputs = sizes->kept[0] + sizes->kept[1];
    size_t end = start;
    for (int s = 0; s < 2; s++) {
        if (shape->segmented)
            arena->used = start;
        if (adm_has_stack(&model->params, s))
            plan_sublayers_of(model, arena, shape, s);
        end = arena->used > end ? arena->used : end;
    }
    arena->used = end;
    sizes->recomputed = end - start - (sizes->kept[0] + sizes->kept[1] - outputs);
}

static void plan_end(adm_model *model, adm_arena *arena, const adm_shape *shape, int number)
{
    const adm_stack *stack = &model->params.stacks[number];
    adm_stack_buffers *buffers = &model->ws.stacks[number];
    const int64_t m = shape->rows[number];
    const bool final = stack->final.kind != ADM_NORM_NONE;
    if (stack->num_sublayers == 0)
        return;
    buffers->end =
        final ? adm_arena_real(arena, m * model->config.d_model) : adm_stack_x(buffers, stack->num_sublayers);
    buffers->end_stats = final ? adm_arena_real(arena, 2 * m) : NULL;
}

/* What the weight gradients read of sub-layers of even or of odd index. */
typedef struct read_gradients {
    adm_real *da;       /* [M, D] */
    adm_real *dproj;    /* [M, H K + 2 G K], [M, F] or [M, 2F] */
    adm_real *dkv;      /* [M_memory, 2 G K] */
    adm_real *partials; /* [C, slots.length] */
} read_gradients;

static void plan_read_gradients(adm_model *model, adm_arena *arena, const adm_shape *shape,
                                read_gradients both[2])
{
    const int64_t m = adm_max(shape->rows[0], shape->rows[1]);
    int64_t length = 0, proj = 0, kv = 0;
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; i < model->params.stacks[s].num_sublayers; i++) {
            const adm_sublayer *sub = &model->params.stacks[s].sublayers[i];
            length = adm_max(length, sub->slots.length);
            proj = adm_max(proj, sub->maps[ADM_MAP_IN].outputs);
            kv = adm_max(kv, sub->maps[ADM_MAP_KV].outputs);
        }
    for (int i = 0; i < 2; i++) {
        both[i].da = adm_arena_real(arena, m * model->config.d_model);
        both[i].dproj = adm_arena_real(arena, m * proj);
        both[i].dkv = adm_arena_real(arena, shape->memory_rows * kv);
        both[i].partials = adm_arena_real(arena, shape->chunks * length);
    }
}

static void plan_backward(adm_model *model, adm_arena *arena, const adm_shape *shape)
{
    adm_workspace *ws = &model->ws;
    const int64_t m = adm_max(shape->rows[0], shape->rows[1]), rows = m * model->config.d_model;
    const int64_t sublayers =
        adm_max(model->params.stacks[0].num_sublayers, model->params.stacks[1].num_sublayers);
    read_gradients both[2] = {{0}};
    if (shape->backward)
        plan_read_gradients(model, arena, shape, both);
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; i < model->params.stacks[s].num_sublayers; i++) {
            adm_sublayer_buffers *buffers = &ws->stacks[s].sublayers[i];
            buffers->da = both[i % 2].da;
            buffers->dproj = both[i % 2].dproj;
            buffers->dkv = both[i % 2].dkv;
            buffers->partials = both[i % 2].partials;
        }
    if (!shape->backward)
        return;
    ws->progress = adm_arena_int64(arena, (1 + shape->chunks + 2 * sublayers) * ADM_COUNT_STRIDE);
    ws->attended = shape->cut ? adm_arena_int64(arena, shape->chunks * model->config.heads) : NULL;
    ws->dy = adm_arena_real(arena, rows);
    ws->dh = adm_arena_real(arena, rows);
    ws->dcontext = adm_arena_real(arena, m * adm_width_of(&model->config, ADM_WIDTH_QUERIES));
    ws->dhidden = model->config.gated ? adm_arena_real(arena, m * model->config.d_ff) : NULL;
    ws->dlayer = adm_arena_real(arena, rows);
}

static void plan_output(adm_model *model, adm_arena *arena, const adm_shape *shape)
{
    adm_workspace *ws = &model->ws;
    const int64_t v = model->config.vocab_size, m = shape->rows[ADM_DECODER];
    if (v == 0 || m == 0 || shape->steps)
        return;
    int64_t rows = LOGITS_BYTES / (v * (int64_t)sizeof(adm_real));
    rows = adm_max(rows / ADM_LOGITS_TASK_ROWS, 1) * ADM_LOGITS_TASK_ROWS;
    ws->block_rows = adm_min(rows, m);
    ws->labels = (int32_t *)adm_arena_real(arena, m);
    ws->logits = adm_arena_real(arena, ws->block_rows * v);
    ws->logits_slopes =
        shape->backward && model->config.logits_cap > 0 ? adm_arena_real(arena, ws->block_rows * v) : NULL;
    ws->losses = adm_arena_double(arena, 2 * m);
}

/* What cross-attention reads. */
static void plan_memory(adm_model *model, adm_arena *arena, const adm_shape *shape)
{
    adm_workspace *ws = &model->ws;
    const adm_stack_buffers *encoder = &ws->stacks[ADM_ENCODER];
    const int64_t rows = shape->memory_rows * model->config.d_model;
    if (shape->hidden && shape->memory_rows > 0) {
        ws->memory_copy = adm_arena_real(arena, rows);
        ws->memory_offsets = adm_arena_int64(arena, shape->count + 1);
        ws->dmemory = shape->backward ? adm_arena_real(arena, rows) : NULL;
        ws->memory = ws->memory_copy;
    } else {
        ws->memory = encoder->end;
        ws->memory_offsets = encoder->offsets;
        ws->dmemory = encoder->dx;
    }
}

/* Completes ws.sizes, whose parts kept and recomputed the stacks have noted. */
static void note_sizes(adm_workspace *ws, const adm_shape *shape, size_t backward, size_t logits,
                       size_t total)
{
    adm_memory_plan *sizes = &ws->sizes;
    sizes->backward = backward;
    sizes->logits = logits;
    sizes->activations = total;
    sizes->other =
        total - sizes->kept[0] - sizes->kept[1] - sizes->recomputed - backward - logits - sizes->packed;
    for (int s = 0; s < 2; s++)
        sizes->rows[s] = shape->rows[s];
}

void adm_plan(adm_model *model, adm_arena *arena, const adm_shape *shape)
{
    adm_workspace *ws = &model->ws;
    const bool lent = ws->lent_packed != NULL;
    const bool packed =
        !lent && !model->kernels->by_blas && adm_max(shape->rows[0], shape->rows[1]) >= PACKED_FROM_ROWS;
    ws->sizes = (adm_memory_plan){0};
    ws->chunks = (adm_chunk *)adm_arena_int64(arena, (shape->chunks + 1) * CHUNK_INTEGERS);
    const size_t before_packed = arena->used;
    ws->packed = packed ? adm_arena_real(arena, model->packed_lengths.forward) : ws->lent_packed;
    /* whoever recomputes activations would rather have the memory than a few percent of a backward pass */
    const bool packed_back = packed && shape->backward && !shape->segmented;
    ws->packed_back = packed_back ? adm_arena_real(arena, model->packed_lengths.backward) : NULL;
    ws->sizes.packed = arena->used - before_packed;
    for (int s = 0; s < 2; s++)
        plan_stack(model, arena, shape, s);
    plan_sublayers(model, arena, shape);
    for (int s = 0; s < 2; s++)
        plan_end(model, arena, shape, s);
    plan_memory(model, arena, shape);
    const size_t before_backward = arena->used;
    plan_backward(model, arena, shape);
    const size_t before_output = arena->used;
    plan_output(model, arena, shape);
    note_sizes(ws, shape, before_output - before_backward, arena->used - before_output, arena->used);
}

void adm_plan_workers(adm_model *model, adm_arena *arena, int threads)
{
    adm_workspace *ws = &model->ws;
    const int64_t scores = (int64_t)threads * ADM_QUERY_TILE * ADM_KEY_TILE;
    ws->work = adm_arena_double(arena, (int64_t)threads * ADM_WORK_STRIDE);
    ws->scores = adm_arena_real(arena, 2 * scores);
    ws->slopes = model->config.attention.score_cap > 0 ? adm_arena_real(arena, scores) : NULL;
    ws->copies = adm_arena_real(arena, (int64_t)threads * ADM_GEMM_SCRATCH);
}
