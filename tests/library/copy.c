/* Reads the file of a model with Python's default configuration of these sizes, and writes it again. */
#include <admin/admin.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    adm_sublayer_config sublayers[16];
    adm_config config = adm_config_default();
    adm_model *model;
    adm_error error;
    config.vocab_size = 11;
    config.encoder.layers = config.decoder.layers = 2;
    config.d_model = 16;
    config.heads = 4;
    config.d_ff = 24;
    config.embedding_scale = 2;
    config.positions = ADM_POSITIONS_ROTARY;
    config.decoder.norm_embedding = ADM_NORM_LAYER;
    config.logits_cap = 30;
    config.attention = (adm_attention_config){
        .head_width = 6,
        .kv_heads = 2,
        .scale = 0.5,
        .score_cap = 20,
        .qk_norm = ADM_NORM_RMS,
        .qk_norm_whole = true,
        .rotary = {.theta = 500,
                   .width = 4,
                   .interleaved = true,
                   .factor = 8,
                   .low_frequency_factor = 1,
                   .high_frequency_factor = 4,
                   .original_length = 16},
    };
    if (argc != 3 || adm_config_use_scheme(&config, ADM_SCHEME_ADMIN, sublayers, &error) != ADM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return EXIT_FAILURE;
    }
    config.encoder.sublayers[2].window = config.decoder.sublayers[0].window = 5;
    if (adm_model_create(&config, adm_kernels_select(), &model, &error) != ADM_OK ||
        adm_model_load(model, argv[1], &error) != ADM_OK ||
        adm_model_save(model, argv[2], &error) != ADM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return EXIT_FAILURE;
    }
    adm_model_free(model);
    return EXIT_SUCCESS;
}
