#include "model/resolve.h"

/* Places of dropout in a sub-layer, each with random numbers of its own. */
enum { SITE_BRANCH = 0, SITE_ATTENTION, SITE_ACTIVATION, NUM_SITES = 4 };

static adm_real *at(adm_real *values, int64_t offset)
{
    return values == NULL ? NULL : values + offset;
}

/* Parameters' place in a flat buffer, or in a chunk's partial gradients. */
static adm_real *place(adm_real *values, int64_t offset)
{
    return values == NULL || offset < 0 ? NULL : values + offset;
}

adm_norm_args adm_resolve_norm_args(const adm_model *model, const adm_norm_params *params)
{
    return (adm_norm_args){
        .kind = params->kind,
        .n = params->n,
        .eps = (adm_real)model->config.norm_eps,
        .gamma = place(model->weights, params->gamma),
        .nu = place(model->weights, params->nu),
        .scale = place(model->weights, params->scale),
    };
}

adm_norm adm_resolve_norm(const adm_model *model, const adm_norm_params *params, adm_real *stats,
                          int64_t rows, int64_t first, adm_real *partials)
{
    if (params->kind == ADM_NORM_NONE)
        return (adm_norm){.args = {.kind = ADM_NORM_NONE}};
    return (adm_norm){
        .args = adm_resolve_norm_args(model, params),
        .grads = {place(partials, params->partial_gamma), place(partials, params->partial_nu),
                  place(partials, params->partial_scale)},
        .mean = at(stats, first),
        .rstd = at(stats, rows + first),
    };
}

adm_matrix adm_resolve_matrix(const adm_model *model, const adm_linear_params *params)
{
    return (adm_matrix){
        .weight = model->weights + params->weight,
        .bias = place(model->weights, params->bias),
        .packed = at(model->ws.packed, params->packing.forward),
        .packed_back = at(model->ws.packed_back, params->packing.backward),
        .outputs = params->outputs,
        .inputs = params->inputs,
    };
}

adm_dropout adm_resolve_dropout(const adm_model *model, double p, int stack, uint64_t site)
{
    const adm_run *run = &model->ws.run;
    return adm_dropout_make(p, run->training, run->seed, run->step, ((uint64_t)stack << 32) + site);
}

/* ---- the parts of a view ---- */

static void resolve_rows(const adm_model *model, int stack, adm_chunks chunks, adm_sublayer_view *view)
{
    const adm_workspace *ws = &model->ws;
    const adm_stack_buffers *buffers = &ws->stacks[stack];
    view->offsets = buffers->offsets;
    view->memory_offsets = ws->memory_offsets;
    view->starts = buffers->starts;
    view->angles = model->config.positions == ADM_POSITIONS_ROTARY ? model->positions : NULL;
    if (chunks.first == ADM_ALL_CHUNKS) {
        view->last_sequence = ws->shape.count;
        view->rows = buffers->rows;
        view->parts = 1;
        return;
    }
    const adm_chunk *of = &ws->chunks[chunks.first];
    const adm_span span = adm_chunks_span(ws, stack, chunks);
    view->first_sequence = of->sequence;
    view->last_sequence = of->parts > 1 ? of->sequence + 1 : ws->chunks[chunks.last].sequence;
    view->part = of->part;
    view->parts = of->parts;
    if (ws->attended != NULL)
        view->attended = ws->attended + (chunks.first - of->part) * model->config.heads;
    view->first = span.first;
    view->rows = span.rows;
}

static void resolve_parameters(const adm_model *model, const adm_sublayer *sub,
                               const adm_sublayer_buffers *buffers, adm_real *partials,
                               adm_sublayer_view *view)
{
    const int64_t m = model->ws.stacks[sub->stack].rows, first = view->first;
    const struct {
        adm_norm *norm;
        const adm_norm_params *params;
        adm_real *stats;
    } norms[] = {
        {&view->pre, &sub->pre, buffers->pre_stats},
        {&view->branch, &sub->branch, buffers->branch_stats},
        {&view->post, &sub->post, buffers->post_stats},
        {&view->inner, &sub->inner, buffers->inner_stats},
    };
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++)
        *norms[i].norm = adm_resolve_norm(model, norms[i].params, norms[i].stats, m, first, partials);
    const double inner =
        sub->kind->attends ? model->config.attention_dropout : model->config.activation_dropout;
    const uint64_t site = (uint64_t)sub->index * NUM_SITES;
    view->omega = buffers->omega;
    view->alpha = buffers->alpha;
    view->domega = place(partials, sub->partial_omega);
    view->dalpha = place(partials, sub->partial_alpha);
    view->dropout = adm_resolve_dropout(model, model->config.dropout, sub->stack, site + SITE_BRANCH);
    view->inner_dropout = adm_resolve_dropout(model, inner, sub->stack,
                                              site + (sub->kind->attends ? SITE_ATTENTION : SITE_ACTIVATION));
}

static void resolve_activations(const adm_model *model, const adm_sublayer *sub,
                                const adm_sublayer_buffers *buffers, adm_sublayer_view *view)
{
    const adm_workspace *ws = &model->ws;
    const adm_stack_buffers *stack = &ws->stacks[sub->stack];
    const int64_t layer_start = sub->index - sub->index % model->params.stacks[sub->stack].per_layer;
    const int64_t from = view->first * view->d, inner = view->first * sub->maps[ADM_MAP_OUT].inputs;
    view->x = adm_stack_x(stack, sub->index) + from;
    view->layer_input = sub->config->kappa == 0.0 ? NULL : adm_stack_x(stack, layer_start) + from;
    view->input = sub->config->parallel ? adm_stack_x(stack, layer_start) + from : view->x;
    view->normed = at(buffers->normed, from);
    view->r = sub->config->residual_normed && view->normed != NULL ? view->normed : view->x;
    view->scaled = at(buffers->scaled, from);
    view->inner_values = at(buffers->inner, inner);
    view->inner_normed = at(buffers->inner_normed, inner);
    view->lse = at(buffers->lse, view->first * model->config.heads);
    view->a = at(buffers->a, from);
    view->b = at(buffers->b != NULL ? buffers->b : buffers->a, from);
    view->x_next = at(buffers->x, from);
    view->y = at(buffers->y != NULL ? buffers->y : buffers->x, from);
    view->shared = ws->shape.keep == ADM_KEEP_BACKWARD;
    view->x_next_shared = buffers->x_shared;
    view->dx = at(stack->dx, from);
    view->dy = at(buffers->y != NULL && stack->dx != NULL ? ws->dy : stack->dx, from);
    view->dlayer = stack->dx == NULL ? NULL : at(ws->dlayer, from);
    view->kept_da = at(buffers->kept_da, from);
}

static void resolve_maps(const adm_model *model, const adm_sublayer *sub, adm_chunks chunks,
                         adm_real *partials, adm_sublayer_view *view)
{
    const adm_workspace *ws = &model->ws;
    const adm_sublayer_buffers *buffers = &ws->stacks[sub->stack].sublayers[sub->index];
    const bool backward = view->dx != NULL;
    for (int i = 0; i < sub->num_maps; i++) {
        const adm_linear_params *params = &sub->maps[i];
        view->maps[i] = (adm_linear){
            .matrix = adm_resolve_matrix(model, params),
            .rows = view->rows,
            .dweight = place(model->gradients, params->weight),
            .dbias = place(partials, params->partial_bias),
        };
    }
    const adm_real *h = view->scaled != NULL   ? view->scaled
                        : view->normed != NULL ? view->normed
                                               : view->input;
    const int64_t from = view->first * view->d;
    adm_linear *in = &view->maps[ADM_MAP_IN], *out = &view->maps[ADM_MAP_OUT];
    in->x = h;
    in->y = at(buffers->proj, view->first * in->matrix.outputs);
    in->dy = at(buffers->dproj, view->first * in->matrix.outputs);
    in->dx = backward ? at(ws->dh, from) : NULL;
    view->bias = out->matrix.bias;
    out->matrix.bias = NULL;
    out->x = view->inner_normed != NULL ? view->inner_normed : view->inner_values;
    out->y = view->a;
    out->dy = at(buffers->da, from);
    adm_real *dhidden = sub->kind->gated ? at(ws->dhidden, view->first * out->matrix.inputs) : in->dy;
    adm_real *dcontext = at(ws->dcontext, view->first * out->matrix.inputs);
    out->dx = !backward ? NULL : sub->kind->attends ? dcontext : dhidden;
    if (!sub->kind->reads_memory)
        return;
    adm_linear *kv = &view->maps[ADM_MAP_KV];
    const adm_span memory =
        chunks.first == ADM_ALL_CHUNKS ? (adm_span){0, ws->shape.memory_rows} : adm_memory_span(ws, chunks);
    const int64_t first = memory.first;
    view->memory_first = first;
    kv->rows = memory.rows;
    kv->x = ws->memory + first * view->d;
    kv->y = at(buffers->kv, first * kv->matrix.outputs);
    kv->dy = at(buffers->dkv, first * kv->matrix.outputs);
    kv->dx = at(ws->dmemory, first * view->d);
}

/* Queries or keys, a part of what a map computes. */
typedef struct normed_part {
    const adm_norm_params *params;
    const adm_linear *map;
    int64_t column, width;    /* of the map's outputs */
    int64_t first, rows;      /* number of the map's first row among all of the part */
    adm_real *before, *stats; /* of all */
} normed_part;

static adm_part_norm resolve_part(const adm_model *model, const normed_part *part, adm_real *partials)
{
    const int64_t count = part->width / part->params->n, first = part->first * count;
    return (adm_part_norm){
        .norm = adm_resolve_norm(model, part->params, part->stats, part->rows * count, first, partials),
        .count = count,
        .rows = part->map->rows,
        .stride = part->map->matrix.outputs,
        .y = at(part->map->y, part->column),
        .dy = at(part->map->dy, part->column),
        .before = at(part->before, part->first * part->width),
    };
}

static void resolve_qk_norms(const adm_model *model, const adm_sublayer *sub, adm_real *partials,
                             adm_sublayer_view *view)
{
    const adm_sublayer_buffers *buffers = &model->ws.stacks[sub->stack].sublayers[sub->index];
    const int64_t queries = adm_width_of(&model->config, ADM_WIDTH_QUERIES);
    const bool memory = sub->kind->reads_memory;
    normed_part part = {
        .params = &sub->q,
        .map = &view->maps[ADM_MAP_IN],
        .width = queries,
        .first = view->first,
        .rows = model->ws.stacks[sub->stack].rows,
        .before = buffers->q_before,
        .stats = buffers->q_stats,
    };
    if (sub->q.kind == ADM_NORM_NONE)
        return;
    view->q_norm = resolve_part(model, &part, partials);
    part.params = &sub->k;
    part.column = memory ? 0 : queries;
    part.width = adm_width_of(&model->config, ADM_WIDTH_KEYS);
    part.before = buffers->k_before;
    part.stats = buffers->k_stats;
    if (memory) {
        part.map = &view->maps[ADM_MAP_KV];
        part.first = view->memory_first;
        part.rows = model->ws.shape.memory_rows;
    }
    view->k_norm = resolve_part(model, &part, partials);
}

adm_sublayer_view adm_resolve(const adm_model *model, const adm_sublayer *sub, int64_t chunk)
{
    return adm_resolve_chunks(model, sub, (adm_chunks){chunk, chunk + 1});
}

adm_sublayer_view adm_resolve_chunks(const adm_model *model, const adm_sublayer *sub, adm_chunks chunks)
{
    const bool one = chunks.first != ADM_ALL_CHUNKS && chunks.last - chunks.first == 1;
    const adm_sublayer_buffers *buffers = &model->ws.stacks[sub->stack].sublayers[sub->index];
    adm_sublayer_view view = {
        .kernels = model->kernels,
        .model = &model->config,
        .stack = model->params.stacks[sub->stack].config,
        .config = sub->config,
        .params = sub,
        .d = model->config.d_model,
    };
    adm_real *partials = one ? at(buffers->partials, chunks.first * sub->slots.length) : NULL;
    resolve_rows(model, sub->stack, chunks, &view);
    resolve_parameters(model, sub, buffers, partials, &view);
    resolve_activations(model, sub, buffers, &view);
    resolve_maps(model, sub, chunks, partials, &view);
    resolve_qk_norms(model, sub, partials, &view);
    return view;
}
