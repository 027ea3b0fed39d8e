/* What programs in C have beside the core: structs to begin with, clipping, files. And that a wrong argument of any public
   function is answered, whatever it is. */
#undef NDEBUG
#define _GNU_SOURCE /* mkdtemp with -std=c11 */
#include "admin/admin.h"

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_SUBLAYERS 8

static adm_sublayer_config sublayers[MOST_SUBLAYERS];
static adm_error error;

static adm_config small(adm_scheme scheme)
{
    adm_config config = adm_config_default();
    config.vocab_size = 5;
    config.encoder.layers = config.decoder.layers = 1;
    config.d_model = config.heads = 2;
    config.d_ff = 3;
    assert(adm_config_num_sublayers(&config) <= MOST_SUBLAYERS);
    assert(adm_config_use_scheme(&config, scheme, sublayers, &error) == ADM_OK);
    return config;
}

static adm_model *model_of(const adm_config *config, uint64_t seed)
{
    adm_model *model = NULL;
    assert(adm_model_create(config, adm_kernels_select(), &model, &error) == ADM_OK);
    assert(adm_model_init_weights(model, seed, 1, NULL, &error) == ADM_OK);
    return model;
}

/* The call was refused, and its message has these words. */
static void refused(adm_status status, adm_status expected, const char *words)
{
    if (status != expected || error.status != expected || strstr(error.message, words) == NULL) {
        fprintf(stderr, "%d for %d: '%s' lacks '%s'\n", status, expected, error.message, words);
        assert(false);
    }
}

static const int32_t TOKENS[] = {1, 2, 3, 4};
static const int64_t OFFSETS[] = {0, 4};
static const adm_batch BATCH = {{TOKENS, OFFSETS, 1}, {TOKENS, OFFSETS, 1}};

static void test_defaults_are_right(void)
{
    for (int scheme = ADM_SCHEME_POST_LN; scheme <= (int)ADM_SCHEME_ADMIN; scheme++) {
        const adm_config config = small((adm_scheme)scheme);
        assert(adm_config_check(&config, &error) == ADM_OK);
    }
    for (int kind = ADM_OPTIM_SGD; kind <= (int)ADM_OPTIM_NOVOGRAD; kind++) {
        const adm_optim_config config = adm_optim_default((adm_optim_kind)kind);
        assert(adm_optim_check(&config, &error) == ADM_OK);
    }
    for (int kind = ADM_SCALE_NONE; kind <= (int)ADM_SCALE_VECTOR; kind++) {
        adm_config config = small(ADM_SCHEME_POST_LN);
        const adm_scale scale = adm_scale_default((adm_scale_kind)kind);
        assert(scale.value == 1.0 && scale.trained == (kind != ADM_SCALE_NONE) && !scale.shared);
        config.encoder = adm_stack_default(config.encoder.layers);
        config.encoder.sublayers = sublayers;
        sublayers[0].omega = sublayers[0].alpha = scale;
        sublayers[0].gains = adm_gains_default();
        assert(adm_config_check(&config, &error) == ADM_OK);
    }
    const adm_run run = adm_run_default();
    assert(adm_run_check(&run, &error) == ADM_OK);
    assert(strcmp(adm_version(), ADM_VERSION) == 0);
}

static void test_a_wrong_configuration_is_named(void)
{
    adm_config config = small(ADM_SCHEME_ADMIN);
    adm_model *model = NULL;
    const adm_kernels *kernels = adm_kernels_select();
    refused(adm_config_use_scheme(&config, (adm_scheme)9, sublayers, &error), ADM_ERROR_VALUE, "scheme");
    refused(adm_config_use_scheme(&config, ADM_SCHEME_ADMIN, NULL, &error), ADM_ERROR_VALUE, "sublayers");
    refused(adm_model_create(&config, NULL, &model, &error), ADM_ERROR_VALUE, "kernels");
    config.heads = 0;
    refused(adm_model_create(&config, kernels, &model, &error), ADM_ERROR_VALUE, "heads");
    config = small(ADM_SCHEME_ADMIN);
    config.activation = (adm_activation)7;
    refused(adm_config_check(&config, &error), ADM_ERROR_VALUE, "activation");
    config = small(ADM_SCHEME_ADMIN);
    config.bias = (adm_bias)9;
    refused(adm_config_check(&config, &error), ADM_ERROR_VALUE, "bias");
    config = small(ADM_SCHEME_ADMIN);
    config.logits_scale = -1;
    refused(adm_config_check(&config, &error), ADM_ERROR_VALUE, "logits_scale");
    config = small(ADM_SCHEME_ADMIN);
    config.decoder.sublayers = NULL;
    refused(adm_model_create(&config, kernels, &model, &error), ADM_ERROR_VALUE, "decoder");
    config = small(ADM_SCHEME_ADMIN);
    sublayers[3].norm_post = (adm_norm_kind)-1;
    refused(adm_config_check(&config, &error), ADM_ERROR_VALUE, "decoder.sublayers[1].norm_post");
    assert(model == NULL);
}

static void test_a_wrong_run_is_named(adm_model *model)
{
    adm_loss loss;
    adm_real result[64];
    adm_run run = adm_run_default();
    run.threads = 0;
    refused(adm_run_check(&run, &error), ADM_ERROR_VALUE, "threads");
    refused(adm_model_forward(model, &BATCH, &run, result, &error), ADM_ERROR_VALUE, "threads");
    refused(adm_model_backward(model, &BATCH, &run, &loss, &error), ADM_ERROR_VALUE, "threads");
    refused(adm_model_init_weights(model, 1, 0, NULL, &error), ADM_ERROR_VALUE, "threads");
    run = adm_run_default();
    adm_stop stop = adm_stop_default(NULL, NULL);
    run.stop = &stop;
    refused(adm_model_loss(model, &BATCH, &run, &loss, &error), ADM_ERROR_VALUE, "stop");
    adm_batch batch = BATCH;
    batch.target.offsets = NULL;
    refused(adm_model_check_batch(model, &batch, &error), ADM_ERROR_VALUE, "target");
    batch = BATCH;
    batch.source.tokens = NULL;
    refused(adm_model_check_batch(model, &batch, &error), ADM_ERROR_VALUE, "source");
    double numbers[3] = {0};
    refused(adm_model_norms(adm_model_params(model), result, NULL, numbers, 0, &error), ADM_ERROR_VALUE,
            "threads");
}

static void test_wrong_places_are_named(adm_model *model)
{
    double found[6][3];
    adm_real result[64];
    adm_profile profiles[] = {{found[0], found[1], found[2]}, {found[3], found[4], found[5]}};
    adm_run run = adm_run_default();
    refused(adm_model_profile(model, &BATCH, &run, (adm_profile_method)2, true, profiles, &error),
            ADM_ERROR_VALUE, "method");
    profiles[1].var_input = NULL;
    refused(adm_model_profile(model, &BATCH, &run, ADM_PROFILE_PAPER, true, profiles, &error),
            ADM_ERROR_VALUE, "NULL");
    run.observe = true;
    assert(adm_model_forward(model, &BATCH, &run, result, &error) == ADM_OK);
    refused(adm_model_activation(model, 0, 1, (adm_activation_site)7, result, &error), ADM_ERROR_VALUE,
            "site");
    refused(adm_model_activation(model, 2, 0, ADM_SITE_OUTPUT, result, &error), ADM_ERROR_VALUE, "stack");
    assert(adm_model_num_sublayers(model, -1) == 0 && adm_model_omega_offset(model, 0, 2) == -1);
    assert(adm_model_observation(model, 2).num_sublayers == 0 && adm_model_activation_rows(model, -1) == 0);
    adm_model *outline = NULL;
    const adm_config config = small(ADM_SCHEME_ADMIN);
    assert(adm_model_outline(&config, adm_kernels_select(), &outline, &error) == ADM_OK);
    refused(adm_model_forward(outline, &BATCH, &run, result, &error), ADM_ERROR_STATE, "outline");
    refused(adm_model_init_weights(outline, 1, 1, NULL, &error), ADM_ERROR_STATE, "outline");
    refused(adm_model_save(outline, "/dev/null", &error), ADM_ERROR_STATE, "outline");
    refused(adm_model_load(outline, "/dev/null", &error), ADM_ERROR_STATE, "outline");
    adm_model_free(outline);
}

static void test_gradients_are_clipped(adm_model *model)
{
    adm_loss loss;
    double before, after;
    const adm_run run = adm_run_default();
    adm_optim_config config = adm_optim_default(ADM_OPTIM_ADAM);
    adm_optim_input input = adm_optim_input_default(model);
    adm_optim_state state = {0};
    refused(adm_clip_gradients(&input, 1.0, NULL, &error), ADM_ERROR_STATE, "gradients");
    assert(adm_model_backward(model, &BATCH, &run, &loss, &error) == ADM_OK);
    input = adm_optim_input_default(model);
    refused(adm_clip_gradients(&input, 0.0, NULL, &error), ADM_ERROR_VALUE, "max_norm");
    assert(adm_clip_gradients(&input, 1e-3, &before, &error) == ADM_OK && before > 1e-3);
    assert(adm_clip_gradients(&input, 1e9, &after, &error) == ADM_OK && fabs(after - 1e-3) < 1e-9);
    refused(adm_optim_step(&config, &input, &state, NULL, &error), ADM_ERROR_VALUE, "m must");
    assert(adm_optim_state_create(&config, input.params, &state, &error) == ADM_OK);
    input.threads = 0;
    refused(adm_optim_step(&config, &input, &state, NULL, &error), ADM_ERROR_VALUE, "threads");
    input.threads = 1;
    config.kind = (adm_optim_kind)5;
    refused(adm_optim_step(&config, &input, &state, NULL, &error), ADM_ERROR_VALUE, "kind");
    config.kind = ADM_OPTIM_ADAM;
    assert(adm_optim_step(&config, &input, &state, NULL, &error) == ADM_OK && state.step == 1);
    adm_model_gradients(model)[0] = (adm_real)NAN;
    refused(adm_clip_gradients(&input, 1.0, NULL, &error), ADM_ERROR_VALUE, "finite");
    adm_optim_state_free(&config, input.params, &state);
}

/* ---- files ---- */

static char folder[] = "/tmp/test_library.XXXXXX", path[64];

static void write_bytes(const char *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");
    assert(file != NULL && fwrite(bytes, 1, count, file) == count && fclose(file) == 0);
}

static char *read_bytes(size_t *count)
{
    struct stat found;
    FILE *file = fopen(path, "rb");
    assert(file != NULL && stat(path, &found) == 0);
    char *bytes = malloc((size_t)found.st_size);
    *count = (size_t)found.st_size;
    assert(bytes != NULL && fread(bytes, 1, *count, file) == *count && fclose(file) == 0);
    return bytes;
}

static bool same_weights(adm_model *a, adm_model *b)
{
    const size_t bytes = (size_t)adm_model_params(a)->length * sizeof(adm_real);
    return memcmp(adm_model_weights(a), adm_model_weights(b), bytes) == 0;
}

static void test_a_file_comes_back(const adm_config *config)
{
    adm_model *saved = model_of(config, 1), *loaded = model_of(config, 2);
    assert(adm_model_save(saved, path, &error) == ADM_OK && !same_weights(saved, loaded));
    assert(adm_model_load(loaded, path, &error) == ADM_OK && same_weights(saved, loaded));
    assert(chmod(path, 0600) == 0 && adm_model_save(loaded, path, &error) == ADM_OK); /* in its place */
    struct stat found;
    assert(stat(path, &found) == 0 && (found.st_mode & 0777) == 0600);
    adm_model_free(saved);
    adm_model_free(loaded);
}

static void test_what_cannot_be_written(adm_model *model)
{
    refused(adm_model_save(model, NULL, &error), ADM_ERROR_VALUE, "path");
    refused(adm_model_save(model, "/nowhere/at/all", &error), ADM_ERROR_FILE, "/nowhere");
    refused(adm_model_save(model, folder, &error), ADM_ERROR_FILE, "plain");
    refused(adm_model_load(model, folder, &error), ADM_ERROR_FILE, "plain");
    refused(adm_model_load(model, "/nowhere/at/all", &error), ADM_ERROR_FILE, "/nowhere");
}

/* Cut anywhere, and with any byte of the header another one: refused without a weight changed, or read. */
static void test_damaged_files(const adm_config *config)
{
    static const char OTHERS[] = {'\0', '"', '\\', '}', '{', ',', '9', (char)0xff};
    size_t count;
    adm_model *model = model_of(config, 1), *before = model_of(config, 1);
    assert(adm_model_save(model, path, &error) == ADM_OK);
    char *bytes = read_bytes(&count);
    const size_t header = 8 + (size_t)(unsigned char)bytes[0] + 256 * (size_t)(unsigned char)bytes[1];
    for (size_t length = 0; length < count; length += 61) {
        write_bytes(bytes, length);
        refused(adm_model_load(model, path, &error), ADM_ERROR_FILE, path);
        assert(same_weights(model, before));
    }
    for (size_t i = 0; i < header; i += i < 64 ? 1 : 5) {
        const char right = bytes[i];
        bytes[i] = OTHERS[i % sizeof OTHERS];
        write_bytes(bytes, count);
        if (adm_model_load(model, path, &error) != ADM_OK)
            assert(error.status == ADM_ERROR_FILE && same_weights(model, before));
        memcpy(adm_model_weights(model), adm_model_weights(before),
               (size_t)adm_model_params(model)->length * sizeof(adm_real));
        bytes[i] = right;
    }
    memset(bytes, 0xff, 8); /* a header of 2^64 - 1 bytes */
    write_bytes(bytes, count);
    refused(adm_model_load(model, path, &error), ADM_ERROR_FILE, "cut off");
    free(bytes);
    adm_model_free(model);
    adm_model_free(before);
}

static void test_other_models(const adm_config *config)
{
    adm_config other = *config;
    other.d_ff = 4;
    adm_model *model = model_of(config, 1), *wider = model_of(&other, 1);
    assert(adm_model_save(model, path, &error) == ADM_OK);
    refused(adm_model_load(wider, path, &error), ADM_ERROR_FILE, "shape");
    other = small(ADM_SCHEME_PRE_LN);
    adm_model *plain = model_of(&other, 1);
    refused(adm_model_load(plain, path, &error), ADM_ERROR_FILE, "norm_post");
    assert(adm_model_save(plain, path, &error) == ADM_OK);
    refused(adm_model_load(model, path, &error), ADM_ERROR_FILE, "norm_pre");
    adm_model_free(model);
    adm_model_free(wider);
    adm_model_free(plain);
}

int main(void)
{
    (void)setlocale(LC_ALL, ""); /* a number's point is no business of the locale's */
    assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    const adm_config config = small(ADM_SCHEME_ADMIN);
    adm_model *model = model_of(&config, 1);
    test_defaults_are_right();
    test_a_wrong_configuration_is_named();
    test_a_wrong_run_is_named(model);
    test_wrong_places_are_named(model);
    test_gradients_are_clipped(model);
    test_what_cannot_be_written(model);
    small(ADM_SCHEME_ADMIN); /* sub-layers as they were */
    test_a_file_comes_back(&config);
    test_damaged_files(&config);
    test_other_models(&config);
    adm_model_free(model);
    assert(remove(path) == 0 && rmdir(folder) == 0);
    return EXIT_SUCCESS;
}
