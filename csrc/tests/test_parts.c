/* Batches of few long sequences, which are cut into parts: how they are shared out, and that a stop amid any of their
   tasks ends the call (the Makefile wraps what begins regions). */
#undef NDEBUG
#include "admin/admin.h"
#include "base/base.h"
#include "model/model.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    D = 8,
    HEADS = 2,
    V = 30,
    TOKENS = 601,
    PARTS = 10,
    STRIDE = 7
}; /* every region of parts is stopped */

typedef struct stopped_task {
    adm_stop *stop;
    adm_task_fn fn;
    void *context;
} stopped_task;

static int64_t regions_of_parts, tasks_begun, stop_at = -1;

void __real_adm_parallel_for_until(adm_stop *stop, int threads, int64_t count, adm_task_fn fn, void *context);
void __wrap_adm_parallel_for_until(adm_stop *stop, int threads, int64_t count, adm_task_fn fn, void *context);

static void count_task(void *context, int64_t task, int thread)
{
    const stopped_task *of = context;
    if (__atomic_add_fetch(&tasks_begun, 1, __ATOMIC_RELAXED) == stop_at)
        __atomic_store_n(&of->stop->stopped, 1, __ATOMIC_RELAXED);
    of->fn(of->context, task, thread);
}

void __wrap_adm_parallel_for_until(adm_stop *stop, int threads, int64_t count, adm_task_fn fn, void *context)
{
    stopped_task counted = {stop, fn, context};
    regions_of_parts += count == PARTS || count == PARTS * HEADS;
    __real_adm_parallel_for_until(stop, threads, count, count_task, &counted);
}

static adm_model *make_model(void)
{
    adm_sublayer_config sublayers[2];
    for (int i = 0; i < 2; i++)
        sublayers[i] =
            (adm_sublayer_config){.norm_post = ADM_NORM_LAYER, .input_scale = 1, .gains = {1, 1, 1, 1, 1, 1}};
    const adm_config config = {
        .vocab_size = V,
        .d_model = D,
        .heads = HEADS,
        .d_ff = D,
        .max_length = TOKENS,
        .norm_eps = 1e-5,
        .share_embeddings = ADM_SHARE_ALL,
        .decoder = {.layers = 1, .causal = true, .embedding_gain = 1, .sublayers = sublayers},
    };
    adm_model *model = NULL;
    assert(adm_model_create(&config, adm_kernels_select(), &model, NULL) == ADM_OK);
    assert(adm_model_init_weights(model, 1, 1, NULL, NULL) == ADM_OK);
    return model;
}

static bool never(void *ignored)
{
    (void)ignored;
    return false;
}

static void test_stop_amid_parts(adm_model *model, const adm_batch *batch, int threads)
{
    const int64_t length = adm_model_params(model)->length;
    const size_t bytes = (size_t)length * sizeof(adm_real);
    adm_run run = {.threads = threads, .scale = 1};
    adm_loss loss;
    adm_real *expected = malloc(bytes);
    assert(expected != NULL);
    tasks_begun = regions_of_parts = 0;
    assert(adm_model_backward(model, batch, &run, &loss, NULL) == ADM_OK);
    /* embedding, three for attention, one for feed-forward, and the same without the embedding */
    assert(regions_of_parts >= 9);
    memcpy(expected, adm_model_gradients(model), bytes);
    const int64_t tasks = tasks_begun;
    for (stop_at = 1; stop_at <= tasks; stop_at += STRIDE) {
        adm_stop stop = {.asked = never};
        run.stop = &stop;
        tasks_begun = 0;
        assert(adm_model_backward(model, batch, &run, &loss, NULL) == ADM_STOPPED);
        for (int64_t i = 0; i < length; i++)
            assert(adm_model_gradients(model)[i] == 0);
    }
    stop_at = -1;
    run.stop = NULL;
    assert(adm_model_backward(model, batch, &run, &loss, NULL) == ADM_OK);
    assert(memcmp(expected, adm_model_gradients(model), bytes) == 0);
    free(expected);
}

/* A batch that is only thought of is cut as one that is there. */
static void test_lengths(const adm_model *model)
{
    enum { MOST = 70 };
    const int64_t cases[][3] = {{1, 512, 0}, {1, 513, 0}, {3, 600, 70}, {1, 16384, 0}, {MOST, 600, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const adm_lengths lengths = {cases[i][0], cases[i][1], cases[i][2]};
        const int64_t count = lengths.count + (lengths.rest > 0);
        const adm_run run = {.threads = 1, .scale = 1};
        int64_t offsets[MOST + 1] = {0};
        for (int64_t b = 0; b < count; b++)
            offsets[b + 1] = offsets[b] + (b < lengths.count ? lengths.length : lengths.rest) + 1;
        const adm_batch batch = {.source = {NULL, offsets, count}};
        const adm_shape shape = adm_shape_of_batch(&model->params, &batch, &run, ADM_KEEP_BACKWARD, true);
        const adm_shape thought = adm_shape_of_lengths(&model->params, &lengths, &run);
        assert(shape.chunks == thought.chunks && shape.cut == thought.cut);
        assert(shape.cut == (lengths.length > 512 && count < MOST));
    }
}

int main(void)
{
    int32_t tokens[TOKENS];
    const int64_t offsets[] = {0, TOKENS};
    adm_model *model = make_model();
    for (int64_t i = 0; i < TOKENS; i++)
        tokens[i] = (int32_t)(i * 7 % V);
    const adm_batch batch = {.source = {tokens, offsets, 1}};
    test_lengths(model);
    for (int threads = 1; threads <= 4; threads += 3)
        test_stop_amid_parts(model, &batch, threads);
    adm_model_free(model);
    return 0;
}
