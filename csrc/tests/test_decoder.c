/* Decoding beside whole passes: the same logits whatever order hypotheses take, and what is refused. */
#undef NDEBUG
#include "base/base.h"
#include "tests/small_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef ADM_DOUBLE
#define NEAR 1e-12
#else
#define NEAR 2e-5f /* sums of some dozens of terms of size 1, in another order */
#endif

enum { TEXTS = 3, LENGTH = 9, THREADS = 2 };

static const adm_run RUN = {.threads = THREADS, .scale = 1};

/* What every hypothesis has read: a list of ids beside it. */
typedef struct hypotheses {
    int64_t count, length;
    int64_t texts[SMALL_MAX_TEXTS];
    int32_t ids[SMALL_MAX_TEXTS][SMALL_MAX_LENGTH];
} hypotheses;

static void ok(adm_status status, const adm_error *error)
{
    if (status != ADM_OK) {
        fprintf(stderr, "%s\n", error->message);
        abort();
    }
}

/* Logits of the last row of each, by a pass over all of them. */
static void whole_pass(adm_model *model, const adm_sequences *sources, const hypotheses *all,
                       adm_real *logits)
{
    static int32_t tokens[SMALL_MAX_TEXTS * (SMALL_MAX_LENGTH + 1)], read[SMALL_MAX_TEXTS * SMALL_MAX_LENGTH];
    int64_t offsets[SMALL_MAX_TEXTS + 1] = {0}, read_offsets[SMALL_MAX_TEXTS + 1] = {0};
    adm_error error;
    for (int64_t i = 0; i < all->count; i++) {
        memcpy(tokens + offsets[i], all->ids[i], (size_t)all->length * sizeof *tokens);
        tokens[offsets[i] + all->length] = 0; /* only predicted */
        offsets[i + 1] = offsets[i] + all->length + 1;
        const int64_t first = sources->offsets[all->texts[i]],
                      count = sources->offsets[all->texts[i] + 1] - first;
        memcpy(read + read_offsets[i], sources->tokens + first, (size_t)count * sizeof *read);
        read_offsets[i + 1] = read_offsets[i] + count;
    }
    const adm_sequences targets = {tokens, offsets, all->count}, given = {read, read_offsets, all->count};
    const bool both = adm_model_num_sublayers(model, 0) > 0;
    const adm_batch batch = {both ? given : targets, both ? targets : (adm_sequences){0}};
    adm_real *every = malloc((size_t)(all->count * all->length * SMALL_V) * sizeof *every);
    assert(every != NULL);
    ok(adm_model_forward(model, &batch, &RUN, every, &error), &error);
    for (int64_t i = 0; i < all->count; i++)
        memcpy(logits + i * SMALL_V, every + ((i + 1) * all->length - 1) * SMALL_V, SMALL_V * sizeof *logits);
    free(every);
}

static void compare(adm_model *model, adm_decoder *decoder, const adm_sequences *sources,
                    const hypotheses *all)
{
    static adm_real logits[SMALL_MAX_TEXTS * SMALL_V];
    whole_pass(model, sources, all, logits);
    assert(adm_decoder_predicted(decoder) == all->count);
    for (int64_t i = 0; i < all->count * SMALL_V; i++)
        assert(fabs((double)(adm_decoder_logits(decoder)[i] - logits[i])) <= (double)NEAR);
}

/* Steps with hypotheses that branch, change places and leave. */
static void test_steps(const small_sizes *sizes, int64_t prefix)
{
    adm_model *model = small_model_make(sizes, 3);
    small_batch texts, prefixes;
    const adm_batch *sources = small_batch_make(&texts, TEXTS, LENGTH);
    const adm_batch *begun = small_batch_make(&prefixes, TEXTS, prefix);
    const bool both = sizes->encoder_layers > 0;
    const adm_batch batch = {both ? sources->source : begun->source,
                             both ? begun->source : (adm_sequences){0}};
    static const int64_t MOVES[][6] = {
        {2, 0, 0, 1, 1, 1}, {5, 4, 3, 0, 0, -1}, {0, 1, -1}, {1, 0, -1}, {1, -1}};
    hypotheses all = {.count = TEXTS, .length = prefix};
    adm_decoder *decoder = NULL;
    adm_error error;
    for (int64_t i = 0; i < TEXTS; i++) {
        all.texts[i] = i;
        memcpy(all.ids[i], begun->source.tokens + i * prefix, (size_t)prefix * sizeof(int32_t));
    }
    ok(adm_decoder_create(model, &decoder, &error), &error);
    ok(adm_decoder_begin(decoder, &batch, true, &RUN, &error), &error);
    compare(model, decoder, &sources->source, &all);
    for (size_t m = 0; m < sizeof MOVES / sizeof *MOVES; m++) {
        hypotheses next = {.length = all.length + 1};
        int32_t ids[6];
        for (; next.count < 6 && MOVES[m][next.count] >= 0; next.count++) {
            const int64_t i = next.count, parent = MOVES[m][i];
            ids[i] = (int32_t)((7 * i + (int64_t)m) % SMALL_V);
            next.texts[i] = all.texts[parent];
            memcpy(next.ids[i], all.ids[parent], sizeof next.ids[i]);
            next.ids[i][all.length] = ids[i];
        }
        ok(adm_decoder_reorder(decoder, MOVES[m], next.count, &error), &error);
        ok(adm_decoder_step(decoder, ids, &RUN, &error), &error);
        all = next;
        compare(model, decoder, &sources->source, &all);
        for (int64_t i = 0; i < all.count; i++) {
            assert(adm_decoder_sequences(decoder)[i] == all.texts[i]);
            assert(adm_decoder_lengths(decoder)[i] == all.length);
        }
    }
    adm_decoder_free(decoder);
    adm_model_free(model);
}

/* Nothing that fails leaves behind what a later call would stumble over. */
static void test_refusals(void)
{
    adm_model *encoder = small_model_make(&(small_sizes){SMALL_V, 1, 0, 0}, 1);
    adm_model *model = small_model_make(&(small_sizes){SMALL_V, 0, 1, 0}, 1);
    small_batch texts;
    const adm_batch *batch = small_batch_make(&texts, 2, SMALL_MAX_LENGTH - 1);
    const int32_t ids[] = {1, 2}, wrong[] = {1, SMALL_V};
    const int64_t parents[] = {0, 2};
    adm_real scores[2 * SMALL_V];
    adm_decoder *decoder = NULL;
    adm_error error;
    assert(adm_decoder_create(encoder, &decoder, &error) == ADM_ERROR_STATE && decoder == NULL);
    ok(adm_decoder_create(model, &decoder, &error), &error);
    assert(adm_decoder_step(decoder, ids, &RUN, &error) == ADM_ERROR_STATE);
    assert(adm_decoder_scores(decoder, &RUN, scores, &error) == ADM_ERROR_STATE);
    ok(adm_decoder_begin(decoder, batch, true, &RUN, &error), &error);
    assert(adm_decoder_step(decoder, wrong, &RUN, &error) == ADM_ERROR_INDEX);
    assert(adm_decoder_reorder(decoder, parents, 2, &error) == ADM_ERROR_INDEX);
    assert(adm_decoder_rows(decoder) == 2);
    ok(adm_decoder_step(decoder, ids, &RUN, &error), &error);
    assert(adm_decoder_step(decoder, ids, &RUN, &error) == ADM_ERROR_VALUE); /* as long as the model reads */
    const adm_top none = {.k = 0};
    assert(adm_decoder_top(decoder, &none, &RUN, &error) == ADM_ERROR_VALUE);
    ok(adm_decoder_scores(decoder, &RUN, scores, &error), &error);
    double sum = 0;
    for (int64_t c = 0; c < SMALL_V; c++)
        sum += exp((double)scores[c]);
    assert(fabs(sum - 1) < (double)NEAR);
    adm_decoder_free(decoder);
    adm_model_free(encoder);
    adm_model_free(model);
}

int main(void)
{
    for (int64_t prefix = 1; prefix <= 4; prefix += 3) {
        test_steps(&(small_sizes){SMALL_V, 2, 2, 0.1}, prefix);
        test_steps(&(small_sizes){SMALL_V, 0, 3, 0.1}, prefix);
    }
    test_refusals();
    return 0;
}
