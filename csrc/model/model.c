/* A model's life: made from a configuration, asked for its parts, freed. */
#include "model/model.h"

#include "layers/embedding.h"
#include "layers/rotary.h"
#include "model/packing.h"

#include <stdlib.h>
#include <string.h>

static adm_status copy_sublayers(adm_stack_config *stack, adm_error *error)
{
    const size_t size = (size_t)adm_stack_num_sublayers(stack) * sizeof *stack->sublayers;
    const adm_sublayer_config *given = stack->sublayers;
    stack->sublayers = malloc(size + 1);
    if (stack->sublayers == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for the configuration");
    if (size > 0)
        memcpy(stack->sublayers, given, size);
    return ADM_OK;
}

static adm_status allocate_stack(adm_model *model, int number, adm_error *error)
{
    const size_t r = (size_t)model->params.stacks[number].num_sublayers;
    adm_observed *observed = &model->observed[number];
    model->ws.stacks[number].sublayers = calloc(r + 1, sizeof(adm_sublayer_buffers));
    observed->var_input = calloc(3 * (r + 1), sizeof(double));
    if (model->ws.stacks[number].sublayers == NULL || observed->var_input == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for the sub-layers");
    observed->var_branch = observed->var_input + r;
    observed->grad_norm = observed->var_branch + r;
    return ADM_OK;
}

adm_status adm_model_outline(const adm_config *config, const adm_kernels *kernels, adm_model **created,
                             adm_error *error)
{
    *created = NULL;
    if (kernels == NULL)
        return adm_fail(error, ADM_ERROR_VALUE, "kernels must be given, got NULL");
    adm_status status = adm_config_check(config, error);
    if (status != ADM_OK)
        return status;
    adm_model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for a model");
    model->config = *config;
    model->config.encoder.sublayers = model->config.decoder.sublayers = NULL;
    model->kernels = kernels;
    adm_stack_config encoder = config->encoder, decoder = config->decoder;
    if ((status = copy_sublayers(&encoder, error)) != ADM_OK)
        goto end;
    model->config.encoder = encoder;
    if ((status = copy_sublayers(&decoder, error)) != ADM_OK)
        goto end;
    model->config.decoder = decoder;
    if ((status = adm_params_build(&model->config, &model->params, error)) == ADM_OK &&
        (status = allocate_stack(model, ADM_ENCODER, error)) == ADM_OK)
        status = allocate_stack(model, ADM_DECODER, error);
    if (status == ADM_OK)
        adm_packing_place(model);
end:
    if (status != ADM_OK) {
        adm_model_free(model);
        model = NULL;
    }
    *created = model;
    return status;
}

adm_status adm_model_create(const adm_config *config, const adm_kernels *kernels, adm_model **created,
                            adm_error *error)
{
    adm_status status = adm_model_outline(config, kernels, created, error);
    if (status != ADM_OK)
        return status;
    const size_t bytes = adm_buffer_bytes(*created);
    (*created)->weights = adm_alloc(bytes);
    if ((*created)->weights != NULL)
        return ADM_OK;
    adm_model_free(*created);
    *created = NULL;
    return adm_fail(error, ADM_ERROR_MEMORY, "no memory for %zu bytes of parameters", bytes);
}

/* Features of a position in the table of those that are not trained. */
static int64_t positions_width(const adm_model *model)
{
    const bool rotary = model->config.positions == ADM_POSITIONS_ROTARY;
    return rotary ? adm_rotary_width(&model->config) : model->config.d_model;
}

static size_t positions_bytes(const adm_model *model, int64_t count)
{
    return (size_t)(count * positions_width(model)) * sizeof(adm_real);
}

/* What is not the parameters'. */
static void free_workspace(adm_model *model)
{
    adm_release(model->positions, positions_bytes(model, model->num_positions));
    for (int s = 0; s < 2; s++) {
        free(model->ws.stacks[s].sublayers);
        free(model->observed[s].var_input);
    }
    adm_arena_free(&model->ws.arena);
    adm_arena_free(&model->ws.workers);
}

adm_status adm_model_share(const adm_model *model, adm_model **shared, adm_error *error)
{
    adm_status status = ADM_OK;
    adm_model *own = *shared = calloc(1, sizeof *own);
    if (own == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for a model");
    own->config = model->config;
    own->kernels = model->kernels;
    own->params = model->params;
    own->packed_lengths = model->packed_lengths;
    own->weights = model->weights;
    for (int s = 0; s < 2 && status == ADM_OK; s++)
        status = allocate_stack(own, s, error);
    if (status != ADM_OK) {
        adm_model_unshare(own);
        *shared = NULL;
    }
    return status;
}

void adm_model_unshare(adm_model *shared)
{
    if (shared == NULL)
        return;
    free_workspace(shared);
    free(shared);
}

void adm_model_free(adm_model *model)
{
    if (model == NULL)
        return;
    adm_release(model->weights, adm_buffer_bytes(model));
    adm_release(model->gradients, adm_buffer_bytes(model));
    free_workspace(model);
    adm_params_free(&model->params);
    free(model->config.encoder.sublayers);
    free(model->config.decoder.sublayers);
    free(model);
}

const adm_config *adm_model_config(const adm_model *model)
{
    return &model->config;
}

const adm_kernels *adm_model_kernels(const adm_model *model)
{
    return model->kernels;
}

const adm_param_table *adm_model_params(const adm_model *model)
{
    return &model->params.table;
}

int64_t adm_model_find_param(const adm_model *model, const char *name)
{
    for (int64_t i = 0; i < model->params.table.count; i++)
        if (strcmp(model->params.table.items[i].name, name) == 0)
            return i;
    return -1;
}

int64_t adm_model_num_sublayers(const adm_model *model, int stack)
{
    return adm_is_stack(stack) ? model->params.stacks[stack].num_sublayers : 0;
}

int64_t adm_model_omega_offset(const adm_model *model, int stack, int64_t sublayer)
{
    const bool there = sublayer >= 0 && sublayer < adm_model_num_sublayers(model, stack);
    return there ? model->params.stacks[stack].sublayers[sublayer].omega : -1;
}

adm_real *adm_model_weights(adm_model *model)
{
    return model->weights;
}

adm_real *adm_model_gradients(adm_model *model)
{
    return model->gradients;
}

adm_status adm_model_need_gradients(adm_model *model, adm_error *error)
{
    if (model->gradients == NULL)
        model->gradients = adm_alloc(adm_buffer_bytes(model));
    if (model->gradients == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for %zu bytes of gradients",
                        adm_buffer_bytes(model));
    return ADM_OK;
}

adm_status adm_model_need_positions(adm_model *model, int64_t positions, adm_error *error)
{
    const adm_config *config = &model->config;
    if (config->positions == ADM_POSITIONS_LEARNED || positions <= model->num_positions)
        return ADM_OK;
    const int64_t most = adm_max(config->max_length, positions); /* hidden states may be more */
    const int64_t count = adm_min(adm_max(2 * model->num_positions, positions), most);
    const size_t bytes = positions_bytes(model, count);
    adm_real *table = adm_alloc(bytes);
    if (table == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for %zu bytes of positions", bytes);
    if (config->positions == ADM_POSITIONS_ROTARY)
        adm_rotary_fill(&config->attention.rotary, table, count, positions_width(model));
    else
        adm_positions_fill(table, count, positions_width(model));
    adm_release(model->positions, positions_bytes(model, model->num_positions));
    model->positions = table;
    model->num_positions = count;
    return ADM_OK;
}
