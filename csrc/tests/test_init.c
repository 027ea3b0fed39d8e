/* Initial weights: bounds, spreads and constants of every kind of parameter, and what they may depend on. */
#undef NDEBUG
#include "admin/admin.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define D 48
#define F 96
#define V 700 /* V D is more than two blocks of work */
#define SEED 20240817u

static const adm_sublayer_config plain_sublayer = {
    .norm_post = ADM_NORM_LAYER, .input_scale = 1, .qkv_fused_init = true, .gains = {1, 1, 1, 1, 1, 1}};

/* Two encoder layers and one decoder layer, Post-LN. */
typedef struct setup {
    adm_sublayer_config encoder[4], decoder[3];
    adm_config config;
} setup;

static void prepare(setup *s)
{
    memset(s, 0, sizeof *s);
    for (int i = 0; i < 4; i++)
        s->encoder[i] = plain_sublayer;
    for (int i = 0; i < 3; i++)
        s->decoder[i] = plain_sublayer;
    s->config = (adm_config){.vocab_size = V, .d_model = D, .heads = 4, .d_ff = F, .max_length = 64};
    s->config.positions = ADM_POSITIONS_LEARNED;
    s->config.norm_eps = 1e-5;
    s->config.encoder = (adm_stack_config){.layers = 2, .embedding_gain = 1, .sublayers = s->encoder};
    s->config.decoder = (adm_stack_config){
        .layers = 1, .causal = true, .cross = true, .embedding_gain = 1, .sublayers = s->decoder};
}

static adm_model *create(const setup *s, uint64_t seed, int threads)
{
    adm_model *model = NULL;
    adm_error error = {ADM_OK, ""};
    if (adm_model_create(&s->config, adm_kernels_select(), &model, &error) != ADM_OK) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
    assert(adm_model_init_weights(model, seed, threads, NULL, NULL) == ADM_OK);
    return model;
}

typedef struct values {
    const adm_real *x;
    int64_t n;
} values;

static values find(adm_model *model, const char *name)
{
    const int64_t p = adm_model_find_param(model, name);
    if (p < 0) {
        fprintf(stderr, "no parameter %s\n", name);
        abort();
    }
    const adm_param *param = &adm_model_params(model)->items[p];
    return (values){adm_model_weights(model) + param->offset, param->size};
}

static double largest(values v)
{
    double largest = 0;
    for (int64_t i = 0; i < v.n; i++) {
        const double size = fabs((double)v.x[i]);
        largest = size > largest ? size : largest; /* by fmax, gcc 12.2 fails at it for Arm */
    }
    return largest;
}

static void assert_all(values v, double value)
{
    for (int64_t i = 0; i < v.n; i++)
        assert(v.x[i] == (adm_real)value);
}

/* Mean and variance within five standard errors, the variance's from the kurtosis of the distribution. */
static void assert_moments(values v, double deviation, double kurtosis)
{
    double sum = 0, squares = 0;
    const double n = (double)v.n;
    for (int64_t i = 0; i < v.n; i++) {
        sum += (double)v.x[i];
        squares += (double)v.x[i] * (double)v.x[i];
    }
    const double variance = deviation * deviation;
    assert(fabs(sum / n) < 5 * deviation / sqrt(n));
    assert(fabs(squares / n - variance) < 5 * variance * sqrt((kurtosis - 1) / n));
}

static void assert_uniform(adm_model *model, const char *name, double bound)
{
    const values v = find(model, name);
    assert(largest(v) <= bound * (1 + 1e-6) && largest(v) > 0.99 * bound);
    assert_moments(v, bound / sqrt(3), 1.8);
}

static void assert_normal(adm_model *model, const char *name, double deviation)
{
    const values v = find(model, name);
    assert(largest(v) > 3 * deviation);
    assert_moments(v, deviation, 3);
}

static void test_xavier_uniform(void)
{
    setup s;
    prepare(&s);
    s.decoder[1].qkv_fused_init = false;
    adm_model *model = create(&s, SEED, 1);
    assert_uniform(model, "encoder.0.self_attn.q.weight", sqrt(6.0 / (D + 3 * D)));
    assert_uniform(model, "encoder.1.self_attn.k.weight", sqrt(6.0 / (D + 3 * D)));
    assert_uniform(model, "decoder.0.self_attn.v.weight", sqrt(6.0 / (D + 3 * D)));
    assert_uniform(model, "decoder.0.cross_attn.q.weight", sqrt(6.0 / (2 * D)));
    assert_uniform(model, "decoder.0.cross_attn.v.weight", sqrt(6.0 / (2 * D)));
    assert_uniform(model, "decoder.0.self_attn.out.weight", sqrt(6.0 / (2 * D)));
    assert_uniform(model, "encoder.1.feed_forward.fc1.weight", sqrt(6.0 / (D + F)));
    assert_uniform(model, "decoder.0.feed_forward.fc2.weight", sqrt(6.0 / (D + F)));
    adm_model_free(model);
}

static void test_xavier_normal(void)
{
    setup s;
    prepare(&s);
    s.encoder[0].init = s.encoder[1].init = ADM_INIT_XAVIER_NORMAL;
    adm_model *model = create(&s, SEED, 1);
    assert_normal(model, "encoder.0.self_attn.k.weight", sqrt(2.0 / (D + 3 * D)));
    assert_normal(model, "encoder.0.self_attn.out.weight", sqrt(2.0 / (2 * D)));
    assert_normal(model, "encoder.0.feed_forward.fc1.weight", sqrt(2.0 / (D + F)));
    adm_model_free(model);
}

/* Powers of two, so that the product is exact. */
static void test_gains_multiply(void)
{
    static const char *const names[] = {
        "encoder.0.self_attn.q.weight",      "encoder.0.self_attn.k.weight",
        "encoder.0.self_attn.v.weight",      "encoder.0.self_attn.out.weight",
        "encoder.1.feed_forward.fc1.weight", "encoder.1.feed_forward.fc2.weight"};
    const double gains[] = {2, 4, 0.5, 8, 0.25, 16};
    setup s;
    prepare(&s);
    adm_model *plain = create(&s, SEED, 1);
    for (int i = 0; i < 4; i++)
        s.encoder[i].gains = (adm_gains){gains[0], gains[1], gains[2], gains[3], gains[4], gains[5]};
    adm_model *scaled = create(&s, SEED, 1);
    for (int k = 0; k < 6; k++) {
        const values a = find(plain, names[k]), b = find(scaled, names[k]);
        for (int64_t i = 0; i < a.n; i++)
            assert(b.x[i] == a.x[i] * (adm_real)gains[k]);
    }
    const values a = find(plain, "decoder.0.self_attn.v.weight"),
                 b = find(scaled, "decoder.0.self_attn.v.weight");
    assert(memcmp(a.x, b.x, (size_t)a.n * sizeof *a.x) == 0); /* the decoder's gains stayed 1 */
    adm_model_free(plain);
    adm_model_free(scaled);
}

/* fc1 = [W; -W] and fc2 = [U, -U]. */
static void test_looks_linear(void)
{
    setup s;
    prepare(&s);
    for (int i = 0; i < 4; i++)
        s.encoder[i].init = ADM_INIT_LOOKS_LINEAR;
    adm_model *model = create(&s, SEED, 1);
    const values fc1 = find(model, "encoder.0.feed_forward.fc1.weight");
    const values fc2 = find(model, "encoder.0.feed_forward.fc2.weight");
    const int64_t half = F / 2;
    for (int64_t i = 0; i < half; i++)
        for (int64_t d = 0; d < D; d++) {
            assert(fc1.x[(i + half) * D + d] == -fc1.x[i * D + d] && fc1.x[i * D + d] != 0);
            assert(fc2.x[d * F + i + half] == -fc2.x[d * F + i] && fc2.x[d * F + i] != 0);
        }
    const values attention = find(model, "encoder.0.self_attn.v.weight");
    assert_moments(attention, sqrt(2.0 / (4 * D)), 1.8); /* elsewhere plain Xavier */
    adm_model_free(model);
}

static void test_constants(void)
{
    setup s;
    prepare(&s);
    s.encoder[2].omega = (adm_scale){.kind = ADM_SCALE_VECTOR, .trained = true, .value = 1.5};
    s.encoder[3].omega = (adm_scale){.kind = ADM_SCALE_SCALAR, .value = 2.5};
    for (int i = 0; i < 3; i++)
        s.decoder[i].alpha =
            (adm_scale){.kind = ADM_SCALE_SCALAR, .trained = true, .shared = true, .value = 0.125};
    s.decoder[0].norm_pre = ADM_NORM_DYT;
    s.config.decoder.norm_final = ADM_NORM_RMS;
    s.config.encoder.input_scale = ADM_SCALE_VECTOR;
    s.config.encoder.norm_embedding = ADM_NORM_LAYER;
    adm_model *model = create(&s, SEED, 1);
    assert_all(find(model, "encoder.0.self_attn.q.bias"), 0);
    assert_all(find(model, "decoder.0.feed_forward.fc1.bias"), 0);
    assert_all(find(model, "encoder.1.feed_forward.norm_post.gamma"), 1);
    assert_all(find(model, "encoder.1.feed_forward.norm_post.nu"), 0);
    assert_all(find(model, "decoder.0.self_attn.norm_pre.scale"), 0.5);
    assert_all(find(model, "decoder.norm_final.gamma"), 1);
    assert_all(find(model, "encoder.input_scale"), 1);
    assert_all(find(model, "encoder.norm_embedding.gamma"), 1);
    assert_all(find(model, "encoder.norm_embedding.nu"), 0);
    assert_all(find(model, "encoder.1.self_attn.omega"), 1.5);
    assert_all(find(model, "encoder.1.feed_forward.omega"), 2.5);
    assert_all(find(model, "decoder.0.alpha"), 0.125);
    assert(find(model, "encoder.1.self_attn.omega").n == D && find(model, "decoder.0.alpha").n == 1);
    adm_model_free(model);
}

static void test_embeddings(void)
{
    const double plain = 1 / sqrt(D);
    setup s;
    prepare(&s);
    s.config.encoder.embedding_gain = 2;
    s.config.decoder.embedding_gain = 3;
    s.config.share_embeddings = ADM_SHARE_ALL;
    adm_model *model = create(&s, SEED, 1);
    assert_normal(model, "embedding.weight", 2 * plain); /* the encoder's, where there is one */
    assert_normal(model, "encoder.positions.weight", plain);
    assert_normal(model, "decoder.positions.weight", plain);
    adm_model_free(model);

    s.config.share_embeddings = ADM_SHARE_NONE;
    model = create(&s, SEED, 1);
    assert_normal(model, "encoder.embedding.weight", 2 * plain);
    assert_normal(model, "decoder.embedding.weight", 3 * plain);
    assert_normal(model, "output.weight", 2 * plain);
    adm_model_free(model);

    s.config.encoder.layers = 0;
    s.config.decoder.cross = false;
    model = create(&s, SEED, 1);
    assert_normal(model, "embedding.weight", 3 * plain);
    adm_model_free(model);
}

/* Streams of any two parameters, and of two seeds, have no correlation: |r| < 5 / sqrt(n). */
static void test_streams_are_apart(void)
{
    setup s;
    prepare(&s);
    adm_model *a = create(&s, SEED, 1), *b = create(&s, SEED + 1, 1);
    const values x[] = {find(a, "encoder.0.self_attn.q.weight"), find(a, "encoder.0.self_attn.k.weight"),
                        find(a, "encoder.1.self_attn.q.weight"), find(a, "decoder.0.cross_attn.q.weight"),
                        find(b, "encoder.0.self_attn.q.weight")};
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < i; j++) {
            double dot = 0, xx = 0, yy = 0;
            for (int64_t k = 0; k < x[i].n; k++) {
                dot += (double)x[i].x[k] * (double)x[j].x[k];
                xx += (double)x[i].x[k] * (double)x[i].x[k];
                yy += (double)x[j].x[k] * (double)x[j].x[k];
            }
            assert(fabs(dot) / sqrt(xx * yy) < 5 / sqrt((double)x[i].n));
        }
    adm_model_free(a);
    adm_model_free(b);
}

static void test_same_bits_for_any_threads(void)
{
    setup s;
    prepare(&s);
    adm_model *one = create(&s, SEED, 1), *three = create(&s, SEED, 3);
    const size_t bytes = (size_t)adm_model_params(one)->length * sizeof(adm_real);
    assert(memcmp(adm_model_weights(one), adm_model_weights(three), bytes) == 0);
    adm_model_free(one);
    adm_model_free(three);
}

/* A scheme that adds omega and norms starts from the same matrices as one without. */
static void test_schemes_share_draws(void)
{
    setup s;
    prepare(&s);
    adm_model *post = create(&s, SEED, 1);
    for (int i = 0; i < 4; i++) {
        s.encoder[i].omega = (adm_scale){.kind = ADM_SCALE_VECTOR, .trained = true, .value = 1};
        s.encoder[i].norm_pre = ADM_NORM_LAYER;
    }
    adm_model *other = create(&s, SEED, 1);
    const values a = find(post, "decoder.0.feed_forward.fc2.weight");
    const values b = find(other, "decoder.0.feed_forward.fc2.weight");
    assert(memcmp(a.x, b.x, (size_t)a.n * sizeof *a.x) == 0);
    adm_model_free(post);
    adm_model_free(other);
}

int main(void)
{
    test_xavier_uniform();
    test_xavier_normal();
    test_gains_multiply();
    test_looks_linear();
    test_constants();
    test_embeddings();
    test_streams_are_apart();
    test_same_bits_for_any_threads();
    test_schemes_share_draws();
    return 0;
}
