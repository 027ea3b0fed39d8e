/* The core alone: a small encoder-decoder with every field of the residual formula in use, and one whose sub-layers
   share alpha. Their gradients agree with finite differences (float64), and 1, 2, 3 and 7 threads give the same bits. */
#include "admin/admin.h"
#include "base/base.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define V 11
#define D 6
#define LAYERS 2

static adm_sublayer_config make_sublayer(int64_t i, bool shared_alpha)
{
    const adm_norm_kind kinds[] = {ADM_NORM_LAYER, ADM_NORM_RMS, ADM_NORM_DYT, ADM_NORM_NONE};
    const adm_scale_kind scales[] = {ADM_SCALE_VECTOR, ADM_SCALE_SCALAR, ADM_SCALE_NONE};
    return (adm_sublayer_config){
        .norm_pre = kinds[i % 4],
        .norm_branch = kinds[(i / 2 + 1) % 4],
        .norm_post = kinds[(i + 2) % 4],
        .norm_inner = kinds[(i / 3 + 3) % 4],
        .residual_normed = i % 3 == 1,
        .input_scale = i % 2 == 0 ? 1.0 : 0.7,
        .kappa = i % 3 == 2 ? 0.5 : 0.0,
        .omega = {scales[i % 3], true, false, 1.2},
        .alpha = {shared_alpha ? ADM_SCALE_VECTOR : scales[(i + 1) % 3], true, shared_alpha, 0.8},
        .qkv_fused_init = true,
        .gains = {1, 1, 1, 1, 1, 1},
    };
}

static adm_model *make_model(bool shared_alpha)
{
    adm_sublayer_config encoder[2 * LAYERS], decoder[3 * LAYERS];
    for (int64_t i = 0; i < 2 * LAYERS; i++)
        encoder[i] = make_sublayer(i, shared_alpha);
    for (int64_t i = 0; i < 3 * LAYERS; i++)
        decoder[i] = make_sublayer(i + 1, shared_alpha);
    const adm_config config = {
        .vocab_size = V,
        .d_model = D,
        .heads = 2,
        .d_ff = 10,
        .max_length = 200,
        .activation = ADM_ACTIVATION_GELU,
        .positions = ADM_POSITIONS_LEARNED,
        .share_embeddings = ADM_SHARE_ALL,
        .dropout = 0.2,
        .attention_dropout = 0.1,
        .activation_dropout = 0.1,
        .norm_eps = 1e-5,
        .encoder = {LAYERS, false, false, ADM_NORM_NONE, ADM_NORM_LAYER, ADM_SCALE_VECTOR, 1.0, encoder},
        .decoder = {LAYERS, true, true, ADM_NORM_NONE, ADM_NORM_RMS, ADM_SCALE_SCALAR, 1.0, decoder},
    };
    adm_model *model = NULL;
    adm_error error = {0};
    const adm_status status = adm_model_create(&config, adm_kernels_select(), &model, &error);
    if (status != ADM_OK)
        fprintf(stderr, "%s\n", error.message);
    assert(status == ADM_OK);
    assert(adm_model_init_weights(model, 1, 1, NULL, NULL) == ADM_OK);
    return model;
}

#define B 5
#define MOST_TOKENS 190
static const int64_t source_offsets[B + 1] = {0, 1, 71, 80, 180, 183}; /* beyond the tiles of attention */
static const int64_t target_offsets[B + 1] = {0, 2, 5, 75, 180, 190};
static const int64_t short_source_offsets[B + 1] = {0, 1, 8, 10, 16, 19};
static const int64_t short_target_offsets[B + 1] = {0, 2, 5, 14, 16, 22};

static adm_batch batch_of(const int64_t source_ends[], const int64_t target_ends[], int32_t source[],
                          int32_t target[])
{
    const uint64_t key = adm_random_key(5, 0, 0);
    for (int64_t i = 0; i < source_ends[B]; i++)
        source[i] = (int32_t)(adm_random_uniform(key, (uint64_t)i) * V);
    for (int64_t i = 0; i < target_ends[B]; i++)
        target[i] = (int32_t)(adm_random_uniform(key, (uint64_t)(i + 1000)) * V);
    return (adm_batch){{source, source_ends, B}, {target, target_ends, B}};
}

static adm_batch make_batch(int32_t source[], int32_t target[])
{
    return batch_of(source_offsets, target_offsets, source, target);
}

static double loss_of(adm_model *model, const adm_batch *batch, const adm_run *run)
{
    adm_loss loss;
    adm_error error;
    assert(adm_model_loss(model, batch, run, &loss, &error) == ADM_OK);
    return loss.loss;
}

#ifdef ADM_DOUBLE
/* How far the gradients are from differences of the loss along a direction, against the slope's size. */
static double difference_along(adm_model *model, const adm_batch *batch, const adm_run *run,
                               const adm_real *direction)
{
    const int64_t length = adm_model_params(model)->length;
    const double step = 1e-5, places[] = {-2, -1, 1, 2};
    adm_real *weights = adm_model_weights(model), *was = malloc(sizeof *was * (size_t)length);
    assert(was != NULL);
    memcpy(was, weights, sizeof *was * (size_t)length);
    double analytic = 0, sides[4];
    for (int64_t i = 0; i < length; i++)
        analytic += adm_model_gradients(model)[i] * direction[i];
    for (int k = 0; k < 4; k++) {
        for (int64_t i = 0; i < length; i++)
            weights[i] = was[i] + places[k] * step * direction[i];
        sides[k] = loss_of(model, batch, run);
    }
    memcpy(weights, was, sizeof *was * (size_t)length);
    free(was);
    const double numeric = (sides[0] - 8 * sides[1] + 8 * sides[2] - sides[3]) / (12 * step);
    const double difference = fabs(analytic - numeric) / fmax(1e-3, fabs(analytic) + fabs(numeric));
    if (!(difference < 1e-6))
        fprintf(stderr, "analytic %.12g numeric %.12g\n", analytic, numeric);
    return difference;
}
#endif

#ifdef ADM_DOUBLE
/* A direction along which every parameter changes the loss about as much as any other, but for those that do not. */
static void even_direction(adm_model *model, adm_real *direction)
{
    const adm_param_table *params = adm_model_params(model);
    const uint64_t key = adm_random_key(9, 0, 0);
    const double least = 1e-3; /* below it a parameter takes part as if its gradient were so large */
    for (int64_t p = 0; p < params->count; p++) {
        const adm_param *item = &params->items[p];
        double squares = 0;
        for (int64_t i = item->offset; i < item->offset + item->size; i++)
            squares += adm_model_gradients(model)[i] * adm_model_gradients(model)[i];
        for (int64_t i = item->offset; i < item->offset + item->size; i++)
            direction[i] =
                (2 * adm_random_uniform(key, (uint64_t)i) - 1) * least / fmax(sqrt(squares), least);
    }
}
#endif

/* Of long sequences along a direction in which all parameters take part, or of short ones for one element of each. */
static void test_gradients(bool shared_alpha, bool is_long)
{
    int32_t source[MOST_TOKENS], target[MOST_TOKENS];
    adm_model *model = make_model(shared_alpha);
    const adm_batch batch = is_long ? make_batch(source, target)
                                    : batch_of(short_source_offsets, short_target_offsets, source, target);
    const adm_run run = {
        .training = true, .seed = 3, .step = 7, .threads = 2, .label_smoothing = 0.1, .scale = 1.0};
    adm_loss loss;
    adm_error error;
    assert(adm_model_backward(model, &batch, &run, &loss, &error) == ADM_OK);
    assert(fabs(loss.loss - loss_of(model, &batch, &run)) < 1e-5);
#ifdef ADM_DOUBLE /* rounding 1e-16 / step 1e-5 on slopes of about 1e-3 */
    const adm_param_table *params = adm_model_params(model);
    adm_real *direction = calloc((size_t)params->length, sizeof *direction);
    assert(direction != NULL);
    if (is_long)
        even_direction(model, direction);
    assert(!is_long || difference_along(model, &batch, &run, direction) < 1e-6);
    for (int64_t p = 0; !is_long && p < params->count; p++) {
        const int64_t i = params->items[p].offset + (p * 7) % params->items[p].size;
        direction[i] = 1;
        if (!(difference_along(model, &batch, &run, direction) < 1e-6)) {
            fprintf(stderr, "of %s\n", params->items[p].name);
            abort();
        }
        direction[i] = 0;
    }
    free(direction);
#endif
    adm_model_free(model);
}

/* A pass that keeps everything, and one that keeps the ends of segments and adds to its gradients. */
static void test_threads(bool shared_alpha)
{
    int32_t source[MOST_TOKENS], target[MOST_TOKENS];
    const int threads[] = {1, 2, 3, 7};
    adm_model *models[4];
    const adm_batch batch = make_batch(source, target);
    for (int t = 0; t < 4; t++) {
        models[t] = make_model(shared_alpha);
        const size_t bytes = (size_t)adm_model_params(models[t])->length * sizeof(adm_real);
        for (int segments = 0; segments < 2; segments++) {
            const adm_run run = {.training = true,
                                 .seed = 3,
                                 .threads = threads[t],
                                 .label_smoothing = 0.1,
                                 .accumulate = segments == 1,
                                 .scale = 1.0,
                                 .observe = true,
                                 .keep_gradients = segments == 0,
                                 .segment_layers = segments};
            adm_loss loss;
            adm_error error;
            assert(adm_model_backward(models[t], &batch, &run, &loss, &error) == ADM_OK);
        }
        assert(memcmp(adm_model_gradients(models[0]), adm_model_gradients(models[t]), bytes) == 0);
    }
    for (int t = 0; t < 4; t++)
        adm_model_free(models[t]);
}

typedef struct snapshot {
    const adm_model *model;
    adm_real *gradients;
    int calls;
} snapshot;

static void take(void *context)
{
    snapshot *s = context;
    const int64_t length = adm_model_params(s->model)->length;
    memcpy(s->gradients, adm_model_gradients((adm_model *)s->model), (size_t)length * sizeof *s->gradients);
    s->calls++;
}

/* What the decoder's layers have amid the pass is what they have at its end; the encoder's are not there yet. */
static void test_decoder_done(bool shared_alpha)
{
    int32_t source[MOST_TOKENS], target[MOST_TOKENS];
    adm_model *model = make_model(shared_alpha);
    const adm_batch batch = make_batch(source, target);
    const adm_param_table *params = adm_model_params(model);
    snapshot s = {model, calloc((size_t)params->length, sizeof *s.gradients), 0};
    assert(s.gradients != NULL);
    for (int64_t segment = 0; segment < 2; segment++) {
        const adm_run run = {.training = true,
                             .step = 7,
                             .threads = 2,
                             .scale = 1.0,
                             .segment_layers = segment,
                             .decoder_done = take,
                             .context = &s};
        adm_loss loss;
        assert(adm_model_backward(model, &batch, &run, &loss, NULL) == ADM_OK);
        const adm_real *whole = adm_model_gradients(model);
        bool encoder_too = true;
        for (int64_t p = 0; p < params->count; p++) {
            const adm_param *param = &params->items[p];
            const bool same = memcmp(whole + param->offset, s.gradients + param->offset,
                                     (size_t)param->size * sizeof *whole) == 0;
            assert(same || strncmp(param->name, "decoder.", 8) != 0);
            encoder_too &= same || strncmp(param->name, "encoder.", 8) != 0;
        }
        assert(s.calls == segment + 1 && !encoder_too);
    }
    free(s.gradients);
    adm_model_free(model);
}

static void test_refusals(void)
{
    int32_t source[MOST_TOKENS], target[MOST_TOKENS];
    adm_model *model = make_model(false);
    adm_batch batch = make_batch(source, target);
    const adm_run run = {.threads = 1, .scale = 1.0};
    adm_loss loss;
    adm_error error = {0};
    source[5] = V;
    assert(adm_model_loss(model, &batch, &run, &loss, &error) == ADM_ERROR_INDEX);
    assert(strstr(error.message, "vocabulary") != NULL);
    source[5] = 0;
    batch.target.count = 4;
    assert(adm_model_loss(model, &batch, &run, &loss, &error) == ADM_ERROR_VALUE);
    batch.source.count = 0;
    assert(adm_model_loss(model, &batch, &run, &loss, &error) == ADM_ERROR_VALUE);
    adm_model_free(model);
}

static adm_sublayer_config layer[2];
static adm_config config;

static void refuse(const char *words)
{
    adm_model *model = NULL;
    adm_error error = {0};
    assert(adm_model_create(&config, adm_kernels_select(), &model, &error) == ADM_ERROR_VALUE);
    assert(model == NULL && strstr(error.message, words) != NULL);
}

/* What no dict of Python's can say, but a C program can. */
static void test_configurations_that_cannot_be(void)
{
    const adm_sublayer_config plain = {.input_scale = 1.0, .gains = {1, 1, 1, 1, 1, 1}};
    const adm_config good = {
        .vocab_size = V,
        .d_model = D,
        .heads = 2,
        .d_ff = 10,
        .max_length = 20,
        .norm_eps = 1e-5,
        .decoder = {1, true, false, ADM_NORM_NONE, ADM_NORM_NONE, ADM_SCALE_NONE, 1.0, layer},
    };
    adm_model *model = NULL;
    adm_error error;
    layer[0] = layer[1] = plain;
    config = good;
    assert(adm_model_create(&config, adm_kernels_select(), &model, &error) == ADM_OK);
    adm_model_free(model);
    unsigned int *const of_model[] = {&config.activation,          &config.positions,
                                      &config.share_embeddings,    &config.decoder.norm_final,
                                      &config.decoder.input_scale, &config.decoder.norm_embedding};
    const char *const model_names[] = {"activation", "positions",   "share_embeddings",
                                       "norm_final", "input_scale", "norm_embedding"};
    for (int i = 0; i < 6; i++) {
        *of_model[i] = 99;
        refuse(model_names[i]);
        config = good;
    }
    unsigned int *const of_sublayer[] = {&layer[1].norm_pre,   &layer[1].norm_branch, &layer[1].norm_post,
                                         &layer[1].norm_inner, &layer[1].omega.kind,  &layer[1].alpha.kind,
                                         &layer[1].init};
    const char *const sublayer_names[] = {"norm_pre",   "norm_branch", "norm_post", "norm_inner",
                                          "omega.kind", "alpha.kind",  "init"};
    for (int i = 0; i < 7; i++) {
        *of_sublayer[i] = 1000;
        refuse("decoder.sublayers[1].");
        refuse(sublayer_names[i]);
        layer[1] = plain;
    }
    config.vocab_size = 0;
    config.decoder.norm_embedding = ADM_NORM_LAYER;
    refuse("norm_embedding of a stack must be none without a vocabulary");
    config = good;
    config.decoder.sublayers = NULL;
    refuse("decoder must have sub-layers");
    config = good;
    layer[1].kappa = sizeof(adm_real) == 4 ? 1e60 : INFINITY;
    refuse("decoder.sublayers[1].kappa must be finite");
    layer[1] = plain;
    config.norm_eps = sizeof(adm_real) == 4 ? 1e-50 : 1e-310;
    refuse("norm_eps must be positive");
}

static void test_no_kernels(void)
{
    adm_model *model = NULL;
    adm_error error;
    assert(adm_model_create(&config, NULL, &model, &error) == ADM_ERROR_VALUE && model == NULL);
    assert(strstr(error.message, "kernels must be given") != NULL);
}

static void test_runs_that_cannot_be(void)
{
    const adm_run good = {.threads = 1, .scale = 1.0};
    adm_run runs[] = {good, good, good, good, good, good, good, good};
    const char *const names[] = {"threads", "threads", "label_smoothing", "label_smoothing",
                                 "scale",   "segment", "z_loss",          "z_loss"};
    const int count = sizeof runs / sizeof *runs;
    runs[0].threads = 0;
    runs[1].threads = -2;
    runs[2].label_smoothing = 1.5;
    runs[3].label_smoothing = NAN;
    runs[4].scale = INFINITY;
    runs[5].segment_layers = -2;
    runs[6].z_loss = -1;
    runs[7].z_loss = INFINITY;
    int32_t source[MOST_TOKENS], target[MOST_TOKENS];
    adm_model *model = make_model(false);
    const adm_batch batch = make_batch(source, target);
    static adm_real out[200 * V];
    adm_loss loss;
    adm_memory_plan plan;
    for (int i = 0; i < count; i++) {
        adm_error errors[4];
        assert(adm_model_forward(model, &batch, &runs[i], out, &errors[0]) == ADM_ERROR_VALUE);
        assert(adm_model_loss(model, &batch, &runs[i], &loss, &errors[1]) == ADM_ERROR_VALUE);
        assert(adm_model_backward(model, &batch, &runs[i], &loss, &errors[2]) == ADM_ERROR_VALUE);
        assert(adm_model_plan_memory(model, &batch, &runs[i], &plan, &errors[3]) == ADM_ERROR_VALUE);
        for (int e = 0; e < 4; e++)
            assert(strstr(errors[e].message, names[i]) != NULL);
    }
    assert(loss_of(model, &batch, &good) > 0);
    adm_model_free(model);
}

int main(void)
{
    for (int shared_alpha = 0; shared_alpha < 2; shared_alpha++) {
        test_gradients(shared_alpha, false);
        test_gradients(shared_alpha, true);
        test_threads(shared_alpha);
        test_decoder_done(shared_alpha);
    }
    test_refusals();
    test_configurations_that_cannot_be();
    test_no_kernels();
    test_runs_that_cannot_be();
    return 0;
}
