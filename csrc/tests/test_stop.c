/* Stops: what long calls ask before they do what takes long, and what they leave behind. */
#undef NDEBUG
#define _GNU_SOURCE
#include "admin/admin.h"
#include "base/base.h"
#include "model/model.h"
#include "tests/failing_memory.h"
#include "tests/small_model.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define V SMALL_V
#define D SMALL_D
#define TEXTS 8
#define LENGTH 16 /* TEXTS LENGTH: enough rows that weights are packed */
#define LAYERS 2

static small_batch texts;
static const adm_batch *batch;

/* A language model, or with no vocabulary a stack of layers alone. */
static adm_model *make_model(int64_t vocab_size, uint64_t seed)
{
    const small_sizes sizes = {.vocab_size = vocab_size, .decoder_layers = LAYERS};
    return small_model_make(&sizes, seed);
}

/* ---- asking ---- */

static bool ask_inner(void *context)
{
    *(int *)context += 1;
    assert(adm_stop_is_asking());
    return false;
}

static bool ask_outer(void *context)
{
    adm_stop inner = {.asked = ask_inner, .context = context};
    assert(!adm_stop_asked(&inner, 0) && adm_stop_is_asking()); /* still, for the outer one */
    return false;
}

static void test_asking_within_asking(void)
{
    int asked = 0;
    adm_stop outer = {.asked = ask_outer, .context = &asked};
    assert(!adm_stop_asked(&outer, 0) && asked == 1 && !adm_stop_is_asking());
}

static bool yes(void *ignored)
{
    (void)ignored;
    return true;
}

/* ---- what takes long with much memory ---- */

static void test_zeroing_asks(void)
{
    enum { length = 300000 };
    adm_real *values = malloc(length * sizeof *values);
    adm_stop stop = {.asked = yes};
    assert(values != NULL);
    for (int i = 0; i < length; i++)
        values[i] = 1;
    adm_zero(values, length, 1, &stop);
    assert(adm_stopped(&stop) && values[0] == 1 && values[length - 1] == 1);
    for (int threads = 1; threads <= 2; threads++) {
        values[0] = values[length - 1] = 1;
        adm_zero(values, length, threads, NULL);
        for (int i = 0; i < length; i++)
            assert(values[i] == 0);
    }
    free(values);
}

static void test_memory_is_cleared(void)
{
    const size_t bytes = (size_t)5 << 20;
    char *memory = adm_alloc(bytes);
    assert(memory != NULL);
    memset(memory, 1, bytes);
    adm_clear(memory, bytes);
    for (size_t i = 0; i < bytes; i++)
        assert(memory[i] == 0);
    adm_release(memory, bytes);
}

static void test_drawing_weights_asks(void)
{
    adm_model *model = make_model(V, 1);
    const adm_param_table *params = adm_model_params(model);
    adm_stop stop = {.asked = yes};
    adm_error error;
    memset(adm_model_weights(model), 0, (size_t)params->length * sizeof(adm_real));
    assert(adm_model_init_weights(model, 1, 1, &stop, &error) == ADM_STOPPED);
    for (int64_t p = 0; p < params->count; p++)
        if (params->items[p].kind == ADM_PARAM_WEIGHT_FC2)
            assert(adm_model_weights(model)[params->items[p].offset] == 0);
    adm_model_free(model);
}

/* Stops as long as no work of a pass has been noted. */
static bool before_all_work(void *model)
{
    double seconds[ADM_WORK_KINDS], sum = 0;
    adm_model_work_seconds(model, seconds);
    for (int kind = 0; kind < ADM_WORK_KINDS; kind++)
        sum += seconds[kind];
    return sum == 0;
}

static void test_a_pass_asks_before_it_packs_the_weights(void)
{
    adm_model *model = make_model(V, 1);
    adm_stop stop = {.asked = before_all_work, .context = model};
    const adm_run run = {.threads = 1, .scale = 1.0, .stop = &stop};
    adm_loss loss;
    adm_error error;
    assert(adm_model_loss(model, batch, &run, &loss, &error) == ADM_STOPPED);
    assert(model->ws.packed != NULL);
    adm_model_free(model);
}

/* Stops as long as the gradients are those of the pass before. */
static bool before_zeroing(void *model)
{
    const adm_param *first = adm_model_params(model)->items;
    assert(adm_model_gradients(model)[first->offset] != 0);
    return true;
}

static void test_a_backward_pass_asks_before_it_zeroes(void)
{
    enum { size = TEXTS * LENGTH * D };
    adm_model *model = make_model(0, 1);
    adm_real x[size], dout[size], out[size];
    const adm_hidden input = {.x = x, .offsets = texts.offsets, .count = TEXTS};
    adm_stop stop = {.asked = before_zeroing, .context = model};
    adm_run run = {.threads = 1, .scale = 1.0};
    adm_error error;
    for (int i = 0; i < size; i++) {
        x[i] = (adm_real)(i % 7);
        dout[i] = (adm_real)(i % 5);
    }
    assert(adm_model_forward_hidden(model, &input, &run, out, &error) == ADM_OK);
    assert(adm_model_backward_hidden(model, dout, &run, out, NULL, &error) == ADM_OK);
    run.stop = &stop;
    assert(adm_model_backward_hidden(model, dout, &run, out, NULL, &error) == ADM_STOPPED);
    for (int64_t i = 0; i < adm_model_params(model)->length; i++)
        assert(adm_model_gradients(model)[i] == 0);
    adm_model_free(model);
}

/* ---- what is left behind ---- */

static double results[3][2 * LAYERS * (2 * LAYERS + 2)];

static adm_status profile(adm_model *model, adm_model *other, const adm_run *run, adm_error *error)
{
    (void)other;
    adm_profile found[2] = {{0}, {results[0], results[1], results[2]}};
    return adm_model_profile(model, batch, run, ADM_PROFILE_CLINIC, false, found, error);
}

static adm_status change(adm_model *model, adm_model *other, const adm_run *run, adm_error *error)
{
    adm_output_change found = {.change = results[0], .var_branch = results[1], .var_sum = results[2]};
    return adm_models_output_change(model, other, batch, run, NULL, &found, error);
}

static adm_status dependency(adm_model *model, adm_model *other, const adm_run *run, adm_error *error)
{
    (void)other;
    adm_dependency found = {.variances = results[0], .sums = results[1], .predicted = results[2]};
    return adm_model_dependency(model, batch, run, 1 << 20, NULL, &found, error);
}

typedef adm_status (*call_fn)(adm_model *model, adm_model *other, const adm_run *run, adm_error *error);

/* Wherever memory is missing: models keep nobody whom to ask beyond the call. */
static void test_nobody_is_asked_after_a_call(call_fn call)
{
    int n = 0;
    for (memory_failed = true; memory_failed; n++) {
        adm_model *model = make_model(V, 1), *other = make_model(V, 2);
        adm_stop stop = {.asked = yes, .next = HUGE_VAL}; /* never asked */
        const adm_run run = {.threads = 1, .scale = 1.0, .stop = &stop};
        adm_error error;
        memory_failed = false;
        memory_successes = n;
        const adm_status status = call(model, other, &run, &error);
        memory_successes = -1;
        assert(status == (memory_failed ? ADM_ERROR_MEMORY : ADM_OK));
        assert(model->ws.run.stop == NULL && other->ws.run.stop == NULL);
        adm_model_free(model);
        adm_model_free(other);
    }
    assert(n > 2);
}

int main(void)
{
    unsetenv("ADMIN_PY_GEMM"); /* its products take no packed weights */
    batch = small_batch_make(&texts, TEXTS, LENGTH);
    test_asking_within_asking();
    test_zeroing_asks();
    test_memory_is_cleared();
    test_drawing_weights_asks();
    test_a_pass_asks_before_it_packs_the_weights();
    test_a_backward_pass_asks_before_it_zeroes();
    test_nobody_is_asked_after_a_call(profile);
    test_nobody_is_asked_after_a_call(change);
    test_nobody_is_asked_after_a_call(dependency);
    return 0;
}
