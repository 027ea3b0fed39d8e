/* A model's life: made from a configuration, asked for its parts, freed. */
#include "model/model_internal.h"

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
    const size_t r = (size_t)model->stacks[number].num_sublayers;
    adm_observed *observed = &model->observed[number];
    model->ws.stacks[number].sublayers = calloc(r + 1, sizeof(adm_sublayer_acts));
    observed->var_input = calloc(3 * (r + 1), sizeof(double));
    if (model->ws.stacks[number].sublayers == NULL || observed->var_input == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for the sub-layers");
    observed->var_branch = observed->var_input + r;
    observed->grad_norm = observed->var_branch + r;
    return ADM_OK;
}

static size_t buffer_bytes(const adm_model *model)
{
    return (size_t)model->params.length * sizeof(adm_real);
}

adm_status adm_model_outline(const adm_config *config, const adm_kernels *kernels, adm_model **out,
                             adm_error *error)
{
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
        goto out;
    model->config.encoder = encoder;
    if ((status = copy_sublayers(&decoder, error)) != ADM_OK)
        goto out;
    model->config.decoder = decoder;
    if ((status = adm_params_build(model, error)) == ADM_OK &&
        (status = allocate_stack(model, ADM_ENCODER, error)) == ADM_OK)
        status = allocate_stack(model, ADM_DECODER, error);
    if (status == ADM_OK)
        adm_packing_place(model);
out:
    if (status != ADM_OK) {
        adm_model_free(model);
        model = NULL;
    }
    *out = model;
    return status;
}

adm_status adm_model_create(const adm_config *config, const adm_kernels *kernels, adm_model **out,
                            adm_error *error)
{
    adm_status status = adm_model_outline(config, kernels, out, error);
    if (status != ADM_OK)
        return status;
    const size_t bytes = buffer_bytes(*out);
    (*out)->weights = adm_alloc(bytes);
    if ((*out)->weights != NULL)
        return ADM_OK;
    adm_model_free(*out);
    *out = NULL;
    return adm_fail(error, ADM_ERROR_MEMORY, "no memory for %zu bytes of parameters", bytes);
}

void adm_model_free(adm_model *model)
{
    if (model == NULL)
        return;
    adm_release(model->weights, buffer_bytes(model));
    adm_release(model->gradients, buffer_bytes(model));
    adm_release(model->sinusoids, (size_t)(model->num_sinusoids * model->config.d_model) * sizeof(adm_real));
    for (int s = 0; s < 2; s++) {
        free(model->ws.stacks[s].sublayers);
        free(model->observed[s].var_input);
    }
    adm_arena_free(&model->ws.arena);
    adm_params_free(model);
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
    return &model->params;
}

int64_t adm_model_find_param(const adm_model *model, const char *name)
{
    for (int64_t i = 0; i < model->params.count; i++)
        if (strcmp(model->params.items[i].name, name) == 0)
            return i;
    return -1;
}

int64_t adm_model_omega_offset(const adm_model *model, int stack, int64_t sublayer)
{
    return model->stacks[stack].sublayers[sublayer].omega;
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
        model->gradients = adm_alloc(buffer_bytes(model));
    if (model->gradients == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for %zu bytes of gradients", buffer_bytes(model));
    return ADM_OK;
}

adm_status adm_model_need_positions(adm_model *model, int64_t positions, adm_error *error)
{
    const int64_t d = model->config.d_model;
    if (model->config.positions != ADM_POSITIONS_SINUSOIDAL || positions <= model->num_sinusoids)
        return ADM_OK;
    const int64_t count = adm_min(adm_max(2 * model->num_sinusoids, positions), model->config.max_length);
    const size_t bytes = (size_t)(count * d) * sizeof(adm_real);
    adm_real *table = adm_alloc(bytes);
    if (table == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for %zu bytes of positions", bytes);
    adm_positions_fill(table, count, d);
    adm_release(model->sinusoids, (size_t)(model->num_sinusoids * d) * sizeof(adm_real));
    model->sinusoids = table;
    model->num_sinusoids = count;
    return ADM_OK;
}

/* ---- batches ---- */

/* Sequences with at least `least` tokens, at most max_length of which are read. */
static adm_status check_sequences(const adm_model *model, const char *name, const adm_sequences *sequences,
                                  int64_t least, adm_error *error)
{
    const int64_t longest = model->config.max_length + least - 1, v = model->config.vocab_size;
    for (int64_t b = 0; b < sequences->count; b++) {
        const int64_t first = sequences->offsets[b], length = sequences->offsets[b + 1] - first;
        if (length < least)
            return adm_fail(error, ADM_ERROR_VALUE,
                            "%s: sequence %lld has %lld tokens, at least %lld are needed%s", name,
                            (long long)b, (long long)length, (long long)least,
                            least == 2 ? " (the first is only read, the last only predicted)" : "");
        if (length > longest)
            return adm_fail(error, ADM_ERROR_VALUE,
                            "%s: sequence %lld has %lld tokens, longer than max_length=%lld allows (%lld)",
                            name, (long long)b, (long long)length, (long long)model->config.max_length,
                            (long long)longest);
        for (int64_t i = first; i < first + length; i++)
            if (sequences->tokens[i] < 0 || sequences->tokens[i] >= v)
                return adm_fail(
                    error, ADM_ERROR_INDEX,
                    "%s: token id %d of sequence %lld at position %lld is outside the vocabulary [0, %lld)",
                    name, (int)sequences->tokens[i], (long long)b, (long long)(i - first), (long long)v);
    }
    return ADM_OK;
}

adm_status adm_model_check_batch(const adm_model *model, const adm_batch *batch, adm_error *error)
{
    const bool encoder = model->config.encoder.layers > 0, decoder = model->config.decoder.layers > 0;
    if (model->config.vocab_size == 0)
        return adm_fail(error, ADM_ERROR_STATE,
                        "a model without a vocabulary reads hidden states, not tokens");
    if (batch->source.count < 1)
        return adm_fail(error, ADM_ERROR_VALUE, "the batch is empty: at least one sequence is needed");
    if (encoder && decoder && batch->target.count != batch->source.count)
        return adm_fail(error, ADM_ERROR_VALUE,
                        "an encoder-decoder needs as many target as source sequences, got %lld and %lld",
                        (long long)batch->target.count, (long long)batch->source.count);
    adm_status status = check_sequences(model, "source", &batch->source, encoder ? 1 : 2, error);
    if (status == ADM_OK && encoder && decoder)
        status = check_sequences(model, "target", &batch->target, 2, error);
    return status;
}

int64_t adm_model_num_outputs(const adm_model *model, const adm_batch *batch)
{
    const bool encoder = model->config.encoder.layers > 0;
    const adm_sequences *read = encoder && model->config.decoder.layers > 0 ? &batch->target : &batch->source;
    const int64_t tokens = read->count < 1 ? 0 : read->offsets[read->count] - read->offsets[0];
    return model->config.decoder.layers > 0 ? tokens - read->count : tokens;
}

/* ---- observations ---- */

adm_observation adm_model_observation(const adm_model *model, int stack)
{
    const adm_observed *observed = &model->observed[stack];
    return (adm_observation){model->stacks[stack].num_sublayers, observed->var_input, observed->var_branch,
                             observed->grad_norm};
}

int64_t adm_model_activation_rows(const adm_model *model, int stack)
{
    return model->activations_kept ? model->ws.stacks[stack].rows : 0;
}

/* Where a site of the last pass lies, [M, D]. */
static const adm_real *site_values(const adm_model *model, int stack, int64_t index, adm_activation_site site)
{
    const adm_stack_acts *acts = &model->ws.stacks[stack];
    const adm_sublayer_acts *own = index > 0 ? &acts->sublayers[index - 1] : NULL;
    switch (site) {
    case ADM_SITE_BRANCH:
        return own->a;
    case ADM_SITE_NORMED:
        return adm_sublayer_h(model, stack, index - 1);
    case ADM_SITE_SUM:
        return own->y != NULL ? own->y : own->x;
    case ADM_SITE_END:
        return acts->end;
    case ADM_SITE_OUTPUT_GRADIENT:
        return index == model->stacks[stack].num_sublayers ? acts->kept_dx : acts->sublayers[index].kept_dx;
    case ADM_SITE_BRANCH_GRADIENT:
        return own->kept_da;
    default:
        return adm_stack_x(acts, index);
    }
}

adm_status adm_model_activation(const adm_model *model, int stack, int64_t index, adm_activation_site site,
                                adm_real *out, adm_error *error)
{
    const int64_t r = model->stacks[stack].num_sublayers;
    const bool gradient = site == ADM_SITE_OUTPUT_GRADIENT || site == ADM_SITE_BRANCH_GRADIENT;
    const int64_t first = site == ADM_SITE_OUTPUT || site == ADM_SITE_OUTPUT_GRADIENT ? 0 : 1;
    if (!model->activations_kept)
        return adm_fail(error, ADM_ERROR_STATE,
                        "activations are kept by an observed pass only, and until the next pass");
    if (gradient && !model->gradients_kept)
        return adm_fail(error, ADM_ERROR_STATE,
                        "gradients of activations are kept by an observed backward pass that is asked to");
    if (r == 0)
        return adm_fail(error, ADM_ERROR_VALUE, "the model has no such stack");
    if (index < first || index > r)
        return adm_fail(error, ADM_ERROR_INDEX, "index must be from %lld to %lld, got %lld", (long long)first,
                        (long long)r, (long long)index);
    memcpy(out, site_values(model, stack, index, site),
           (size_t)(model->ws.stacks[stack].rows * model->config.d_model) * sizeof *out);
    return ADM_OK;
}

adm_status adm_model_plan_memory(adm_model *model, const adm_batch *batch, const adm_run *run,
                                 adm_memory_plan *plan, adm_error *error)
{
    const adm_status status = adm_model_check_batch(model, batch, error);
    if (status != ADM_OK)
        return status;
    *plan = (adm_memory_plan){.weights = buffer_bytes(model), .gradients = buffer_bytes(model)};
    return adm_workspace_measure(model, batch, run, plan, error);
}

adm_status adm_model_plan_lengths(adm_model *model, const adm_lengths *lengths, const adm_run *run,
                                  adm_memory_plan *plan, adm_error *error)
{
    const int64_t longest = model->config.max_length;
    if (model->config.vocab_size == 0 || lengths->count < 1 || lengths->length < 1 ||
        lengths->length > longest || lengths->rest < 0 || lengths->rest >= lengths->length)
        return adm_fail(
            error, ADM_ERROR_VALUE,
            "lengths must be of at least one sequence of 1 to %lld tokens and a shorter rest, got "
            "%lld of %lld and %lld",
            (long long)longest, (long long)lengths->count, (long long)lengths->length,
            (long long)lengths->rest);
    *plan = (adm_memory_plan){.weights = buffer_bytes(model), .gradients = buffer_bytes(model)};
    return adm_workspace_measure_lengths(model, lengths, run, plan, error);
}

adm_memory adm_model_memory(const adm_model *model)
{
    return (adm_memory){buffer_bytes(model), model->gradients != NULL ? buffer_bytes(model) : 0,
                        model->ws.arena.capacity};
}
