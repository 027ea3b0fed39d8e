/* Where the activations of sub-layers lie. What a pass keeps is a matter of its adm_keep:

     nothing   forward only: all sub-layers use the same buffers
     backward  what costs a product to compute again is kept; what costs a pass over rows is not, so norms are kept at
               one side only. Buffers of the other side go round, and the backward pass fills them again before it
               reads them (sublayer.c), with the same bits
     branches  everything

   With segments (adm_run.segment_layers) only the outputs of segments are kept beside this; the sub-layers of all
   segments use the buffers of one, and the backward pass fills them again by the segment's forward pass (stack.c). */
#include "model/model_internal.h"

#include <math.h>

#define RING_MAX 4 /* sub-layers of a layer, and one */

/* Buffers that go round among the sub-layers of a stack. Those that the weight gradients read exist twice, for
   sub-layers of even and odd index. */
typedef struct shared_rows {
    adm_real *a;           /* [M, D] */
    adm_real *b;           /* [M, D] Nbranch(a) */
    adm_real *x[RING_MAX]; /* [M, D] outputs: the layer's input (for kappa) stays until the layer's end */
    adm_real *normed[2];   /* [M, D] */
    adm_real *h[2];        /* [M, D] */
    adm_real *context[2];  /* [M, D] Ninner of attention */
    adm_real
        *hidden[2]; /* [M, F] Ninner of feed-forward: chunks may be at different sub-layers, so that rows of
                                  different lengths must not meet in one buffer */
} shared_rows;

/* Places that any sub-layer of a stack has. */
typedef struct stack_places {
    bool pre, branch, post, inner, scaled;
} stack_places;

static stack_places places_of(const adm_stack *stack)
{
    stack_places places = {0};
    for (int64_t i = 0; i < stack->num_sublayers; i++) {
        const adm_sublayer *sub = &stack->sublayers[i];
        places.pre |= sub->pre.kind != ADM_NORM_NONE;
        places.branch |= sub->branch.kind != ADM_NORM_NONE;
        places.post |= sub->post.kind != ADM_NORM_NONE;
        places.inner |= sub->inner.kind != ADM_NORM_NONE;
        places.scaled |= sub->config->input_scale != 1.0;
    }
    return places;
}

static shared_rows plan_shared(const adm_model *model, adm_arena *arena, const adm_batch_shape *shape,
                               int number)
{
    const adm_stack *stack = &model->stacks[number];
    const stack_places places = places_of(stack);
    const bool nothing = shape->keep == ADM_KEEP_NOTHING, backward = shape->keep == ADM_KEEP_BACKWARD;
    const int64_t rows = shape->rows[number] * model->config.d_model;
    const int64_t hidden = shape->rows[number] * model->config.d_ff;
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
        shared.h[i] = adm_arena_real(arena, backward && places.scaled ? rows : 0);
        shared.context[i] = adm_arena_real(arena, backward && places.inner ? rows : 0);
        shared.hidden[i] = adm_arena_real(arena, backward && places.inner ? hidden : 0);
    }
    return shared;
}

static bool is_output(const adm_model *model, const adm_batch_shape *shape, int number, int64_t index)
{
    const int64_t next = index + 1;
    return next == model->stacks[number].num_sublayers || next % shape->segment[number] == 0;
}

/* What every pass but one that keeps nothing has of its own, beside x and the scales. */
static void plan_branch(adm_model *model, adm_arena *arena, const adm_batch_shape *shape,
                        const adm_sublayer *sub, adm_sublayer_acts *acts)
{
    const adm_config *config = &model->config;
    const int64_t d = config->d_model, f = config->d_ff, m = shape->rows[sub->stack];
    const bool self = sub->kind == ADM_BRANCH_SELF_ATTENTION;
    const bool cross = sub->kind == ADM_BRANCH_CROSS_ATTENTION;
    const bool gelu = config->activation == ADM_ACTIVATION_GELU;
    acts->inner = adm_arena_real(arena, m * (self || cross ? d : f));
    acts->lse = NULL;
    acts->kv = cross ? adm_arena_real(arena, shape->memory_rows * 2 * d) : NULL;
    if (self || cross) {
        acts->proj = adm_arena_real(arena, m * (self ? 3 * d : d));
        acts->lse = adm_arena_real(arena, m * config->heads);
    } else {
        acts->proj = gelu ? adm_arena_real(arena, m * f) : acts->inner;
    }
}

static void plan_sublayer(adm_model *model, adm_arena *arena, const adm_batch_shape *shape,
                          const shared_rows *shared, const adm_sublayer *sub)
{
    adm_sublayer_acts *acts = &model->ws.stacks[sub->stack].sublayers[sub->index];
    const adm_keep keep = shape->keep;
    const int64_t m = shape->rows[sub->stack], rows = m * model->config.d_model;
    const bool again = keep == ADM_KEEP_BACKWARD, post = sub->post.kind != ADM_NORM_NONE;
    const bool branch = sub->branch.kind != ADM_NORM_NONE;
    const bool a_read = branch || sub->partial_alpha >= 0; /* in the backward pass */
    const int parity = (int)(sub->index % 2);
    adm_real *const *inner = sub->kind == ADM_BRANCH_FEED_FORWARD ? shared->hidden : shared->context;
    const adm_norm *norms[] = {&sub->pre, &sub->branch, &sub->post, &sub->inner};
    adm_real **stats[] = {&acts->pre_stats, &acts->branch_stats, &acts->post_stats, &acts->inner_stats};

    acts->normed = acts->h = acts->inner_normed = acts->b = acts->y = NULL;
    plan_branch(model, arena, shape, sub, acts);
    if (sub->pre.kind != ADM_NORM_NONE)
        acts->normed = again ? shared->normed[parity] : adm_arena_real(arena, rows);
    if (sub->config->input_scale != 1.0)
        acts->h = again ? shared->h[parity] : adm_arena_real(arena, rows);
    if (sub->inner.kind != ADM_NORM_NONE)
        acts->inner_normed = again ? inner[parity] : adm_arena_real(arena, m * sub->out.in);
    if (branch)
        acts->b = again ? shared->b : adm_arena_real(arena, rows);
    if (post)
        acts->y = adm_arena_real(arena, rows);
    acts->a = keep == ADM_KEEP_BRANCHES || (again && a_read) ? adm_arena_real(arena, rows) : shared->a;
    acts->x_again = again && post && !is_output(model, shape, sub->stack, sub->index);
    if (keep == ADM_KEEP_NOTHING || acts->x_again)
        acts->x = shared->x[(sub->index + 1) % (model->stacks[sub->stack].per_layer + 1)];
    else if (!again || !is_output(model, shape, sub->stack, sub->index))
        acts->x = adm_arena_real(arena, rows);
    acts->kept_dx = shape->keep_gradients ? adm_arena_real(arena, rows) : NULL;
    acts->kept_da = shape->keep_gradients ? adm_arena_real(arena, rows) : NULL;
    for (int i = 0; i < 4; i++)
        *stats[i] = norms[i]->kind != ADM_NORM_NONE ? adm_arena_real(arena, 2 * m) : NULL;
}

/* Sub-layers of a segment; all of the stack where there are no segments. */
int64_t adm_segment_length(const adm_stack *stack, int64_t segment_layers)
{
    const int64_t layers = stack->num_sublayers / adm_max(stack->per_layer, 1);
    if (segment_layers == ADM_SEGMENTS_AUTO)
        segment_layers = (int64_t)ceil(sqrt((double)layers));
    return (segment_layers == 0 ? layers : adm_min(segment_layers, layers)) * stack->per_layer;
}

void adm_plan_outputs(adm_model *model, adm_arena *arena, const adm_batch_shape *shape, int number)
{
    const adm_stack *stack = &model->stacks[number];
    const int64_t d = model->config.d_model;
    const size_t start = arena->used;
    for (int64_t i = 0; i < stack->num_sublayers; i++) {
        const adm_sublayer_config *config = stack->sublayers[i].config;
        adm_sublayer_acts *own = &model->ws.stacks[number].sublayers[i];
        own->omega_filled = config->omega.kind == ADM_SCALE_SCALAR ? adm_arena_real(arena, d) : NULL;
        own->alpha_filled = config->alpha.kind == ADM_SCALE_SCALAR ? adm_arena_real(arena, d) : NULL;
        if (shape->keep == ADM_KEEP_BACKWARD && is_output(model, shape, number, i))
            own->x = adm_arena_real(arena, shape->rows[number] * d);
    }
    model->ws.sizes.kept[number] += arena->used - start;
}

void adm_plan_sublayers(adm_model *model, adm_arena *arena, const adm_batch_shape *shape, int number)
{
    const adm_stack *stack = &model->stacks[number];
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
