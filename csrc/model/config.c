#include "model/branch.h"

#include <math.h>
#include <stdio.h>

#define MAX_LAYERS 100000
#define MAX_SIZE ((int64_t)1 << 30)

int64_t adm_stack_per_layer(const adm_stack_config *stack)
{
    return stack->cross ? 3 : 2;
}

int64_t adm_stack_num_sublayers(const adm_stack_config *stack)
{
    return stack->layers * adm_stack_per_layer(stack);
}

adm_branch_kind adm_stack_branch(const adm_stack_config *stack, int64_t sublayer)
{
    const int64_t per_layer = adm_stack_per_layer(stack);
    const int64_t place = sublayer % per_layer;
    if (place == 0)
        return ADM_BRANCH_SELF_ATTENTION;
    return place == per_layer - 1 ? ADM_BRANCH_FEED_FORWARD : ADM_BRANCH_CROSS_ATTENTION;
}

static adm_status check_size(const char *name, int64_t value, int64_t low, int64_t high, adm_error *error)
{
    if (value < low || value > high)
        return adm_fail(error, ADM_ERROR_VALUE, "%s must be an integer from %lld to %lld, got %lld", name,
                        (long long)low, (long long)high, (long long)value);
    return ADM_OK;
}

static adm_status check_probability(const char *name, double value, adm_error *error)
{
    if (!(value >= 0.0 && value < 1.0))
        return adm_fail(error, ADM_ERROR_VALUE, "%s must be a probability in [0, 1), got %g", name, value);
    return ADM_OK;
}

/* A value of an enum whose last one is given. */
static adm_status check_choice(const char *name, unsigned int value, unsigned int last, adm_error *error)
{
    if (value > last)
        return adm_fail(error, ADM_ERROR_VALUE, "%s must be one of %u choices, got number %u", name, last + 1,
                        value);
    return ADM_OK;
}

static adm_status check_finite(const char *name, double value, adm_error *error)
{
    if (!isfinite((adm_real)value))
        return adm_fail(error, ADM_ERROR_VALUE, "%s must be finite in " ADM_DTYPE_NAME ", got %g", name,
                        value);
    return ADM_OK;
}

/* 0, which stands for none or a default, or a positive number with an inverse. */
static adm_status check_optional(const char *name, double value, adm_error *error)
{
    const adm_real given = (adm_real)value;
    if (value != 0.0 && (!(given >= ADM_REAL_MIN) || !isfinite(given)))
        return adm_fail(error, ADM_ERROR_VALUE,
                        "%s must be positive and a normal number of " ADM_DTYPE_NAME ", or 0, got %g", name,
                        value);
    return ADM_OK;
}

static adm_status check_sublayer(const adm_config *config, const char *stack, int64_t index,
                                 const adm_sublayer_config *sublayer, adm_error *error)
{
    const struct {
        const char *name;
        unsigned int value, last;
    } choices[] = {
        {"norm_pre", sublayer->norm_pre, ADM_NORM_DYT},
        {"norm_branch", sublayer->norm_branch, ADM_NORM_DYT},
        {"norm_post", sublayer->norm_post, ADM_NORM_DYT},
        {"norm_inner", sublayer->norm_inner, ADM_NORM_DYT},
        {"omega.kind", sublayer->omega.kind, ADM_SCALE_VECTOR},
        {"alpha.kind", sublayer->alpha.kind, ADM_SCALE_VECTOR},
        {"init", sublayer->init, ADM_INIT_LOOKS_LINEAR},
    };
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"input_scale", sublayer->input_scale}, {"kappa", sublayer->kappa},
        {"omega.value", sublayer->omega.value}, {"alpha.value", sublayer->alpha.value},
        {"gains.q", sublayer->gains.q},         {"gains.k", sublayer->gains.k},
        {"gains.v", sublayer->gains.v},         {"gains.out", sublayer->gains.out},
        {"gains.fc1", sublayer->gains.fc1},     {"gains.fc2", sublayer->gains.fc2},
    };
    adm_status status = ADM_OK;
    char name[64];
    for (size_t i = 0; i < sizeof choices / sizeof *choices && status == ADM_OK; i++) {
        snprintf(name, sizeof name, "%s.sublayers[%lld].%s", stack, (long long)index, choices[i].name);
        status = check_choice(name, choices[i].value, choices[i].last, error);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && status == ADM_OK; i++) {
        snprintf(name, sizeof name, "%s.sublayers[%lld].%s", stack, (long long)index, numbers[i].name);
        status = check_finite(name, numbers[i].value, error);
    }
    if (status != ADM_OK)
        return status;
    if (sublayer->parallel && sublayer->residual_normed)
        return adm_fail(
            error, ADM_ERROR_VALUE,
            "%s.sublayers[%lld].residual_normed must be false where it is parallel: Npre is of the "
            "layer's input",
            stack, (long long)index);
    if (sublayer->omega.shared)
        return adm_fail(error, ADM_ERROR_VALUE,
                        "%s.sublayers[%lld].omega.shared must be false: only alpha is shared", stack,
                        (long long)index);
    if (sublayer->profiled && sublayer->omega.kind == ADM_SCALE_NONE)
        return adm_fail(
            error, ADM_ERROR_VALUE,
            "%s.sublayers[%lld] is profiled, so its omega.kind must be scalar or vector, got none", stack,
            (long long)index);
    if (sublayer->init == ADM_INIT_LOOKS_LINEAR && config->d_ff % 2 != 0)
        return adm_fail(
            error, ADM_ERROR_VALUE,
            "d_ff must be even for the looks-linear initialisation of %s.sublayers[%lld], got %lld", stack,
            (long long)index, (long long)config->d_ff);
    if (sublayer->init == ADM_INIT_LOOKS_LINEAR && config->gated)
        return adm_fail(error, ADM_ERROR_VALUE,
                        "gated must be false for the looks-linear initialisation of %s.sublayers[%lld]: a "
                        "product is not linear",
                        stack, (long long)index);
    return ADM_OK;
}

static adm_status check_window(const char *name, const adm_stack_config *stack, int64_t index,
                               adm_error *error)
{
    const int64_t window = stack->sublayers[index].window;
    char field[64];
    snprintf(field, sizeof field, "%s.sublayers[%lld].window", name, (long long)index);
    const adm_status status = check_size(field, window, 0, MAX_SIZE, error);
    if (status == ADM_OK && window > 0 && adm_stack_branch(stack, index) != ADM_BRANCH_SELF_ATTENTION)
        return adm_fail(error, ADM_ERROR_VALUE, "%s must be 0: only self-attention has a window, got %lld",
                        field, (long long)window);
    return status;
}

static adm_status check_stack(const adm_config *config, const char *name, const adm_stack_config *stack,
                              adm_error *error)
{
    adm_status status = check_size(name, stack->layers, 0, MAX_LAYERS, error);
    if (status == ADM_OK)
        status = check_choice("norm_embedding of a stack", stack->norm_embedding, ADM_NORM_DYT, error);
    if (status == ADM_OK)
        status = check_choice("norm_final of a stack", stack->norm_final, ADM_NORM_DYT, error);
    if (status == ADM_OK)
        status = check_choice("input_scale of a stack", stack->input_scale, ADM_SCALE_VECTOR, error);
    if (status == ADM_OK)
        status = check_finite("embedding_gain of a stack", stack->embedding_gain, error);
    if (status == ADM_OK && stack->layers > 0 && stack->sublayers == NULL)
        status = adm_fail(error, ADM_ERROR_VALUE, "%s must have sub-layers, got NULL", name);
    if (status == ADM_OK && config->vocab_size == 0 && stack->norm_embedding != ADM_NORM_NONE)
        status =
            adm_fail(error, ADM_ERROR_VALUE, "norm_embedding of a stack must be none without a vocabulary");
    if (status != ADM_OK)
        return status;
    const int64_t per_layer = adm_stack_per_layer(stack);
    const adm_scale *shared = NULL; /* of the layer at hand: what those that share alpha have */
    for (int64_t i = 0; i < adm_stack_num_sublayers(stack); i++) {
        status = check_sublayer(config, name, i, &stack->sublayers[i], error);
        if (status == ADM_OK)
            status = check_window(name, stack, i, error);
        if (status != ADM_OK)
            return status;
        const adm_scale *alpha = &stack->sublayers[i].alpha;
        if (i % per_layer == 0)
            shared = NULL;
        if (alpha->kind == ADM_SCALE_NONE || !alpha->shared)
            continue;
        if (shared == NULL)
            shared = alpha;
        if (alpha->kind != shared->kind || alpha->trained != shared->trained || alpha->value != shared->value)
            return adm_fail(
                error, ADM_ERROR_VALUE,
                "%s.sublayers[%lld].alpha is shared in its layer and must equal the first that is", name,
                (long long)i);
    }
    return ADM_OK;
}

static adm_status check_attention(const adm_config *config, adm_error *error)
{
    const adm_attention_config *attention = &config->attention;
    const int64_t heads = config->heads, kv_heads = attention->kv_heads;
    adm_status status;
    if ((status = check_size("attention.head_width", attention->head_width, 0, MAX_SIZE, error)) != ADM_OK ||
        (status = check_size("attention.kv_heads", kv_heads, 0, heads, error)) != ADM_OK)
        return status;
    if ((status = check_optional("attention.scale", attention->scale, error)) != ADM_OK ||
        (status = check_optional("attention.score_cap", attention->score_cap, error)) != ADM_OK ||
        (status = check_choice("attention.qk_norm", attention->qk_norm, ADM_NORM_DYT, error)) != ADM_OK)
        return status;
    if (attention->qk_norm_whole && attention->qk_norm == ADM_NORM_NONE)
        return adm_fail(error, ADM_ERROR_VALUE,
                        "attention.qk_norm_whole must be false where attention.qk_norm is none");
    if (attention->head_width == 0 && config->d_model % heads != 0)
        return adm_fail(error, ADM_ERROR_VALUE, "heads must divide d_model: got heads %lld and d_model %lld",
                        (long long)heads, (long long)config->d_model);
    if (attention->head_width > MAX_SIZE / heads)
        return adm_fail(error, ADM_ERROR_VALUE,
                        "all heads together must have at most %lld features, got heads %lld and "
                        "attention.head_width %lld",
                        (long long)MAX_SIZE, (long long)heads, (long long)attention->head_width);
    if (kv_heads > 0 && heads % kv_heads != 0)
        return adm_fail(error, ADM_ERROR_VALUE,
                        "attention.kv_heads must divide heads: got kv_heads %lld and heads %lld",
                        (long long)kv_heads, (long long)heads);
    return ADM_OK;
}

/* Of rotary positions; others have none of it. Angles of any other theta and factor would be larger than positions. */
static adm_status check_rotary(const adm_config *config, adm_error *error)
{
    const adm_rotary_config *rotary = &config->attention.rotary;
    const double low = rotary->low_frequency_factor, high = rotary->high_frequency_factor;
    const int64_t width = adm_rotary_width(config);
    if (config->positions != ADM_POSITIONS_ROTARY)
        return ADM_OK;
    adm_status status = check_size("attention.rotary.width", rotary->width, 0, adm_head_width(config), error);
    if (status != ADM_OK)
        return status;
    if (width % 2 != 0)
        return adm_fail(error, ADM_ERROR_VALUE, "attention.rotary.width must be even, got %lld",
                        (long long)width);
    if (rotary->theta != 0 && !(rotary->theta >= 1 && isfinite(rotary->theta)))
        return adm_fail(error, ADM_ERROR_VALUE, "attention.rotary.theta must be at least 1, or 0, got %g",
                        rotary->theta);
    if (rotary->factor == 0)
        return ADM_OK;
    if (!(rotary->factor >= 1 && isfinite(rotary->factor)))
        return adm_fail(error, ADM_ERROR_VALUE, "attention.rotary.factor must be at least 1, or 0, got %g",
                        rotary->factor);
    if (!(low > 0 && low < high && isfinite(high)))
        return adm_fail(error, ADM_ERROR_VALUE,
                        "attention.rotary.low_frequency_factor must be positive and less than "
                        "high_frequency_factor, got %g and %g",
                        low, high);
    return check_size("attention.rotary.original_length", rotary->original_length, 1, MAX_SIZE, error);
}

/* The total must be addressable: a rough bound on the number of parameters. */
static adm_status check_total(const adm_config *config, adm_error *error)
{
    const double d = (double)config->d_model, f = (double)config->d_ff;
    const double layers = (double)config->encoder.layers + (double)config->decoder.layers;
    const double inner = (double)adm_width_of(config, ADM_WIDTH_QUERIES);
    const double total = layers * (8.0 * d * inner + (config->gated ? 3.0 : 2.0) * d * f) +
                         3.0 * (double)config->vocab_size * d + 2.0 * d * config->max_length;
    if (total > 1e12)
        return adm_fail(error, ADM_ERROR_VALUE,
                        "the model would have about %.3g parameters; the limit is 1e12", total);
    return ADM_OK;
}

adm_status adm_config_check(const adm_config *config, adm_error *error)
{
    adm_status status;
    if ((status = check_size("vocab_size", config->vocab_size, 0, INT32_MAX, error)) != ADM_OK ||
        (status = check_size("d_model", config->d_model, 1, MAX_SIZE, error)) != ADM_OK ||
        (status = check_size("heads", config->heads, 1, MAX_SIZE, error)) != ADM_OK ||
        (status = check_size("d_ff", config->d_ff, 1, MAX_SIZE, error)) != ADM_OK ||
        (status = check_size("max_length", config->max_length, 1, MAX_SIZE, error)) != ADM_OK ||
        (status = check_choice("activation", config->activation, ADM_ACTIVATION_RELU_SQUARED, error)) !=
            ADM_OK ||
        (status = check_choice("bias", config->bias, ADM_BIAS_FEED_FORWARD, error)) != ADM_OK ||
        (status = check_choice("positions", config->positions, ADM_POSITIONS_ROTARY, error)) != ADM_OK ||
        (status = check_choice("share_embeddings", config->share_embeddings, ADM_SHARE_ALL, error)) !=
            ADM_OK ||
        (status = check_probability("dropout", config->dropout, error)) != ADM_OK ||
        (status = check_probability("attention_dropout", config->attention_dropout, error)) != ADM_OK ||
        (status = check_probability("activation_dropout", config->activation_dropout, error)) != ADM_OK ||
        (status = check_attention(config, error)) != ADM_OK ||
        (status = check_rotary(config, error)) != ADM_OK ||
        (status = check_optional("logits_cap", config->logits_cap, error)) != ADM_OK ||
        (status = check_stack(config, "encoder", &config->encoder, error)) != ADM_OK ||
        (status = check_stack(config, "decoder", &config->decoder, error)) != ADM_OK)
        return status;
    if (!(config->norm_eps >= (double)ADM_REAL_MIN) || !isfinite((adm_real)config->norm_eps))
        return adm_fail(error, ADM_ERROR_VALUE,
                        "norm_eps must be positive and a normal number of " ADM_DTYPE_NAME ", got %g",
                        config->norm_eps);
    if (!(config->embedding_scale >= 0) || !isfinite((adm_real)config->embedding_scale))
        return adm_fail(error, ADM_ERROR_VALUE,
                        "embedding_scale must be positive and finite, or 0 for sqrt(D), got %g",
                        config->embedding_scale);
    if (!(config->logits_scale >= 0) || !isfinite((adm_real)config->logits_scale))
        return adm_fail(error, ADM_ERROR_VALUE,
                        "logits_scale must be positive and finite, or 0 for 1, got %g", config->logits_scale);
    if (config->output_bias && (config->vocab_size == 0 || config->decoder.layers == 0))
        return adm_fail(error, ADM_ERROR_VALUE, "output_bias must be false for a model without logits");
    if (config->encoder.layers == 0 && config->decoder.layers == 0)
        return adm_fail(error, ADM_ERROR_VALUE, "encoder and decoder cannot both have 0 layers");
    if (config->encoder.cross)
        return adm_fail(error, ADM_ERROR_VALUE,
                        "an encoder has no cross-attention: encoder.cross must be false");
    if (config->vocab_size == 0 && config->encoder.layers > 0 && config->decoder.layers > 0)
        return adm_fail(error, ADM_ERROR_VALUE, "without a vocabulary there is one stack only, got both");
    if (config->vocab_size > 0 && config->decoder.layers > 0 &&
        config->decoder.cross != (config->encoder.layers > 0))
        return adm_fail(error, ADM_ERROR_VALUE,
                        "decoder.cross must be true exactly when there is an encoder");
    return check_total(config, error);
}
