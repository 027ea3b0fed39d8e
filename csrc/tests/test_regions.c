/* How work is shared out: each region of threads is noted as it begins (the Makefile wraps the function). */
#include "admin/admin.h"
#include "base/base.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define D 16
#define TOKENS 200
#define SEQUENCES 20

static int64_t fewest_tasks, most_tasks, first_tasks; /* first: of the first region */
static int most_threads;
static const adm_real *watched; /* an element, or NULL, ... */
static bool watched_was_nan;    /* ... and what it was when the last region began */

void __real_adm_parallel_for_until(adm_stop *stop, int threads, int64_t count, adm_task_fn fn, void *context);
void __wrap_adm_parallel_for_until(adm_stop *stop, int threads, int64_t count, adm_task_fn fn, void *context);

void __wrap_adm_parallel_for_until(adm_stop *stop, int threads, int64_t count, adm_task_fn fn, void *context)
{
    fewest_tasks = adm_min(fewest_tasks, count);
    most_tasks = adm_max(most_tasks, count);
    first_tasks = first_tasks == 0 ? count : first_tasks;
    most_threads = threads > most_threads ? threads : most_threads;
    if (watched != NULL)
        watched_was_nan = isnan(*watched);
    __real_adm_parallel_for_until(stop, threads, count, fn, context);
}

static void begin_notes(void)
{
    fewest_tasks = INT64_MAX;
    most_tasks = first_tasks = 0;
    most_threads = 0;
}

/* One encoder layer without a vocabulary, or one decoder layer that predicts tokens. */
static adm_model *make_model(int64_t vocab_size)
{
    const adm_sublayer_config one = {
        .norm_post = ADM_NORM_LAYER, .input_scale = 1, .gains = {1, 1, 1, 1, 1, 1}};
    adm_sublayer_config sublayers[] = {one, one};
    const adm_stack_config absent = {0},
                           stack = {.layers = 1, .causal = true, .embedding_gain = 1, .sublayers = sublayers};
    const adm_config config = {
        .vocab_size = vocab_size,
        .d_model = D,
        .heads = 2,
        .d_ff = D,
        .max_length = TOKENS,
        .norm_eps = 1e-5,
        .share_embeddings = ADM_SHARE_ALL,
        .encoder = vocab_size == 0 ? stack : absent,
        .decoder = vocab_size == 0 ? absent : stack,
    };
    adm_model *model = NULL;
    adm_error error;
    assert(adm_model_create(&config, adm_kernels_select(), &model, &error) == ADM_OK);
    assert(adm_model_init_weights(model, 1, 1, NULL, &error) == ADM_OK);
    return model;
}

static void fill_offsets(int64_t offsets[SEQUENCES + 1])
{
    for (int64_t b = 0; b <= SEQUENCES; b++)
        offsets[b] = b * TOKENS / SEQUENCES;
}

/* Many threads have their share of a loss, however few rows of logits are held at once. */
static void test_loss(int64_t vocab_size)
{
    adm_model *model = make_model(vocab_size);
    int64_t offsets[SEQUENCES + 1];
    int32_t tokens[TOKENS];
    fill_offsets(offsets);
    for (int64_t i = 0; i < TOKENS; i++)
        tokens[i] = (int32_t)(i * 7919 % vocab_size);
    const adm_batch batch = {.source = {tokens, offsets, SEQUENCES}};
    const adm_run run = {.threads = 2, .scale = 1};
    adm_loss losses[2];
    adm_error error;
    begin_notes();
    assert(adm_model_loss(model, &batch, &run, &losses[0], &error) == ADM_OK);
    assert(fewest_tasks >= 3);              /* chunks of 180 tokens */
    assert(first_tasks > vocab_size / 100); /* each packs a few rows of a weight, for both directions */
    begin_notes();
    assert(adm_model_backward(model, &batch, &run, &losses[1], &error) == ADM_OK);
    assert(fewest_tasks >= 3);
    assert(losses[0].loss == losses[1].loss && losses[0].nll == losses[1].nll);
    adm_model_free(model);
}

enum { LENGTH = 21, ROWS = LENGTH - 1, MANY = 80, VOCABULARY = 4096 };

/* Logits of the first `count` sequences. */
static adm_real *logits_of(adm_model *model, const int32_t *tokens, int64_t count)
{
    int64_t offsets[MANY + 1];
    for (int64_t b = 0; b <= count; b++)
        offsets[b] = b * LENGTH;
    adm_real *logits = malloc((size_t)(count * ROWS * VOCABULARY) * sizeof *logits);
    assert(logits != NULL);
    const adm_batch batch = {.source = {tokens, offsets, count}};
    const adm_run run = {.threads = 2, .scale = 1};
    begin_notes();
    assert(adm_model_forward(model, &batch, &run, logits, NULL) == ADM_OK);
    return logits;
}

/* Logits of a few rows are shared out by columns, and are the same bits as where rows are shared out. */
static void test_few_rows(void)
{
    adm_model *model = make_model(VOCABULARY);
    int32_t tokens[MANY * LENGTH];
    for (int64_t i = 0; i < MANY * LENGTH; i++)
        tokens[i] = (int32_t)(i * 7919 % VOCABULARY);
    adm_real *many = logits_of(model, tokens, MANY);
    for (int64_t count = 1; count <= 4; count += 3) { /* of 20 rows, and of 80: weights are packed */
        adm_real *few = logits_of(model, tokens, count);
        assert(most_tasks >= 16);
        assert(memcmp(few, many, (size_t)(count * ROWS * VOCABULARY) * sizeof *few) == 0);
        free(few);
    }
    free(many);
    int64_t offsets[] = {0, LENGTH};
    const adm_batch batch = {.source = {tokens, offsets, 1}};
    const adm_run run = {.threads = 2, .scale = 1};
    adm_loss loss;
    begin_notes();
    assert(adm_model_backward(model, &batch, &run, &loss, NULL) == ADM_OK);
    assert(most_tasks >= 16);
    adm_model_free(model);
}

/* A layer's passes each have the threads that they are given. */
static void test_layer(void)
{
    enum { COUNT = TOKENS * D };
    adm_model *model = make_model(0);
    int64_t offsets[SEQUENCES + 1];
    adm_real *x = malloc(3 * COUNT * sizeof *x), *y = x + COUNT, *dx = y + COUNT;
    adm_error error;
    assert(x != NULL);
    fill_offsets(offsets);
    for (int64_t i = 0; i < COUNT; i++)
        x[i] = (adm_real)(i % 13) - 6;
    const adm_hidden input = {x, offsets, SEQUENCES, NULL, NULL};
    for (int forward = 1; forward <= 3; forward += 2) {
        for (int backward = 1; backward <= 4; backward++) {
            const adm_run runs[] = {{.threads = forward, .scale = 1}, {.threads = backward, .scale = 1}};
            begin_notes();
            assert(adm_model_forward_hidden(model, &input, &runs[0], y, &error) == ADM_OK);
            assert(most_threads == forward);
            begin_notes();
            assert(adm_model_backward_hidden(model, y, &runs[1], dx, NULL, &error) == ADM_OK);
            assert(most_threads == backward);
        }
    }
    free(x);
    adm_model_free(model);
}

/* Gradients of a pass, where these stood before. */
static void backward_over(adm_model *model, adm_real before, bool accumulate)
{
    int64_t offsets[SEQUENCES + 1];
    int32_t tokens[TOKENS];
    fill_offsets(offsets);
    for (int64_t i = 0; i < TOKENS; i++)
        tokens[i] = (int32_t)(i * 7919 % VOCABULARY);
    const adm_batch batch = {.source = {tokens, offsets, SEQUENCES}};
    const adm_run run = {.threads = 2, .scale = 1, .accumulate = accumulate};
    adm_loss loss;
    adm_error error;
    assert(adm_model_need_gradients(model, &error) == ADM_OK);
    for (int64_t i = 0; i < adm_model_params(model)->length; i++)
        adm_model_gradients(model)[i] = before;
    assert(adm_model_backward(model, &batch, &run, &loss, &error) == ADM_OK);
}

/* Products write their gradients, which nothing sweeps before: the bits of what is added to zeros, gaps included. */
static void test_gradients_are_written(void)
{
    enum { LARGE = 32000 }; /* so many that the logits come in two blocks */
    adm_model *written = make_model(LARGE), *added = make_model(LARGE);
    const adm_param_table *params = adm_model_params(written);
    const int64_t weight = adm_model_find_param(written, "decoder.0.feed_forward.fc1.weight");
    backward_over(added, 0, true);
    backward_over(written, 0, false);
    watched = adm_model_gradients(written) + params->items[weight].offset;
    backward_over(written, (adm_real)NAN, false);
    watched = NULL;
    assert(watched_was_nan);
    assert(memcmp(adm_model_gradients(written), adm_model_gradients(added),
                  (size_t)params->length * sizeof(adm_real)) == 0);
    adm_model_free(written);
    adm_model_free(added);
}

int main(void)
{
    test_layer();
    test_gradients_are_written();
    test_loss(10000);
    test_loss(32000);
    test_few_rows();
    return 0;
}
