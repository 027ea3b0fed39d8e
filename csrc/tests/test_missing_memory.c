/* Every call of the core for memory made to fail once: what was asked for says that memory is missing, leaves the model
   as it was and nothing behind (the sanitizers and valgrind look for that), and does it when asked again. The program
   is linked with --wrap for every function that takes memory from the system (Makefile). */
#undef NDEBUG
#include "admin/admin.h"
#include "base/base.h"
#include "tests/failing_memory.h"
#include "tests/small_model.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define V SMALL_V
#define TEXTS 4
#define LENGTH 6
#define LAYERS SMALL_MAX_LAYERS /* enough that the table of parameters grows */

static const small_sizes sizes = {.vocab_size = V, .encoder_layers = LAYERS, .decoder_layers = LAYERS};
static const adm_batch *batch;
static const adm_run run = {.threads = 1, .scale = 1.0, .observe = true};

static void test_making(void)
{
    int64_t n = 0;
    for (memory_failed = true; memory_failed; n++) {
        adm_model *model = NULL;
        adm_error error;
        memory_failed = false;
        memory_successes = n;
        const adm_status status = small_model_create(&sizes, &model, &error);
        memory_successes = -1;
        assert(status == (memory_failed ? ADM_ERROR_MEMORY : ADM_OK) && (model == NULL) == memory_failed);
        assert(!memory_failed || strstr(error.message, "memory") != NULL);
        adm_model_free(model);
    }
    assert(n > 10);
}

/* ---- calls of a model ---- */

static double numbers[8][3 * LAYERS * (3 * LAYERS + 2)];

static adm_status forward(adm_model *model, adm_model *other, adm_error *error)
{
    static adm_real out[TEXTS * LENGTH * V];
    (void)other;
    return adm_model_forward(model, batch, &run, out, error);
}

static adm_status loss(adm_model *model, adm_model *other, adm_error *error)
{
    adm_loss found;
    (void)other;
    return adm_model_loss(model, batch, &run, &found, error);
}

static adm_status backward(adm_model *model, adm_model *other, adm_error *error)
{
    adm_loss found;
    (void)other;
    return adm_model_backward(model, batch, &run, &found, error);
}

static adm_status profile(adm_model *model, adm_model *other, adm_error *error)
{
    adm_profile profiles[2] = {{numbers[0], numbers[1], numbers[2]}, {numbers[3], numbers[4], numbers[5]}};
    (void)other;
    return adm_model_profile(model, batch, &run, ADM_PROFILE_CLINIC, false, profiles, error);
}

static adm_status change(adm_model *model, adm_model *other, adm_error *error)
{
    adm_output_change encoder = {.change = numbers[0], .var_branch = numbers[1], .var_sum = numbers[2]};
    adm_output_change decoder = {.change = numbers[3], .var_branch = numbers[4], .var_sum = numbers[5]};
    return adm_models_output_change(model, other, batch, &run, &encoder, &decoder, error);
}

static adm_status dependency(adm_model *model, adm_model *other, adm_error *error)
{
    adm_dependency encoder = {.variances = numbers[0], .sums = numbers[1], .predicted = numbers[2]};
    adm_dependency decoder = {.variances = numbers[3], .sums = numbers[4], .predicted = numbers[5]};
    (void)other;
    return adm_model_dependency(model, batch, &run, 1 << 20, &encoder, &decoder, error);
}

static adm_status norms(adm_model *model, adm_model *other, adm_error *error)
{
    (void)other;
    return adm_model_norms(adm_model_params(model), adm_model_weights(model), NULL, numbers[0], 1, error);
}

/* A search whose hypotheses need room as they grow. */
static adm_status search(adm_model *model, adm_model *other, adm_error *error)
{
    static const int32_t first[TEXTS] = {1, 2, 3, 4};
    static const int64_t each[TEXTS + 1] = {0, 1, 2, 3, 4}, least[TEXTS] = {0}, most[TEXTS] = {9, 9, 9, 9};
    const adm_batch begun = {batch->source, {first, each, TEXTS}};
    adm_search options = adm_search_default();
    adm_decoder *decoder = NULL;
    adm_found_list found;
    (void)other;
    options.beam = 3;
    options.no_repeat = 2;
    options.least = least;
    options.most = most;
    adm_status status = adm_decoder_create(model, &decoder, error);
    if (status == ADM_OK)
        status = adm_beam_search(decoder, &begun, true, &options, &run, &found, error);
    if (status == ADM_OK)
        adm_found_free(&found);
    adm_decoder_free(decoder);
    return status;
}

static double loss_of(adm_model *model)
{
    const adm_run plain = {.threads = 1, .scale = 1.0};
    adm_loss found;
    adm_error error;
    assert(adm_model_loss(model, batch, &plain, &found, &error) == ADM_OK);
    return found.loss;
}

typedef adm_status (*call_fn)(adm_model *model, adm_model *other, adm_error *error);

static void test_call(call_fn call, double expected)
{
    int64_t n = 0;
    for (memory_failed = true; memory_failed; n++) {
        adm_model *model = small_model_make(&sizes, 1), *other = small_model_make(&sizes, 2);
        adm_error error;
        memory_failed = false;
        memory_successes = n;
        adm_status status = call(model, other, &error);
        memory_successes = -1;
        assert(status == (memory_failed ? ADM_ERROR_MEMORY : ADM_OK));
        assert(!memory_failed || strstr(error.message, "memory") != NULL);
        assert(call(model, other, &error) == ADM_OK);
        assert(call == profile || loss_of(model) == expected);
        adm_model_free(model);
        adm_model_free(other);
    }
    assert(n > 1);
}

int main(void)
{
    static const call_fn calls[] = {forward, loss, backward, profile, change, dependency, norms, search};
    static small_batch texts;
    batch = small_batch_make(&texts, TEXTS, LENGTH);
    test_making();
    adm_model *model = small_model_make(&sizes, 1);
    const double expected = loss_of(model);
    adm_model_free(model);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        test_call(calls[i], expected);
    return 0;
}
