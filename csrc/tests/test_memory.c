/* Memory: buffers lie on boundaries of huge pages; once warm, steps allocate nothing and do not look into the
   environment, which other threads may change; what a plan says is what a pass takes; gradients exist from the first
   backward pass on. The program is linked with --wrap for every function that takes memory from the system and for
   getenv (Makefile), so all calls of the core are counted. */
#include "admin/admin.h"
#include "base/base.h"
#include "tests/failing_memory.h"
#include "tests/small_model.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define D SMALL_D
#define LAYERS 3
#define THREADS 2
#define LENGTH 8
#define TEXTS 20

static const small_sizes model_sizes = {SMALL_V, LAYERS, LAYERS, 0.1};
static small_batch large, small;

static int64_t lookups; /* into the environment */

char *__real_getenv(const char *name);
char *__wrap_getenv(const char *name);

char *__wrap_getenv(const char *name)
{
    lookups++;
    return __real_getenv(name);
}

static void test_alignment(void)
{
    const size_t page = 4096, huge = (size_t)2 << 20;
    const size_t sizes[] = {0, 1, page, huge - 1, huge, huge + 1, 3 * huge, 5 * huge + page};
    char *buffers[sizeof sizes / sizeof *sizes];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            buffers[i] = adm_alloc(sizes[i]);
            assert(buffers[i] != NULL);
            assert((uintptr_t)buffers[i] % (sizes[i] >= huge ? huge : page) == 0);
            for (size_t k = 0; k < sizes[i]; k += page)
                assert(buffers[i][k] == 0);
            memset(buffers[i], 1, sizes[i]);
        }
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            adm_release(buffers[i], sizes[i]);
    }
    adm_release(NULL, huge);
    assert(adm_alloc(SIZE_MAX) == NULL);
    assert(adm_alloc((size_t)1 << 62) == NULL);
}

static adm_run make_run(int64_t segment_layers)
{
    return (adm_run){
        .training = true, .threads = THREADS, .scale = 1.0, .seed = 1, .segment_layers = segment_layers};
}

typedef struct trainer {
    adm_model *model;
    adm_optim_config config;
    adm_optim_state state;
} trainer;

static void step(trainer *self, const adm_batch *batch, const adm_run *run)
{
    const adm_param_table *params = adm_model_params(self->model);
    adm_loss loss;
    adm_error error;
    double norm;
    assert(adm_model_backward(self->model, batch, run, &loss, &error) == ADM_OK);
    assert(adm_model_loss(self->model, batch, run, &loss, &error) == ADM_OK);
    assert(adm_norm2(adm_model_kernels(self->model), adm_model_gradients(self->model), params->trained_length,
                     THREADS) > 0);
    const adm_optim_input input = {.kernels = adm_model_kernels(self->model),
                                   .params = params,
                                   .weights = adm_model_weights(self->model),
                                   .gradients = adm_model_gradients(self->model),
                                   .grad_scale = 1,
                                   .lr = 1e-3,
                                   .threads = THREADS};
    adm_optim_step(&self->config, &input, &self->state, &norm, NULL);
    assert(norm > 0);
}

static void test_steps_once_warm(int64_t segment_layers)
{
    trainer self = {.model = small_model_make(&model_sizes, 1),
                    .config = {ADM_OPTIM_ADAM, 0.9, 0.98, 1e-9, 0, false}};
    const adm_run run = make_run(segment_layers);
    const adm_param_table *params = adm_model_params(self.model);
    self.state.m = calloc((size_t)adm_optim_size_m(&self.config, params), sizeof(adm_real));
    self.state.v = calloc((size_t)adm_optim_size_v(&self.config, params), sizeof(adm_real));
    step(&self, &small.batch, &run);
    const size_t little = adm_model_memory(self.model).activations;
    step(&self, &large.batch, &run);
    const size_t most = adm_model_memory(self.model).activations;
    assert(most > little);
    const int64_t before = memory_calls, looked = lookups;
    assert(looked > 0); /* the model's kernels were chosen */
    for (int i = 0; i < 3; i++) {
        step(&self, &small.batch, &run);
        step(&self, &large.batch, &run);
    }
    assert(memory_calls == before && lookups == looked);
    assert(adm_model_memory(self.model).activations == most);
    free(self.state.m);
    free(self.state.v);
    adm_model_free(self.model);
}

/* From the beginning through steps whose hypotheses branch, leave and are chosen among. */
static void decode(adm_decoder *decoder)
{
    static const int64_t parents[] = {0, 0, 1, 1, 2, 3, 4, 4, 5, 5, 6, 7};
    static double scores[TEXTS * 4];
    static int32_t ids[TEXTS * 4];
    const adm_run run = {.threads = THREADS, .scale = 1.0};
    const adm_top top = {.k = 4, .scores = scores, .ids = ids};
    adm_error error;
    assert(adm_decoder_begin(decoder, &small.batch, true, &run, &error) == ADM_OK);
    for (int64_t count = 12; count > 6; count--) {
        assert(adm_decoder_top(decoder, &top, &run, &error) == ADM_OK);
        assert(adm_decoder_reorder(decoder, parents, count, &error) == ADM_OK);
        assert(adm_decoder_step(decoder, ids, &run, &error) == ADM_OK);
    }
}

static void test_decoding_once_warm(void)
{
    adm_model *model = small_model_make(&model_sizes, 1);
    adm_decoder *decoder = NULL;
    adm_error error;
    assert(adm_decoder_create(model, &decoder, &error) == ADM_OK);
    decode(decoder);
    const int64_t before = memory_calls;
    const size_t held = adm_decoder_memory(decoder);
    for (int i = 0; i < 3; i++)
        decode(decoder);
    assert(memory_calls == before && adm_decoder_memory(decoder) == held);
    adm_decoder_free(decoder);
    adm_model_free(model);
}

static void test_a_plan_is_what_a_pass_takes(int64_t segment_layers)
{
    adm_model *model = small_model_make(&model_sizes, 1), *outline = NULL;
    const adm_run run = make_run(segment_layers);
    adm_memory_plan plan;
    adm_loss loss;
    adm_error error;
    assert(adm_model_outline(adm_model_config(model), adm_kernels_select(), &outline, &error) == ADM_OK);
    assert(adm_model_memory(outline).activations == 0 && adm_model_weights(outline) == NULL);
    assert(adm_model_plan_memory(outline, &large.batch, &run, &plan, &error) == ADM_OK);
    assert(adm_model_backward(model, &large.batch, &run, &loss, &error) == ADM_OK);
    const adm_memory held = adm_model_memory(model);
    assert(plan.activations == held.activations);
    assert(plan.weights == held.weights && plan.gradients == held.gradients);
    assert(plan.kept[0] + plan.kept[1] + plan.recomputed + plan.backward + plan.logits + plan.packed +
               plan.other ==
           plan.activations);
    assert(plan.rows[0] == TEXTS * LENGTH && plan.rows[1] == TEXTS * (LENGTH - 1));
    /* (8 D + F) numbers of a token in an encoder layer */
    const double kept = (double)plan.kept[0] / (double)(plan.rows[0] * LAYERS * (int64_t)sizeof(adm_real));
    assert(kept <= 8 * D + 4 * D);
    if (segment_layers == 1)
        assert(kept < D + 1); /* the output of the layer; the scalars' rounding to a line */
    adm_model_free(outline);
    adm_model_free(model);
}

static void test_gradients_exist_from_the_first_backward_pass_on(void)
{
    adm_model *model = small_model_make(&model_sizes, 1);
    const adm_run run = make_run(0);
    adm_loss loss;
    adm_error error;
    double omega[3 * LAYERS], var_input[3 * LAYERS], var_branch[3 * LAYERS];
    adm_profile profiles[2] = {{omega, var_input, var_branch}, {omega, var_input, var_branch}};
    assert(adm_model_loss(model, &small.batch, &run, &loss, &error) == ADM_OK);
    assert(adm_model_profile(model, &small.batch, &run, ADM_PROFILE_CLINIC, true, profiles, &error) ==
           ADM_OK);
    assert(adm_model_gradients(model) == NULL && adm_model_memory(model).gradients == 0);
    assert(adm_model_backward(model, &small.batch, &run, &loss, &error) == ADM_OK);
    assert(adm_model_memory(model).gradients > 0);
    adm_model_free(model);
}

int main(void)
{
    small_batch_make(&large, TEXTS, LENGTH);
    small_batch_make(&small, 9, LENGTH);
    test_alignment();
    for (int64_t segment_layers = 0; segment_layers < 3; segment_layers++) {
        test_steps_once_warm(segment_layers);
        test_a_plan_is_what_a_pass_takes(segment_layers);
    }
    test_decoding_once_warm();
    test_gradients_exist_from_the_first_backward_pass_on();
    return 0;
}
