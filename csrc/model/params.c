/* The one table of parameters, from which everything else follows: names, shapes, places in the flat buffers, and
   where each sub-layer finds its own. */
#include "model/params.h"

#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ALIGN_ELEMENTS ((int64_t)(ADM_ALIGN / sizeof(adm_real)))

/* A field that shall hold the offset of a parameter once offsets are known. */
typedef struct field {
    int64_t *offset;
    int64_t param;
} field;

typedef struct builder {
    const adm_config *config;
    adm_params *params;
    adm_param_table table;
    bool *joined; /* [count] follows the parameter before it without a gap */
    field *fields;
    int64_t num_fields, capacity;
    int stack;
    int64_t sublayer;
    char prefix[ADM_NAME_LENGTH]; /* of the sub-layer or stack at hand */
    bool failed;
} builder;

static bool reserve(builder *b)
{
    if (b->table.count < b->capacity && b->num_fields < b->capacity)
        return true;
    const int64_t capacity = b->capacity == 0 ? 256 : 2 * b->capacity;
    adm_param *items = realloc(b->table.items, (size_t)capacity * sizeof *items);
    if (items != NULL)
        b->table.items = items;
    bool *joined = realloc(b->joined, (size_t)capacity * sizeof *joined);
    if (joined != NULL)
        b->joined = joined;
    field *fields = realloc(b->fields, (size_t)capacity * sizeof *fields);
    if (fields != NULL)
        b->fields = fields;
    if (items == NULL || joined == NULL || fields == NULL) {
        b->failed = true;
        return false;
    }
    b->capacity = capacity;
    return true;
}

/* *offset shall hold the offset of parameter number `param`. */
static void refer(builder *b, int64_t *offset, int64_t param)
{
    if (b->failed || !reserve(b))
        return;
    b->fields[b->num_fields++] = (field){offset, param};
}

typedef struct extent {
    int64_t rows, columns; /* columns 0: a vector */
} extent;

/* Adds the parameter `prefix` + name; returns its number. */
static int64_t add(builder *b, int64_t *offset, const char *name, adm_param_kind kind, extent shape,
                   bool trained, bool joined)
{
    if (b->failed || !reserve(b))
        return -1;
    const int64_t number = b->table.count++;
    adm_param *param = &b->table.items[number];
    *param = (adm_param){
        .kind = kind,
        .ndim = shape.columns > 0 ? 2 : 1,
        .shape = {shape.rows, shape.columns > 0 ? shape.columns : 1},
        .size = shape.rows * (shape.columns > 0 ? shape.columns : 1),
        .trained = trained,
        .stack = b->stack,
        .sublayer = b->sublayer,
    };
    snprintf(param->name, sizeof param->name, "%.36s%.27s", b->prefix, name);
    b->joined[number] = joined;
    if (offset != NULL)
        refer(b, offset, number);
    return number;
}

static int64_t add_slot(builder *b, adm_slots *slots, int64_t param, int64_t length, bool to_scalar)
{
    adm_slot *slot = &slots->items[slots->count++];
    *slot = (adm_slot){.length = length, .partial = slots->length, .to_scalar = to_scalar};
    refer(b, &slot->offset, param);
    slots->length += adm_round_up(length, ALIGN_ELEMENTS);
    return slot->partial;
}

static void add_norm(builder *b, adm_norm_params *norm, adm_slots *slots, const char *name,
                     adm_norm_kind kind, int64_t n)
{
    *norm = (adm_norm_params){kind, n, -1, -1, -1, -1, -1, -1};
    if (kind == ADM_NORM_NONE)
        return;
    char full[24];
    snprintf(full, sizeof full, "%s.gamma", name);
    int64_t param = add(b, &norm->gamma, full, ADM_PARAM_GAMMA, (extent){n, 0}, true, false);
    norm->partial_gamma = add_slot(b, slots, param, n, false);
    if (kind == ADM_NORM_LAYER || kind == ADM_NORM_DYT) {
        snprintf(full, sizeof full, "%s.nu", name);
        param = add(b, &norm->nu, full, ADM_PARAM_NU, (extent){n, 0}, true, false);
        norm->partial_nu = add_slot(b, slots, param, n, false);
    }
    if (kind == ADM_NORM_DYT) {
        snprintf(full, sizeof full, "%s.scale", name);
        param = add(b, &norm->scale, full, ADM_PARAM_DYT_SCALE, (extent){1, 0}, true, false);
        norm->partial_scale = add_slot(b, slots, param, 1, false);
    }
}

static bool has_bias(adm_bias bias, const adm_branch *branch, adm_map map)
{
    switch (bias) {
    case ADM_BIAS_QKV:
        return branch->attends && map != ADM_MAP_OUT;
    case ADM_BIAS_ATTENTION:
        return branch->attends;
    case ADM_BIAS_FEED_FORWARD:
        return !branch->attends;
    default:
        return bias == ADM_BIAS_ALL;
    }
}

static void add_map(builder *b, adm_sublayer *sub, adm_map number)
{
    const adm_branch_map *map = &sub->kind->maps[number];
    adm_linear_params *linear = &sub->maps[number];
    const int64_t inputs = adm_width_of(b->config, map->inputs);
    *linear = (adm_linear_params){-1, -1, 0, inputs, -1, {-1, -1}};
    if (map->count == 0)
        return;
    char full[24];
    for (int i = 0; i < map->count; i++) {
        const int64_t outputs = adm_width_of(b->config, map->outputs[i]);
        snprintf(full, sizeof full, "%s.weight", map->names[i]);
        add(b, i == 0 ? &linear->weight : NULL, full, map->kinds[i], (extent){outputs, inputs}, true, i > 0);
        linear->outputs += outputs;
    }
    if (!has_bias(b->config->bias, sub->kind, number))
        return;
    int64_t first = -1;
    for (int i = 0; i < map->count; i++) {
        const extent length = {adm_width_of(b->config, map->outputs[i]), 0};
        snprintf(full, sizeof full, "%s.bias", map->names[i]);
        const int64_t param =
            add(b, i == 0 ? &linear->bias : NULL, full, ADM_PARAM_BIAS, length, true, i > 0);
        first = i == 0 ? param : first;
    }
    linear->partial_bias = add_slot(b, &sub->slots, first, linear->outputs, false);
}

/* Of queries or of keys, all of which have `features` in a row. */
static void add_qk_norm(builder *b, adm_sublayer *sub, adm_norm_params *norm, const char *name,
                        adm_width features)
{
    const adm_attention_config *attention = &b->config->attention;
    add_norm(b, norm, &sub->slots, name, sub->kind->attends ? attention->qk_norm : ADM_NORM_NONE,
             attention->qk_norm_whole ? adm_width_of(b->config, features) : adm_head_width(b->config));
}

static void add_branch(builder *b, adm_sublayer *sub)
{
    const adm_branch *branch = sub->kind;
    add_map(b, sub, ADM_MAP_IN);
    add_map(b, sub, ADM_MAP_KV);
    add_qk_norm(b, sub, &sub->q, "norm_q", ADM_WIDTH_QUERIES);
    add_qk_norm(b, sub, &sub->k, "norm_k", ADM_WIDTH_KEYS);
    add_norm(b, &sub->inner, &sub->slots, "norm_inner", sub->config->norm_inner,
             adm_width_of(b->config, branch->inner));
    add_map(b, sub, ADM_MAP_OUT);
    for (int map = 0; map < ADM_NUM_MAPS; map++)
        sub->num_maps += branch->maps[map].count > 0;
}

/* omega, or alpha that is not shared. Returns the parameter's number, -1: none. */
static int64_t add_scale(builder *b, int64_t *offset, const adm_scale *scale, const char *name,
                         adm_param_kind kind, int64_t d)
{
    *offset = -1;
    if (scale->kind == ADM_SCALE_NONE)
        return -1;
    const int64_t n = scale->kind == ADM_SCALE_SCALAR ? 1 : d;
    return add(b, offset, name, kind, (extent){n, 0}, scale->trained, false);
}

static int64_t add_scale_slot(builder *b, adm_sublayer *sub, const adm_scale *scale, int64_t param, int64_t d)
{
    if (param < 0 || !scale->trained)
        return -1;
    return add_slot(b, &sub->slots, param, d, scale->kind == ADM_SCALE_SCALAR);
}

static void add_sublayer(builder *b, adm_stack *stack, const char *stack_name, int64_t i,
                         int64_t *shared_alpha)
{
    const int64_t d = b->config->d_model, per_layer = stack->per_layer, layer = i / per_layer;
    adm_sublayer *sub = &stack->sublayers[i];
    *sub = (adm_sublayer){
        .config = &stack->config->sublayers[i],
        .kind = adm_branch_of(b->config, adm_stack_branch(stack->config, i)),
        .stack = b->stack,
        .index = i,
        .first_in_layer = i % per_layer == 0,
        .last_in_layer = i % per_layer == per_layer - 1,
    };
    for (int64_t j = layer * per_layer; j < (layer + 1) * per_layer; j++)
        sub->layer_is_kept |=
            stack->config->sublayers[j].kappa != 0.0 || stack->config->sublayers[j].parallel;
    b->sublayer = i;
    snprintf(b->prefix, sizeof b->prefix, "%s.%lld.%s.", stack_name, (long long)layer, sub->kind->name);
    add_norm(b, &sub->pre, &sub->slots, "norm_pre", sub->config->norm_pre, d);
    add_branch(b, sub);
    add_norm(b, &sub->branch, &sub->slots, "norm_branch", sub->config->norm_branch, d);
    add_norm(b, &sub->post, &sub->slots, "norm_post", sub->config->norm_post, d);
    int64_t param = add_scale(b, &sub->omega, &sub->config->omega, "omega", ADM_PARAM_OMEGA, d);
    sub->partial_omega = add_scale_slot(b, sub, &sub->config->omega, param, d);

    const adm_scale *alpha = &sub->config->alpha;
    if (sub->first_in_layer)
        *shared_alpha = -1;
    if (alpha->shared && *shared_alpha >= 0 && alpha->kind != ADM_SCALE_NONE) {
        sub->alpha = -1;
        param = *shared_alpha;
        refer(b, &sub->alpha, param);
    } else {
        if (alpha->shared)
            snprintf(b->prefix, sizeof b->prefix, "%s.%lld.", stack_name, (long long)layer);
        param = add_scale(b, &sub->alpha, alpha, "alpha", ADM_PARAM_ALPHA, d);
        if (alpha->shared)
            *shared_alpha = param;
    }
    sub->partial_alpha = add_scale_slot(b, sub, alpha, param, d);
}

static void add_stack(builder *b, int number)
{
    static const char *const names[] = {"encoder", "decoder"};
    const adm_config *config = b->config;
    adm_stack *stack = &b->params->stacks[number];
    int64_t shared_alpha = -1;
    stack->input_scale = stack->partial_input_scale = -1;
    if (stack->num_sublayers == 0)
        return;
    b->stack = number;
    b->sublayer = -1;
    snprintf(b->prefix, sizeof b->prefix, "%s.", names[number]);
    add_norm(b, &stack->embedded, &stack->edge_slots, "norm_embedding", stack->config->norm_embedding,
             config->d_model);
    if (stack->config->input_scale != ADM_SCALE_NONE) {
        const bool scalar = stack->config->input_scale == ADM_SCALE_SCALAR;
        const int64_t param = add(b, &stack->input_scale, "input_scale", ADM_PARAM_INPUT_SCALE,
                                  (extent){scalar ? 1 : config->d_model, 0}, true, false);
        stack->partial_input_scale = add_slot(b, &stack->edge_slots, param, config->d_model, scalar);
    }
    for (int64_t i = 0; i < stack->num_sublayers; i++)
        add_sublayer(b, stack, names[number], i, &shared_alpha);
    b->sublayer = -1;
    snprintf(b->prefix, sizeof b->prefix, "%s.", names[number]);
    add_norm(b, &stack->final, &stack->edge_slots, "norm_final", stack->config->norm_final, config->d_model);
}

/* One matrix of embeddings for source, target and output, or several: as share_embeddings says. */
static void add_embeddings(builder *b)
{
    adm_params *params = b->params;
    const adm_config *config = b->config;
    const extent table = {config->vocab_size, config->d_model},
                 places = {config->max_length, config->d_model};
    const adm_share share = config->share_embeddings;
    const bool both = config->encoder.layers > 0 && config->decoder.layers > 0;
    int64_t *source = &params->stacks[ADM_ENCODER].embedding;
    int64_t *target = &params->stacks[ADM_DECODER].embedding;
    b->sublayer = -1;
    b->stack = -1;
    b->prefix[0] = '\0';
    if (both && (share == ADM_SHARE_NONE || share == ADM_SHARE_DECODER)) {
        b->stack = ADM_ENCODER;
        add(b, source, "encoder.embedding.weight", ADM_PARAM_EMBEDDING, table, true, false);
        b->stack = ADM_DECODER;
        const int64_t decoder =
            add(b, target, "decoder.embedding.weight", ADM_PARAM_EMBEDDING, table, true, false);
        b->stack = -1;
        if (share == ADM_SHARE_DECODER)
            refer(b, &params->output.weight, decoder);
    } else {
        const int64_t one = add(b, source, "embedding.weight", ADM_PARAM_EMBEDDING, table, true, false);
        refer(b, target, one);
        if (share == ADM_SHARE_ALL || share == ADM_SHARE_DECODER)
            refer(b, &params->output.weight, one);
    }
    if (config->decoder.layers > 0 && (share == ADM_SHARE_NONE || share == ADM_SHARE_INPUTS))
        add(b, &params->output.weight, "output.weight", ADM_PARAM_EMBEDDING, table, true, false);
    if (config->output_bias)
        add(b, &params->output.bias, "output.bias", ADM_PARAM_BIAS, (extent){config->vocab_size, 0}, true,
            false);
    if (config->positions == ADM_POSITIONS_LEARNED) {
        if (config->encoder.layers > 0) {
            b->stack = ADM_ENCODER;
            add(b, &params->stacks[ADM_ENCODER].positions, "encoder.positions.weight", ADM_PARAM_POSITIONS,
                places, true, false);
        }
        if (config->decoder.layers > 0) {
            b->stack = ADM_DECODER;
            add(b, &params->stacks[ADM_DECODER].positions, "decoder.positions.weight", ADM_PARAM_POSITIONS,
                places, true, false);
        }
    }
}

/* Trained parameters first, then the fixed ones; groups begin at aligned places. */
static void place(builder *b)
{
    adm_param_table *table = &b->table;
    int64_t next = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < table->count; i++) {
            adm_param *param = &table->items[i];
            if (param->trained != (pass == 0))
                continue;
            if (!b->joined[i])
                next = adm_round_up(next, ALIGN_ELEMENTS);
            param->offset = next;
            next += param->size;
            if (param->trained)
                table->num_parameters += param->size;
        }
        next = adm_round_up(next, ALIGN_ELEMENTS);
        if (pass == 0)
            table->trained_length = next;
    }
    table->length = next;
    for (int64_t i = 0; i < b->num_fields; i++)
        *b->fields[i].offset = table->items[b->fields[i].param].offset;
}

adm_status adm_params_build(const adm_config *config, adm_params *params, adm_error *error)
{
    builder b = {.config = config, .params = params};
    const adm_stack_config *configs[] = {&config->encoder, &config->decoder};
    *params = (adm_params){
        .output = {-1, -1, config->vocab_size, config->d_model, -1, {-1, -1}},
    };
    for (int s = 0; s < 2; s++) {
        adm_stack *stack = &params->stacks[s];
        *stack = (adm_stack){
            .config = configs[s],
            .num_sublayers = adm_stack_num_sublayers(configs[s]),
            .per_layer = adm_stack_per_layer(configs[s]),
            .input_scale = -1,
            .embedding = -1,
            .positions = -1,
        };
        stack->sublayers = calloc((size_t)stack->num_sublayers + 1, sizeof *stack->sublayers);
        b.failed |= stack->sublayers == NULL;
    }
    if (config->vocab_size > 0)
        add_embeddings(&b);
    for (int s = 0; s < 2 && !b.failed; s++)
        add_stack(&b, s);
    if (!b.failed)
        place(&b);
    params->table = b.table;
    free(b.joined);
    free(b.fields);
    if (b.failed)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for the table of parameters");
    return ADM_OK;
}

void adm_params_free(adm_params *params)
{
    free(params->table.items);
    free(params->stacks[ADM_ENCODER].sublayers);
    free(params->stacks[ADM_DECODER].sublayers);
}
