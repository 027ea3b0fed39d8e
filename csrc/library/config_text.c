#include "library/config_text.h"

static const char *const NORMS[] = {"none", "layer", "rms", "dyt"};
static const char *const SCALES[] = {"none", "scalar", "vector"};
static const char *const INITS[] = {"xavier_uniform", "xavier_normal", "looks_linear"};
static const char *const ACTIVATIONS[] = {"relu", "gelu", "silu", "gelu_tanh", "quick_gelu", "relu_squared"};
static const char *const BIASES[] = {"all", "none", "qkv", "attention", "feed_forward"};
static const char *const POSITIONS[] = {"sinusoidal", "learned", "rotary"};
static const char *const SHARES[] = {"none", "decoder", "inputs", "all"};

static const char *bool_text(bool value)
{
    return value ? "true" : "false";
}

/* What follows another entry begins with a comma. */
static void add_word(adm_text *text, const char *name, const char *word)
{
    adm_text_add(text, ", \"%s\": \"%s\"", name, word);
}

static void add_bool(adm_text *text, const char *name, bool value)
{
    adm_text_add(text, ", \"%s\": %s", name, bool_text(value));
}

static void add_number(adm_text *text, const char *name, double value)
{
    adm_text_add(text, ", \"%s\": ", name);
    adm_text_add_number(text, value);
}

static void add_scale(adm_text *text, const char *name, const adm_scale *scale)
{
    adm_text_add(text, ", \"%s\": {\"kind\": \"%s\"", name, SCALES[scale->kind]);
    add_bool(text, "trained", scale->trained);
    add_bool(text, "shared", scale->shared);
    add_number(text, "value", scale->value);
    adm_text_add(text, "}");
}

static void add_sublayer(adm_text *text, const adm_sublayer_config *sublayer)
{
    adm_text_add(text, "{\"norm_pre\": \"%s\"", NORMS[sublayer->norm_pre]);
    add_word(text, "norm_branch", NORMS[sublayer->norm_branch]);
    add_word(text, "norm_post", NORMS[sublayer->norm_post]);
    add_word(text, "norm_inner", NORMS[sublayer->norm_inner]);
    add_bool(text, "residual_normed", sublayer->residual_normed);
    add_bool(text, "parallel", sublayer->parallel);
    add_bool(text, "profiled", sublayer->profiled);
    add_number(text, "input_scale", sublayer->input_scale);
    add_number(text, "kappa", sublayer->kappa);
    add_scale(text, "omega", &sublayer->omega);
    add_scale(text, "alpha", &sublayer->alpha);
    add_word(text, "init", INITS[sublayer->init]);
    add_bool(text, "qkv_fused_init", sublayer->qkv_fused_init);
    adm_text_add(text, ", \"gains\": {\"q\": ");
    adm_text_add_number(text, sublayer->gains.q);
    add_number(text, "k", sublayer->gains.k);
    add_number(text, "v", sublayer->gains.v);
    add_number(text, "out", sublayer->gains.out);
    add_number(text, "fc1", sublayer->gains.fc1);
    add_number(text, "fc2", sublayer->gains.fc2);
    adm_text_add(text, "}}");
}

/* A scheme written out: that of one stack. */
static void add_scheme(adm_text *text, const char *name, const adm_stack_config *stack)
{
    adm_text_add(text, "{\"name\": \"written_out\", \"source\": \"the C library\"");
    add_word(text, "final_norm", NORMS[stack->norm_final]);
    adm_text_add(text, ", \"embedding_gain\": {\"%s\": ", name);
    adm_text_add_number(text, stack->embedding_gain);
    adm_text_add(text, "}, \"sublayers\": {\"%s\": [", name);
    for (int64_t i = 0; i < adm_stack_num_sublayers(stack); i++) {
        adm_text_add(text, "%s", i > 0 ? ", " : "");
        add_sublayer(text, &stack->sublayers[i]);
    }
    adm_text_add(text, "]}}");
}

/* What is left out is as Python has it by default, here and below. */
static void add_rotary(adm_text *text, const adm_rotary_config *rotary)
{
    if (rotary->theta > 0)
        add_number(text, "rotary_theta", rotary->theta);
    if (rotary->width > 0)
        adm_text_add(text, ", \"rotary_width\": %lld", (long long)rotary->width);
    add_bool(text, "rotary_interleaved", rotary->interleaved);
    if (rotary->factor == 0)
        return;
    adm_text_add(text, ", \"rotary_scaling\": [");
    adm_text_add_number(text, rotary->factor);
    adm_text_add(text, ", ");
    adm_text_add_number(text, rotary->low_frequency_factor);
    adm_text_add(text, ", ");
    adm_text_add_number(text, rotary->high_frequency_factor);
    adm_text_add(text, ", %lld]", (long long)rotary->original_length);
}

static void add_attention(adm_text *text, const adm_attention_config *attention)
{
    if (attention->head_width > 0)
        adm_text_add(text, ", \"head_width\": %lld", (long long)attention->head_width);
    if (attention->kv_heads > 0)
        adm_text_add(text, ", \"kv_heads\": %lld", (long long)attention->kv_heads);
    if (attention->scale > 0)
        add_number(text, "attention_scale", attention->scale);
    if (attention->score_cap > 0)
        add_number(text, "score_cap", attention->score_cap);
    add_word(text, "qk_norm", NORMS[attention->qk_norm]);
    add_bool(text, "qk_norm_whole", attention->qk_norm_whole);
}

/* One for each layer, the encoder's first; nothing where there is none. */
static void add_windows(adm_text *text, const adm_config *config)
{
    const adm_stack_config *stacks[] = {&config->encoder, &config->decoder};
    bool any = false;
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; i < adm_stack_num_sublayers(stacks[s]); i++)
            any |= stacks[s]->sublayers[i].window > 0;
    if (!any)
        return;
    const char *between = ", \"attention_window\": [";
    for (int s = 0; s < 2; s++)
        for (int64_t layer = 0; layer < stacks[s]->layers; layer++, between = ", ") {
            const int64_t window = stacks[s]->sublayers[layer * adm_stack_per_layer(stacks[s])].window;
            if (window > 0)
                adm_text_add(text, "%s%lld", between, (long long)window);
            else
                adm_text_add(text, "%snull", between);
        }
    adm_text_add(text, "]");
}

static void add_embedding_norm(adm_text *text, const adm_config *config)
{
    const adm_norm_kind encoder = config->encoder.norm_embedding, decoder = config->decoder.norm_embedding;
    if (encoder == decoder || config->decoder.layers == 0)
        add_word(text, "embedding_norm", NORMS[encoder]);
    else if (config->encoder.layers == 0)
        add_word(text, "embedding_norm", NORMS[decoder]);
    else
        adm_text_add(text, ", \"embedding_norm\": [\"%s\", \"%s\"]", NORMS[encoder], NORMS[decoder]);
}

static adm_status check_words(const adm_config *config, adm_error *error)
{
    const adm_stack_config *encoder = &config->encoder, *decoder = &config->decoder;
    if (config->vocab_size == 0)
        return adm_fail(error, ADM_ERROR_STATE, "a model without a vocabulary has no file");
    if (encoder->layers > 0 && encoder->causal)
        return adm_fail(error, ADM_ERROR_VALUE, "encoder.causal must be false in a file");
    if (decoder->layers > 0 && !decoder->causal)
        return adm_fail(error, ADM_ERROR_VALUE, "decoder.causal must be true in a file");
    if (encoder->layers > 0 && decoder->layers > 0 && encoder->input_scale != decoder->input_scale)
        return adm_fail(error, ADM_ERROR_VALUE, "input_scale of both stacks must be the same in a file");
    return ADM_OK;
}

adm_status adm_config_text(const adm_config *config, adm_text *text, adm_error *error)
{
    const adm_status status = check_words(config, error);
    if (status != ADM_OK)
        return status;
    const bool encoder = config->encoder.layers > 0, decoder = config->decoder.layers > 0;
    adm_text_add(text, "{\"vocab_size\": %lld", (long long)config->vocab_size);
    adm_text_add(text, ", \"encoder_layers\": %lld", (long long)config->encoder.layers);
    adm_text_add(text, ", \"decoder_layers\": %lld", (long long)config->decoder.layers);
    adm_text_add(text, ", \"d_model\": %lld", (long long)config->d_model);
    adm_text_add(text, ", \"heads\": %lld", (long long)config->heads);
    adm_text_add(text, ", \"d_ff\": %lld", (long long)config->d_ff);
    adm_text_add(text, ", \"max_length\": %lld", (long long)config->max_length);
    add_attention(text, &config->attention);
    add_windows(text, config);
    if (config->positions == ADM_POSITIONS_ROTARY)
        add_rotary(text, &config->attention.rotary);
    if (config->logits_cap > 0)
        add_number(text, "logits_cap", config->logits_cap);
    add_number(text, "dropout", config->dropout);
    add_number(text, "attention_dropout", config->attention_dropout);
    add_number(text, "activation_dropout", config->activation_dropout);
    add_number(text, "norm_eps", config->norm_eps);
    if (config->embedding_scale > 0) /* or it is the usual one */
        add_number(text, "embedding_scale", config->embedding_scale);
    add_embedding_norm(text, config);
    add_word(text, "activation", ACTIVATIONS[config->activation]);
    add_bool(text, "gated", config->gated);
    add_word(text, "bias", BIASES[config->bias]);
    add_bool(text, "output_bias", config->output_bias);
    if (config->logits_scale > 0) /* or it is 1 */
        add_number(text, "logits_scale", config->logits_scale);
    add_word(text, "positions", POSITIONS[config->positions]);
    add_word(text, "share_embeddings", SHARES[config->share_embeddings]);
    add_word(text, "input_scale",
             SCALES[encoder ? config->encoder.input_scale : config->decoder.input_scale]);
    adm_text_add(text, ", \"scheme\": %s", encoder && decoder ? "[" : "");
    if (encoder)
        add_scheme(text, "encoder", &config->encoder);
    adm_text_add(text, "%s", encoder && decoder ? ", " : "");
    if (decoder)
        add_scheme(text, "decoder", &config->decoder);
    adm_text_add(text, "%s", encoder && decoder ? "]}" : "}");
    if (text->failed)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for the header of a file");
    return ADM_OK;
}
