/* Every call of the core for memory made to fail once: what was asked for says that memory is missing, leaves the model
   as it was and nothing behind (the sanitizers and valgrind look for that), and does it when asked again. The program
   is linked with --wrap for every function that takes memory from the system (Makefile). */
#undef NDEBUG
#include "admin/admin.h"
#include "base/base.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int64_t successes = -1; /* calls that succeed before the one that does not; negative: all do */
static bool failed;

static bool fails(void)
{
    const bool now = successes == 0;
    failed |= now;
    successes -= successes >= 0;
    return now;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset)
{
    return fails() ? MAP_FAILED : __real_mmap(address, size, protection, flags, file, offset);
}

#define V 20
#define D 16
#define B 4
#define LENGTH 6
#define LAYERS 12 /* enough that the table of parameters grows */

static adm_sublayer_config sublayers[3 * LAYERS];
static int32_t tokens[B * LENGTH];
static int64_t offsets[B + 1];
static const adm_batch batch = {{tokens, offsets, B}, {tokens, offsets, B}};
static const adm_run run = {.threads = 1, .scale = 1.0, .observe = true};

static void fill(void)
{
    for (int i = 0; i < 3 * LAYERS; i++)
        sublayers[i] = (adm_sublayer_config){
            .norm_post = ADM_NORM_LAYER,
            .input_scale = 1.0,
            .omega = {ADM_SCALE_VECTOR, true, false, 1.0},
            .profiled = true,
            .gains = {1, 1, 1, 1, 1, 1},
        };
    for (int i = 0; i < B * LENGTH; i++)
        tokens[i] = i * 7 % V;
    for (int b = 0; b <= B; b++)
        offsets[b] = b * LENGTH;
}

static adm_status create(adm_model **model, adm_error *error)
{
    const adm_config config = {
        .vocab_size = V,
        .d_model = D,
        .heads = 2,
        .d_ff = 2 * D,
        .max_length = LENGTH,
        .share_embeddings = ADM_SHARE_ALL,
        .norm_eps = 1e-5,
        .encoder = {LAYERS, false, false, ADM_NORM_NONE, ADM_SCALE_NONE, 1.0, sublayers},
        .decoder = {LAYERS, true, true, ADM_NORM_NONE, ADM_SCALE_NONE, 1.0, sublayers},
    };
    return adm_model_create(&config, adm_kernels_select(), model, error);
}

static adm_model *make_model(uint64_t seed)
{
    adm_model *model = NULL;
    adm_error error;
    assert(create(&model, &error) == ADM_OK);
    assert(adm_model_init_weights(model, seed, 1, NULL, &error) == ADM_OK);
    return model;
}

static void test_making(void)
{
    int64_t n = 0;
    for (failed = true; failed; n++) {
        adm_model *model = NULL;
        adm_error error;
        failed = false;
        successes = n;
        const adm_status status = create(&model, &error);
        successes = -1;
        assert(status == (failed ? ADM_ERROR_MEMORY : ADM_OK) && (model == NULL) == failed);
        assert(!failed || strstr(error.message, "memory") != NULL);
        adm_model_free(model);
    }
    assert(n > 10);
}

/* ---- calls of a model ---- */

static double numbers[8][3 * LAYERS * (3 * LAYERS + 2)];

static adm_status forward(adm_model *model, adm_model *other, adm_error *error)
{
    static adm_real out[B * LENGTH * V];
    (void)other;
    return adm_model_forward(model, &batch, &run, out, error);
}

static adm_status loss(adm_model *model, adm_model *other, adm_error *error)
{
    adm_loss found;
    (void)other;
    return adm_model_loss(model, &batch, &run, &found, error);
}

static adm_status backward(adm_model *model, adm_model *other, adm_error *error)
{
    adm_loss found;
    (void)other;
    return adm_model_backward(model, &batch, &run, &found, error);
}

static adm_status profile(adm_model *model, adm_model *other, adm_error *error)
{
    adm_profile encoder = {numbers[0], numbers[1], numbers[2]},
                decoder = {numbers[3], numbers[4], numbers[5]};
    (void)other;
    return adm_model_profile(model, &batch, &run, ADM_PROFILE_CLINIC, false, &encoder, &decoder, error);
}

static adm_status change(adm_model *model, adm_model *other, adm_error *error)
{
    adm_output_change encoder = {.change = numbers[0], .var_branch = numbers[1], .var_sum = numbers[2]};
    adm_output_change decoder = {.change = numbers[3], .var_branch = numbers[4], .var_sum = numbers[5]};
    return adm_models_output_change(model, other, &batch, &run, &encoder, &decoder, error);
}

static adm_status dependency(adm_model *model, adm_model *other, adm_error *error)
{
    adm_dependency encoder = {.variances = numbers[0], .sums = numbers[1], .predicted = numbers[2]};
    adm_dependency decoder = {.variances = numbers[3], .sums = numbers[4], .predicted = numbers[5]};
    (void)other;
    return adm_model_dependency(model, &batch, &run, 1 << 20, &encoder, &decoder, error);
}

static adm_status norms(adm_model *model, adm_model *other, adm_error *error)
{
    (void)other;
    return adm_model_norms(adm_model_params(model), adm_model_weights(model), NULL, numbers[0], 1, error);
}

static double loss_of(adm_model *model)
{
    const adm_run plain = {.threads = 1, .scale = 1.0};
    adm_loss found;
    adm_error error;
    assert(adm_model_loss(model, &batch, &plain, &found, &error) == ADM_OK);
    return found.loss;
}

typedef adm_status (*call_fn)(adm_model *model, adm_model *other, adm_error *error);

static void test_call(call_fn call, double expected)
{
    int64_t n = 0;
    for (failed = true; failed; n++) {
        adm_model *model = make_model(1), *other = make_model(2);
        adm_error error;
        failed = false;
        successes = n;
        adm_status status = call(model, other, &error);
        successes = -1;
        assert(status == (failed ? ADM_ERROR_MEMORY : ADM_OK));
        assert(!failed || strstr(error.message, "memory") != NULL);
        assert(call(model, other, &error) == ADM_OK);
        assert(call == profile || loss_of(model) == expected);
        adm_model_free(model);
        adm_model_free(other);
    }
    assert(n > 1);
}

int main(void)
{
    static const call_fn calls[] = {forward, loss, backward, profile, change, dependency, norms};
    adm_blas_setup();
    fill();
    test_making();
    adm_model *model = make_model(1);
    const double expected = loss_of(model);
    adm_model_free(model);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        test_call(calls[i], expected);
    return 0;
}
