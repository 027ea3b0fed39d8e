/* Small models of Admin's sub-layers, and batches for them: where it does not matter which. */
#ifndef ADM_TESTS_SMALL_MODEL_H
#define ADM_TESTS_SMALL_MODEL_H

#include "admin/admin.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SMALL_V = 20,
    SMALL_D = 16,
    SMALL_F = 4 * SMALL_D,
    SMALL_MAX_LENGTH = 20,
    SMALL_MAX_LAYERS = 12,
    SMALL_MAX_SUBLAYERS = 3 * SMALL_MAX_LAYERS,
    SMALL_MAX_TEXTS = 40,
};

/* No vocabulary: layers alone. No encoder: a decoder without cross-attention. */
typedef struct small_sizes {
    int64_t vocab_size, encoder_layers, decoder_layers;
    double dropout;
} small_sizes;

static adm_status small_model_create(const small_sizes *sizes, adm_model **model, adm_error *error)
{
    adm_sublayer_config sublayers[SMALL_MAX_SUBLAYERS];
    for (int i = 0; i < SMALL_MAX_SUBLAYERS; i++)
        sublayers[i] = (adm_sublayer_config){
            .norm_post = ADM_NORM_LAYER,
            .input_scale = 1.0,
            .omega = {ADM_SCALE_VECTOR, true, false, 1.0},
            .profiled = true,
            .gains = {1, 1, 1, 1, 1, 1},
        };
    const bool cross = sizes->encoder_layers > 0;
    const adm_config config = {
        .vocab_size = sizes->vocab_size,
        .d_model = SMALL_D,
        .heads = 2,
        .d_ff = SMALL_F,
        .max_length = SMALL_MAX_LENGTH,
        .share_embeddings = ADM_SHARE_ALL,
        .dropout = sizes->dropout,
        .norm_eps = 1e-5,
        .encoder = {sizes->encoder_layers, false, false, ADM_NORM_NONE, ADM_NORM_NONE, ADM_SCALE_NONE, 1.0,
                    sublayers},
        .decoder = {sizes->decoder_layers, true, cross, ADM_NORM_NONE, ADM_NORM_NONE, ADM_SCALE_NONE, 1.0,
                    sublayers},
    };
    return adm_model_create(&config, adm_kernels_select(), model, error);
}

static adm_model *small_model_make(const small_sizes *sizes, uint64_t seed)
{
    adm_model *model = NULL;
    adm_error error;
    assert(small_model_create(sizes, &model, &error) == ADM_OK);
    assert(adm_model_init_weights(model, seed, 1, NULL, &error) == ADM_OK);
    return model;
}

/* Texts of one length, which are their own targets. */
typedef struct small_batch {
    int32_t tokens[SMALL_MAX_TEXTS * SMALL_MAX_LENGTH];
    int64_t offsets[SMALL_MAX_TEXTS + 1];
    adm_batch batch;
} small_batch;

static const adm_batch *small_batch_make(small_batch *self, int64_t texts, int64_t length)
{
    assert(texts <= SMALL_MAX_TEXTS && length <= SMALL_MAX_LENGTH);
    for (int64_t i = 0; i < texts * length; i++)
        self->tokens[i] = (int32_t)(i * 7 % SMALL_V);
    for (int64_t b = 0; b <= texts; b++)
        self->offsets[b] = b * length;
    self->batch = (adm_batch){{self->tokens, self->offsets, texts}, {self->tokens, self->offsets, texts}};
    return &self->batch;
}

#endif
