/* The analyses without Python: parts add up to their sums, groups and threads make no difference, models that cannot
   be analysed are refused, and a model does not differ from its like. */
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
#define B 4
#define MAX_R (3 * LAYERS)
#define MAX_TOKENS 96

#ifdef ADM_DOUBLE
#define TOLERANCE 1e-12 /* of sums of some eight parts, over six sub-layers */
#else
#define TOLERANCE 2e-5
#endif

static const int64_t source_offsets[B + 1] = {0, 1, 71, 75, 90};
static const int64_t target_offsets[B + 1] = {0, 2, 5, 75, 90};

/* Every field that lies on the residual's way. */
static adm_sublayer_config make_sublayer(int64_t i)
{
    const adm_norm_kind kinds[] = {ADM_NORM_LAYER, ADM_NORM_RMS, ADM_NORM_NONE};
    const adm_scale_kind scales[] = {ADM_SCALE_VECTOR, ADM_SCALE_SCALAR, ADM_SCALE_NONE};
    return (adm_sublayer_config){
        .norm_pre = kinds[i % 3],
        .norm_branch = i % 4 == 0 ? ADM_NORM_DYT : ADM_NORM_NONE,
        .norm_post = kinds[(i + 2) % 3],
        .residual_normed = i % 2 == 1,
        .input_scale = 1.0,
        .kappa = i % 3 == 2 ? 0.5 : 0.0,
        .omega = {scales[i % 3], true, false, 1.2},
        .alpha = {scales[(i + 1) % 3], true, false, 0.8},
        .qkv_fused_init = true,
        .gains = {1, 1, 1, 1, 1, 1},
    };
}

static adm_model *make_model(uint64_t seed, adm_norm_kind last_norm, int64_t encoder_layers)
{
    adm_sublayer_config encoder[2 * LAYERS], decoder[3 * LAYERS];
    for (int64_t i = 0; i < 2 * LAYERS; i++)
        encoder[i] = make_sublayer(i);
    for (int64_t i = 0; i < 3 * LAYERS; i++)
        decoder[i] = make_sublayer(i + 1);
    decoder[3 * LAYERS - 1].norm_post = last_norm;
    const adm_config config = {
        .vocab_size = V,
        .d_model = D,
        .heads = 2,
        .d_ff = 10,
        .max_length = 100,
        .dropout = 0.2, /* the analyses are without */
        .norm_eps = 1e-5,
        .encoder = {encoder_layers, false, false, ADM_NORM_NONE, ADM_NORM_LAYER, ADM_SCALE_VECTOR, 1.0,
                    encoder},
        .decoder = {LAYERS, true, true, ADM_NORM_NONE, ADM_NORM_NONE, ADM_SCALE_NONE, 1.0, decoder},
    };
    adm_model *model = NULL;
    adm_error error = {0};
    assert(adm_model_create(&config, adm_kernels_select(), &model, &error) == ADM_OK);
    assert(adm_model_init_weights(model, seed, 1, NULL, NULL) == ADM_OK);
    /* no gain is 1 and no bias 0 */
    const uint64_t key = adm_random_key(seed, 1, 1);
    for (int64_t i = 0; i < adm_model_params(model)->length; i++)
        adm_model_weights(model)[i] += (adm_real)(0.1 * adm_random_normal(key, (uint64_t)i));
    return model;
}

static adm_batch make_batch(int32_t source[], int32_t target[])
{
    const uint64_t key = adm_random_key(5, 0, 0);
    for (int64_t i = 0; i < source_offsets[B]; i++)
        source[i] = (int32_t)(adm_random_uniform(key, (uint64_t)i) * V);
    for (int64_t i = 0; i < target_offsets[B]; i++)
        target[i] = (int32_t)(adm_random_uniform(key, (uint64_t)(i + 1000)) * V);
    return (adm_batch){{source, source_offsets, B}, {target, target_offsets, B}};
}

/* ---- dependency ---- */

typedef struct result {
    double variances[2][MAX_R * (MAX_R + 2)], sums[2][MAX_R], predicted[2][MAX_R];
    adm_real last[2][MAX_TOKENS * (MAX_R + 2) * D];
    adm_dependency tables[2];
} result;

static adm_status depend(adm_model *model, const adm_batch *batch, int threads, int64_t max_bytes,
                         result *out, adm_error *error)
{
    const adm_run run = {.training = true, .threads = threads, .scale = 1.0};
    memset(out, 0, sizeof *out);
    for (int s = 0; s < 2; s++)
        out->tables[s] =
            (adm_dependency){out->variances[s], out->sums[s], out->predicted[s], out->last[s], 0};
    return adm_model_dependency(model, batch, &run, max_bytes, &out->tables[0], &out->tables[1], error);
}

/* Variance over features of the sum of all components of y_R, mean over tokens. */
static double variance_of_sum(const adm_real *last, int64_t rows, int64_t parts)
{
    double total = 0;
    for (int64_t t = 0; t < rows; t++) {
        double y[D] = {0}, mean = 0;
        for (int64_t j = 0; j < parts; j++)
            for (int64_t c = 0; c < D; c++)
                y[c] += (double)last[(t * parts + j) * D + c];
        for (int64_t c = 0; c < D; c++)
            mean += y[c] / D;
        for (int64_t c = 0; c < D; c++)
            total += (y[c] - mean) * (y[c] - mean) / D;
    }
    return total / (double)rows;
}

static void test_parts_add_up(void)
{
    static result got;
    static const int64_t r[2] = {2 * LAYERS, 3 * LAYERS}, rows[2] = {90, 86};
    int32_t source[MAX_TOKENS], target[MAX_TOKENS];
    adm_error error;
    adm_model *model = make_model(1, ADM_NORM_LAYER, LAYERS);
    const adm_batch batch = make_batch(source, target);
    assert(depend(model, &batch, 1, (int64_t)1 << 30, &got, &error) == ADM_OK);
    for (int s = 0; s < 2; s++) {
        const double sum = variance_of_sum(got.last[s], rows[s], r[s] + 2);
        assert(got.tables[s].rows == rows[s]);
        assert(fabs(sum - got.sums[s][r[s] - 1]) <= TOLERANCE * sum);
        for (int64_t i = 0; i < r[s]; i++) {
            const double *row = got.variances[s] + i * (r[s] + 2);
            assert(got.predicted[s][i] > 0 && got.predicted[s][i] < 1);
            for (int64_t j = 0; j <= r[s]; j++)
                assert(j <= i + 1 ? row[j] > 0 : row[j] == 0);
        }
    }
    adm_model_free(model);
}

static void test_groups_and_threads(void)
{
    static result whole, other;
    int32_t source[MAX_TOKENS], target[MAX_TOKENS];
    adm_error error;
    adm_model *model = make_model(2, ADM_NORM_RMS, LAYERS);
    const adm_batch batch = make_batch(source, target);
    for (int64_t max_bytes = 1; max_bytes <= (int64_t)1 << 30; max_bytes <<= 30) {
        assert(depend(model, &batch, 1, max_bytes, &whole, &error) == ADM_OK);
        for (int threads = 2; threads <= 3; threads++) {
            assert(depend(model, &batch, threads, max_bytes, &other, &error) == ADM_OK);
            assert(memcmp(&whole, &other, offsetof(result, tables)) == 0);
        }
    }
    assert(depend(model, &batch, 1, 1, &other, &error) == ADM_OK); /* a sequence a group */
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < MAX_R * (MAX_R + 2); i++)
            assert(fabs(whole.variances[s][i] - other.variances[s][i]) <=
                   TOLERANCE * (1 + whole.variances[s][i]));
    adm_model_free(model);
}

static void test_what_is_not_linear_is_refused(void)
{
    static result got;
    int32_t source[MAX_TOKENS], target[MAX_TOKENS];
    adm_error error;
    adm_model *model = make_model(3, ADM_NORM_DYT, LAYERS);
    const adm_batch batch = make_batch(source, target);
    assert(depend(model, &batch, 1, 1, &got, &error) == ADM_ERROR_VALUE);
    assert(strstr(error.message, "sub-layer 6 of the decoder") != NULL);
    adm_model_free(model);
    model = make_model(3, ADM_NORM_LAYER, LAYERS);
    target[7] = V;
    assert(depend(model, &batch, 1, 1, &got, &error) == ADM_ERROR_INDEX);
    adm_model_free(model);
}

/* ---- output change ---- */

typedef struct change {
    double change[2][MAX_R], var_branch[2][MAX_R], var_sum[2][MAX_R];
    double input[2];
} change;

static adm_status compare(adm_model *model, adm_model *other, const adm_batch *batch, int threads,
                          change *out, adm_error *error)
{
    const adm_run run = {.training = true, .threads = threads, .scale = 1.0};
    adm_output_change tables[2];
    memset(out, 0, sizeof *out);
    for (int s = 0; s < 2; s++)
        tables[s] = (adm_output_change){out->change[s], out->var_branch[s], out->var_sum[s], 0};
    const adm_status status =
        adm_models_output_change(model, other, batch, &run, &tables[0], &tables[1], error);
    for (int s = 0; s < 2; s++)
        out->input[s] = tables[s].input_change;
    return status;
}

static void test_output_change(void)
{
    int32_t source[MAX_TOKENS], target[MAX_TOKENS];
    change same, moved, threads;
    adm_error error;
    adm_model *model = make_model(4, ADM_NORM_DYT, LAYERS), *like = make_model(4, ADM_NORM_DYT, LAYERS);
    adm_model *other = make_model(5, ADM_NORM_DYT, LAYERS);
    const adm_batch batch = make_batch(source, target);
    assert(compare(model, like, &batch, 1, &same, &error) == ADM_OK);
    assert(compare(model, other, &batch, 1, &moved, &error) == ADM_OK);
    assert(compare(model, other, &batch, 3, &threads, &error) == ADM_OK);
    assert(memcmp(&moved, &threads, sizeof moved) == 0);
    for (int s = 0; s < 2; s++) {
        assert(same.input[s] == 0 && moved.input[s] > 0);
        for (int64_t i = 0; i < (2 + s) * LAYERS; i++) {
            assert(same.change[s][i] == 0);
            assert(moved.change[s][i] > 0 && moved.change[s][i] <= 4 * D); /* |xhat|^2 <= D each */
            assert(moved.var_branch[s][i] > 0 && moved.var_sum[s][i] > 0);
            assert(moved.var_sum[s][i] == same.var_sum[s][i]);
        }
    }
    adm_model_free(model);
    adm_model_free(like);
    adm_model_free(other);
}

static void test_models_that_do_not_match(void)
{
    int32_t source[MAX_TOKENS], target[MAX_TOKENS];
    change got;
    adm_error error;
    adm_model *model = make_model(6, ADM_NORM_LAYER, LAYERS), *shallow = make_model(6, ADM_NORM_LAYER, 1);
    const adm_batch batch = make_batch(source, target);
    assert(compare(model, model, &batch, 1, &got, &error) == ADM_ERROR_VALUE);
    assert(compare(model, shallow, &batch, 1, &got, &error) == ADM_ERROR_VALUE);
    assert(strstr(error.message, "6 and 4 + 6, got 6 and 2 + 6") != NULL);
    adm_model_free(model);
    adm_model_free(shallow);
}

int main(void)
{
    test_parts_add_up();
    test_groups_and_threads();
    test_what_is_not_linear_is_refused();
    test_output_change();
    test_models_that_do_not_match();
    return 0;
}
