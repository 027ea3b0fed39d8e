/* The same bits on every processor: digests of what the core computes over a table of models, those that are stored
   beside this file, whatever kernels are in use. `make digests` stores them anew, after bits have changed on purpose. */
#undef NDEBUG
#include "admin/admin.h"
#include "base/base.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORED "tests/digests." ADM_DTYPE_NAME ".txt" /* from the folder of the core */
#define THREADS 2
#define MAX_LAYERS 3
#define MAX_R (3 * MAX_LAYERS)
#define OPTIMISERS 5 /* kinds, which go round */

/* ---- digests ---- */

static FILE *stored;
static bool writes;
static int differences;

static uint64_t with_word(uint64_t digest, uint64_t word)
{
    return adm_random_mix((digest ^ word) + 0x9E3779B97F4A7C15u);
}

static uint64_t with_reals(uint64_t digest, const adm_real *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        uint64_t word = 0;
        memcpy(&word, &x[i], sizeof x[i]);
        digest = with_word(digest, word);
    }
    return digest;
}

static uint64_t with_doubles(uint64_t digest, const double *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        uint64_t word;
        memcpy(&word, &x[i], sizeof word);
        digest = with_word(digest, word);
    }
    return digest;
}

static void note(const char *model, const char *part, uint64_t digest)
{
    char line[120], wanted[120];
    snprintf(line, sizeof line, "%016" PRIx64 "  %s: %s\n", digest, model, part);
    if (writes) {
        fputs(line, stored);
    } else if (fgets(wanted, sizeof wanted, stored) == NULL || strcmp(line, wanted) != 0) {
        fprintf(stderr, "computed %s", line);
        differences++;
    }
}

static void check(adm_status status, const adm_error *error)
{
    if (status != ADM_OK) {
        fprintf(stderr, "%s\n", error->message);
        abort();
    }
}

/* ---- models ---- */

typedef adm_sublayer_config (*sublayer_rule)(int64_t i);

static adm_sublayer_config post_ln(int64_t i)
{
    (void)i;
    return (adm_sublayer_config){
        .norm_post = ADM_NORM_LAYER, .input_scale = 1, .qkv_fused_init = true, .gains = {1, 1, 1, 1, 1, 1}};
}

static adm_sublayer_config pre_ln(int64_t i)
{
    adm_sublayer_config sublayer = post_ln(i);
    sublayer.norm_pre = ADM_NORM_LAYER;
    sublayer.norm_post = ADM_NORM_NONE;
    return sublayer;
}

/* Behind a norm on embeddings, as in BERT and BART. */
static adm_sublayer_config normed_first(int64_t i)
{
    return post_ln(i);
}

/* Norms on both sides and inside the branch. */
static adm_sublayer_config gated_norms(int64_t i)
{
    adm_sublayer_config sublayer = pre_ln(i);
    sublayer.norm_pre = sublayer.norm_inner = ADM_NORM_RMS;
    sublayer.norm_branch = i % 2 == 0 ? ADM_NORM_RMS : ADM_NORM_NONE;
    return sublayer;
}

static adm_sublayer_config profiled(int64_t i)
{
    adm_sublayer_config sublayer = post_ln(i);
    sublayer.omega = (adm_scale){ADM_SCALE_VECTOR, true, false, 1};
    sublayer.profiled = true;
    return sublayer;
}

/* Every field of the residual formula, and every kind of weights. */
static adm_sublayer_config mixed(int64_t i)
{
    const adm_norm_kind norms[] = {ADM_NORM_LAYER, ADM_NORM_RMS, ADM_NORM_DYT, ADM_NORM_NONE};
    const adm_scale_kind scales[] = {ADM_SCALE_VECTOR, ADM_SCALE_SCALAR, ADM_SCALE_NONE};
    const adm_init_kind inits[] = {ADM_INIT_XAVIER_UNIFORM, ADM_INIT_XAVIER_NORMAL, ADM_INIT_LOOKS_LINEAR};
    return (adm_sublayer_config){
        .norm_pre = norms[i % 4],
        .norm_branch = norms[(i / 2 + 1) % 4],
        .norm_post = norms[(i + 2) % 4],
        .norm_inner = norms[(i / 3 + 3) % 4],
        .residual_normed = i % 3 == 1,
        .input_scale = i % 2 == 0 ? 1.0 : 0.7,
        .kappa = i % 3 == 2 ? 0.5 : 0.0,
        .omega = {scales[i % 3], true, false, 1.2},
        .alpha = {scales[(i + 1) % 3], true, false, 0.8},
        .init = inits[i % 3],
        .qkv_fused_init = i % 2 == 0,
        .gains = {1, 0.5, 1, 0.8, 1, 0.9},
    };
}

/* Attention and feed-forward beside each other, the second with a norm at its end in odd layers. */
static adm_sublayer_config parallel(int64_t i)
{
    adm_sublayer_config sublayer = pre_ln(i);
    sublayer.parallel = i % 3 != 0;
    sublayer.norm_post = i % 4 == 1 ? ADM_NORM_RMS : ADM_NORM_NONE;
    return sublayer;
}

/* Lengths of sequences: long ones, beyond the tiles of attention, and short ones. */
#define B 3
static const int64_t LONG[2][B + 1] = {{0, 2, 72, 209}, {0, 140, 142, 180}};
static const int64_t SHORT[2][B + 1] = {{0, 5, 7, 24}, {0, 9, 26, 28}};
#define MOST_TOKENS 209

/* What the linear maps of a model have between and beside them. */
typedef struct maps {
    adm_activation activation;
    bool gated;
    adm_bias bias;
    bool output_bias;
    double logits_scale;
} maps;

static const maps RELU = {ADM_ACTIVATION_RELU, false, ADM_BIAS_ALL, false, 1};
static const maps GELU = {ADM_ACTIVATION_GELU, false, ADM_BIAS_ALL, false, 1};
static const maps SILU = {ADM_ACTIVATION_SILU, false, ADM_BIAS_ALL, false, 1};
static const maps GELU_TANH = {ADM_ACTIVATION_GELU_TANH, false, ADM_BIAS_ALL, false, 1};
static const maps QUICK_GELU = {ADM_ACTIVATION_QUICK_GELU, false, ADM_BIAS_ALL, false, 1};
static const maps RELU_SQUARED = {ADM_ACTIVATION_RELU_SQUARED, false, ADM_BIAS_ALL, false, 1};
static const maps SWIGLU = {ADM_ACTIVATION_SILU, true, ADM_BIAS_ALL, false, 1};
static const maps REGLU = {ADM_ACTIVATION_RELU, true, ADM_BIAS_ALL, false, 1};
static const maps NO_BIASES = {ADM_ACTIVATION_SILU, true, ADM_BIAS_NONE, true, 0.7};
static const maps OF_Q_K_V = {ADM_ACTIVATION_GELU, false, ADM_BIAS_QKV, true, 0.3};
static const maps OF_ATTENTION = {ADM_ACTIVATION_RELU, false, ADM_BIAS_ATTENTION, false, 1};
static const maps OF_FEED_FORWARD = {ADM_ACTIVATION_RELU, false, ADM_BIAS_FEED_FORWARD, false, 1};

typedef struct shape {
    const char *name;
    int64_t layers[2], d_model, heads, d_ff, vocab_size;
    const maps *maps;
    adm_positions positions;
    adm_share share;
    sublayer_rule rule;
    const int64_t (*offsets)[B + 1];
    adm_attention_config attention;
    double logits_cap;
    int64_t windows[2]; /* of self-attention in layers of even and of odd number; 0: none */
    double z_loss;
} shape;

#define SINES ADM_POSITIONS_SINUSOIDAL
#define LEARNED ADM_POSITIONS_LEARNED
#define ROTARY ADM_POSITIONS_ROTARY
// clang-format off: a shape is a line
static const shape SHAPES[] = {
    {"Post-LN", {2, 2}, 24, 4, 40, 53, &RELU, SINES, ADM_SHARE_ALL, post_ln, .offsets = LONG},
    {"every field", {2, 2}, 18, 3, 36, 29, &RELU, LEARNED, ADM_SHARE_INPUTS, mixed, .offsets = LONG},
    {"profiled", {3, 3}, 16, 2, 31, 64, &RELU, SINES, ADM_SHARE_DECODER, profiled, .offsets = SHORT},
    {"Pre-LN", {2, 2}, 33, 3, 67, 41, &GELU, LEARNED, ADM_SHARE_NONE, pre_ln, .offsets = SHORT},
    {"decoder", {0, 3}, 64, 2, 130, 300, &GELU, LEARNED, ADM_SHARE_ALL, post_ln, .offsets = SHORT},
    {"encoder", {3, 0}, 20, 5, 44, 17, &GELU, SINES, ADM_SHARE_NONE, mixed, .offsets = LONG},
    {"sums of many steps", {1, 1}, 258, 3, 260, 259, &RELU, SINES, ADM_SHARE_ALL, profiled, .offsets = SHORT},
    {"heads that share keys", {2, 2}, 24, 4, 40, 53, &GELU, SINES, ADM_SHARE_ALL, pre_ln,
     .offsets = LONG, .attention = {.head_width = 7, .kv_heads = 2}},
    {"one head of keys", {2, 2}, 18, 3, 36, 29, &RELU, LEARNED, ADM_SHARE_NONE, mixed,
     .offsets = LONG, .attention = {.kv_heads = 1}},
    {"caps", {2, 2}, 24, 3, 40, 53, &GELU, SINES, ADM_SHARE_ALL, pre_ln,
     .offsets = LONG, .attention = {.scale = 0.4, .score_cap = 1.5}, .logits_cap = 2.5},
    {"silu", {1, 1}, 20, 2, 37, 31, &SILU, SINES, ADM_SHARE_ALL, pre_ln, .offsets = SHORT},
    {"tanh", {0, 2}, 20, 2, 37, 31, &GELU_TANH, SINES, ADM_SHARE_ALL, pre_ln, .offsets = SHORT},
    {"logistic", {0, 2}, 20, 2, 37, 31, &QUICK_GELU, SINES, ADM_SHARE_ALL, pre_ln, .offsets = SHORT},
    {"squared", {0, 2}, 20, 2, 37, 31, &RELU_SQUARED, SINES, ADM_SHARE_ALL, pre_ln, .offsets = SHORT},
    {"gated", {2, 2}, 20, 2, 37, 31, &SWIGLU, SINES, ADM_SHARE_ALL, gated_norms, .offsets = LONG},
    {"gated, relu", {0, 2}, 20, 2, 70, 31, &REGLU, SINES, ADM_SHARE_ALL, pre_ln, .offsets = SHORT},
    {"no biases", {2, 2}, 20, 2, 37, 31, &NO_BIASES, SINES, ADM_SHARE_ALL, pre_ln, .offsets = LONG},
    {"q k v", {0, 2}, 20, 2, 37, 4200, &OF_Q_K_V, SINES, ADM_SHARE_NONE, pre_ln, .offsets = SHORT, .logits_cap = 1.1},
    {"attention", {1, 1}, 20, 2, 37, 31, &OF_ATTENTION, SINES, ADM_SHARE_ALL, post_ln, .offsets = SHORT},
    {"feed-forward", {1, 1}, 20, 2, 37, 31, &OF_FEED_FORWARD, SINES, ADM_SHARE_ALL, post_ln, .offsets = SHORT},
    {"rotary", {2, 2}, 24, 3, 40, 53, &GELU, ROTARY, ADM_SHARE_ALL, pre_ln, .offsets = LONG},
    {"rotary, scaled", {0, 2}, 24, 4, 40, 53, &GELU, ROTARY, ADM_SHARE_ALL, post_ln,
     .offsets = SHORT, .attention = {.head_width = 8, .kv_heads = 2, .rotary = {500, 6, true, 8, 1, 4, 16}}},
    {"norms of heads", {2, 2}, 24, 4, 40, 53, &GELU, ROTARY, ADM_SHARE_ALL, pre_ln,
     .offsets = LONG, .attention = {.head_width = 10, .kv_heads = 2, .qk_norm = ADM_NORM_RMS}},
    {"norms of all heads", {2, 2}, 24, 4, 40, 53, &RELU, SINES, ADM_SHARE_ALL, mixed,
     .offsets = SHORT, .attention = {.kv_heads = 2, .qk_norm = ADM_NORM_LAYER, .qk_norm_whole = true}},
    {"windows in turn", {2, 2}, 24, 3, 40, 53, &GELU, SINES, ADM_SHARE_ALL, pre_ln, .offsets = LONG, .windows = {9, 0}},
    {"windows", {0, 2}, 24, 4, 40, 53, &GELU, ROTARY, ADM_SHARE_ALL, post_ln,
     .offsets = LONG, .attention = {.kv_heads = 2, .score_cap = 1.5}, .windows = {70, 3}},
    {"parallel", {2, 2}, 24, 3, 40, 53, &GELU, ROTARY, ADM_SHARE_ALL, parallel, .offsets = LONG},
    {"z-loss", {0, 2}, 20, 2, 37, 4200, &OF_Q_K_V, SINES, ADM_SHARE_ALL, pre_ln, .offsets = SHORT, .z_loss = 0.1},
    {"norm on embeddings", {2, 2}, 20, 2, 37, 31, &GELU, LEARNED, ADM_SHARE_ALL, normed_first, .offsets = LONG},
    {"encoder, normed", {2, 0}, 20, 2, 37, 31, &GELU, LEARNED, ADM_SHARE_ALL, normed_first, .offsets = SHORT},
};
// clang-format on

static adm_model *make_model(const shape *s, uint64_t seed)
{
    adm_sublayer_config encoder[MAX_R], decoder[MAX_R];
    const int64_t per_layer = s->layers[0] > 0 ? 3 : 2; /* of the decoder */
    for (int64_t i = 0; i < MAX_R; i++) {
        encoder[i] = s->rule(i);
        decoder[i] = s->rule(i + 1);
        if (i % 2 == 0)
            encoder[i].window = s->windows[i / 2 % 2];
        if (i % per_layer == 0)
            decoder[i].window = s->windows[i / per_layer % 2];
    }
    const adm_norm_kind last = s->rule == pre_ln ? ADM_NORM_LAYER : ADM_NORM_NONE;
    const adm_norm_kind first = s->rule == normed_first ? ADM_NORM_LAYER : ADM_NORM_NONE;
    const bool cross = s->layers[0] > 0;
    const adm_config config = {
        .vocab_size = s->vocab_size,
        .d_model = s->d_model,
        .heads = s->heads,
        .d_ff = s->d_ff,
        .max_length = MOST_TOKENS,
        .activation = s->maps->activation,
        .gated = s->maps->gated,
        .positions = s->positions,
        .share_embeddings = s->share,
        .dropout = 0.2,
        .attention_dropout = 0.1,
        .activation_dropout = 0.1,
        .bias = s->maps->bias,
        .output_bias = s->maps->output_bias,
        .logits_scale = s->maps->logits_scale,
        .norm_eps = 1e-5,
        .attention = s->attention,
        .logits_cap = s->logits_cap,
        .encoder = {s->layers[0], false, false, first, last, ADM_SCALE_NONE, 1.0, encoder},
        .decoder = {s->layers[1], true, cross, first, last, ADM_SCALE_NONE, 1.0, decoder},
    };
    adm_model *model = NULL;
    adm_error error = {0};
    check(adm_model_create(&config, adm_kernels_select(), &model, &error), &error);
    assert(adm_model_init_weights(model, seed, THREADS, NULL, NULL) == ADM_OK);
    return model;
}

static adm_batch make_batch(const shape *s, int32_t tokens[2][MOST_TOKENS])
{
    for (int side = 0; side < 2; side++)
        for (int64_t i = 0; i < MOST_TOKENS; i++)
            tokens[side][i] = (int32_t)((i * 7919 + side * 104729 + i * i) % s->vocab_size);
    const adm_sequences sides[] = {{tokens[0], s->offsets[0], B}, {tokens[1], s->offsets[1], B}};
    const bool both = s->layers[0] > 0 && s->layers[1] > 0;
    return (adm_batch){sides[0], both ? sides[1] : (adm_sequences){0}};
}

/* ---- what is computed ---- */

static void note_forward(const shape *s, adm_model *model, const adm_batch *batch)
{
    const adm_run run = {.threads = THREADS, .scale = 1};
    const int64_t columns = s->layers[1] > 0 ? s->vocab_size : s->d_model;
    const int64_t count = adm_model_num_outputs(model, batch) * columns;
    adm_real *out = malloc((size_t)count * sizeof *out);
    adm_error error = {0};
    assert(out != NULL);
    check(adm_model_forward(model, batch, &run, out, &error), &error);
    note(s->name, "forward", with_reals(0, out, count));
    free(out);
}

static void note_profile(const shape *s, adm_model *model, const adm_batch *batch)
{
    const adm_run run = {.training = true, .seed = 5, .threads = THREADS, .scale = 1};
    uint64_t digest = 0;
    for (int method = ADM_PROFILE_CLINIC; method <= ADM_PROFILE_PAPER; method++) {
        double numbers[2][3][MAX_R] = {0};
        adm_profile profiles[2];
        adm_error error = {0};
        for (int stack = 0; stack < 2; stack++)
            profiles[stack] = (adm_profile){numbers[stack][0], numbers[stack][1], numbers[stack][2]};
        const bool apply = method == ADM_PROFILE_PAPER;
        check(adm_model_profile(model, batch, &run, (adm_profile_method)method, apply, profiles, &error),
              &error);
        digest = with_doubles(digest, &numbers[0][0][0], sizeof numbers / sizeof(double));
    }
    note(s->name, "profiles", with_reals(digest, adm_model_weights(model), adm_model_params(model)->length));
}

static void note_analyses(const shape *s, adm_model *model, const adm_batch *batch)
{
    const adm_run run = {.threads = THREADS, .scale = 1};
    adm_model *other = make_model(s, 2);
    static double numbers[2][3 * MAX_R + MAX_R * (MAX_R + 2)];
    uint64_t digest = 0;
    adm_error error = {0};
    adm_output_change changes[2];
    memset(numbers, 0, sizeof numbers);
    for (int stack = 0; stack < 2; stack++) {
        double *at = numbers[stack];
        changes[stack] = (adm_output_change){at, at + MAX_R, at + 2 * MAX_R, 0};
    }
    check(adm_models_output_change(model, other, batch, &run, &changes[0], &changes[1], &error), &error);
    digest = with_doubles(digest, &numbers[0][0], sizeof numbers / sizeof(double));
    adm_model_free(other);
    adm_dependency tables[2];
    for (int stack = 0; stack < 2; stack++) {
        double *at = numbers[stack];
        tables[stack] = (adm_dependency){at + 3 * MAX_R, at, at + MAX_R, NULL, 0};
    }
    if (adm_model_dependency(model, batch, &run, 1 << 20, &tables[0], &tables[1], &error) == ADM_OK)
        digest = with_doubles(digest, &numbers[0][0], sizeof numbers / sizeof(double));
    else
        assert(s->rule == mixed); /* DyT on the residual's way is not linear */
    note(s->name, "analyses", digest);
}

static void note_backward(const shape *s, adm_model *model, const adm_batch *batch)
{
    adm_run run = {
        .training = true, .seed = 3, .step = 7, .threads = THREADS, .label_smoothing = 0.1, .scale = 1};
    const int64_t length = adm_model_params(model)->length;
    adm_loss loss;
    adm_error error = {0};
    run.z_loss = s->z_loss;
    run.observe = run.keep_gradients = true;
    check(adm_model_backward(model, batch, &run, &loss, &error), &error);
    uint64_t digest = with_doubles(0, (double[]){loss.loss, loss.nll}, 2);
    const uint64_t gradients = with_reals(0, adm_model_gradients(model), length);
    for (int stack = 0; stack < 2; stack++) {
        const adm_observation seen = adm_model_observation(model, stack);
        digest = with_doubles(digest, seen.var_input, seen.num_sublayers);
        digest = with_doubles(digest, seen.var_branch, seen.num_sublayers);
        digest = with_doubles(digest, seen.grad_norm, seen.num_sublayers > 0 ? seen.num_sublayers + 1 : 0);
    }
    note(s->name, "backward", with_word(digest, gradients));
    run.observe = run.keep_gradients = false;
    run.segment_layers = ADM_SEGMENTS_AUTO;
    check(adm_model_backward(model, batch, &run, &loss, &error), &error);
    assert(with_reals(0, adm_model_gradients(model), length) == gradients);
}

#define DECODED 6 /* tokens that each hypothesis gets */

/* Steps of hypotheses that move, and a search. */
static void note_decoding(const shape *s, adm_model *model, const adm_batch *batch)
{
    const adm_run run = {.threads = THREADS, .scale = 1};
    const int64_t moves[] = {2, 0, 0, 1}, rows = sizeof moves / sizeof *moves;
    const int32_t first[B] = {1, 2, 3};
    const int64_t each[B + 1] = {0, 1, 2, 3}, least[B] = {0, 1, 2}, most[B] = {DECODED, DECODED, 3};
    const bool both = s->layers[0] > 0;
    const adm_sequences prefixes = {first, each, B};
    const adm_batch begun = {both ? batch->source : prefixes, both ? prefixes : (adm_sequences){0}};
    adm_decoder *decoder = NULL;
    adm_error error = {0};
    uint64_t digest = 0;
    check(adm_decoder_create(model, &decoder, &error), &error);
    check(adm_decoder_begin(decoder, &begun, true, &run, &error), &error);
    check(adm_decoder_reorder(decoder, moves, rows, &error), &error);
    for (int32_t step = 0; step < DECODED; step++) {
        const int32_t ids[] = {step + 4, step + 5, step + 6, step + 7};
        check(adm_decoder_step(decoder, ids, &run, &error), &error);
        digest = with_reals(digest, adm_decoder_logits(decoder), rows * s->vocab_size);
    }
    adm_search search = adm_search_default();
    search.best = 3;
    search.penalty = ADM_PENALTY_GNMT;
    search.alpha = 0.6;
    search.no_repeat = 2;
    search.least = least;
    search.most = most;
    adm_found_list found;
    check(adm_beam_search(decoder, &begun, true, &search, &run, &found, &error), &error);
    for (int64_t i = 0; i < found.count; i++) {
        const adm_found *one = &found.items[i];
        digest = with_doubles(digest, (double[]){one->score, one->sum}, 2);
        for (int64_t t = 0; t < one->length; t++)
            digest = with_word(digest, (uint64_t)one->tokens[t]);
    }
    adm_found_free(&found);
    adm_decoder_free(decoder);
    note(s->name, "decoding", digest);
}

/* A few steps of one optimiser; RAdam begins with the sixth to divide by the variance. */
static void note_training(const shape *s, adm_model *model, const adm_batch *batch, adm_optim_kind kind)
{
    static const char *const NAMES[] = {"SGD", "Adam", "AdamW", "RAdam", "NovoGrad"};
    const adm_optim_config config = {kind, 0.9, 0.98, 1e-8, 0.01, kind == ADM_OPTIM_SGD};
    const adm_param_table *params = adm_model_params(model);
    const int64_t size_m = adm_optim_size_m(&config, params), size_v = adm_optim_size_v(&config, params);
    adm_real *moments = calloc((size_t)(size_m + size_v), sizeof *moments);
    adm_optim_state state = {0, moments, size_v > 0 ? moments + size_m : NULL};
    adm_real *weights = adm_model_weights(model), *gradients = adm_model_gradients(model);
    uint64_t digest = 0;
    assert(moments != NULL);
    for (uint64_t step = 0; step < (kind == ADM_OPTIM_RADAM ? 7 : 3); step++) {
        const adm_run run = {.training = true,
                             .seed = 4,
                             .step = step,
                             .threads = THREADS,
                             .label_smoothing = 0.1,
                             .z_loss = s->z_loss,
                             .scale = 1};
        adm_loss loss;
        adm_error error = {0};
        double change;
        check(adm_model_backward(model, batch, &run, &loss, &error), &error);
        const double norm = adm_norm2(adm_model_kernels(model), gradients, params->trained_length, THREADS);
        const adm_optim_input input = {adm_model_kernels(model), params, weights, gradients,
                                       1 / (1 + norm),           1e-3,   THREADS};
        check(adm_optim_step(&config, &input, &state, &change, &error), &error);
        digest = with_doubles(digest, (double[]){loss.loss, loss.nll, norm, change}, 4);
    }
    digest = with_reals(digest, moments, size_m + size_v);
    note(s->name, NAMES[kind], with_reals(digest, weights, params->length));
    free(moments);
}

int main(int argc, char **argv)
{
    writes = argc > 1 && strcmp(argv[1], "--write") == 0;
    stored = fopen(STORED, writes ? "w" : "r");
    if (stored == NULL) {
        perror(STORED);
        return 1;
    }
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        const shape *s = &SHAPES[i];
        int32_t tokens[2][MOST_TOKENS];
        const adm_batch batch = make_batch(s, tokens);
        adm_model *model = make_model(s, 1);
        note(s->name, "initial weights",
             with_reals(0, adm_model_weights(model), adm_model_params(model)->length));
        note_forward(s, model, &batch);
        note_profile(s, model, &batch);
        note_analyses(s, model, &batch);
        if (s->layers[1] > 0) {
            note_decoding(s, model, &batch);
            note_backward(s, model, &batch);
            note_training(s, model, &batch, (adm_optim_kind)(i % OPTIMISERS));
        }
        adm_model_free(model);
    }
    assert(writes || fgetc(stored) == EOF);
    assert(fclose(stored) == 0);
    return differences > 0;
}
