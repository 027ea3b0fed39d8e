/* Profiles and trains a small Transformer with Admin: to copy a sequence backwards. Prints how the loss falls.

     cc train.c $(pkg-config --cflags --libs admin) && ./a.out */
#include <admin/admin.h>

#include <stdio.h>
#include <stdlib.h>

enum { VOCABULARY = 12, SEQUENCES = 32, LENGTH = 6, STEPS = 300, BEGIN = 0, END = 1, FIRST = 2 };

static int32_t source[SEQUENCES * LENGTH], target[SEQUENCES * (LENGTH + 2)];
static int64_t source_offsets[SEQUENCES + 1], target_offsets[SEQUENCES + 1];

/* Random sequences, and the same backwards between BEGIN and END. */
static adm_batch draw_batch(void)
{
    for (int b = 0; b < SEQUENCES; b++) {
        int32_t *read = source + b * LENGTH, *predicted = target + b * (LENGTH + 2);
        for (int i = 0; i < LENGTH; i++)
            read[i] = predicted[LENGTH - i] = FIRST + rand() % (VOCABULARY - FIRST);
        predicted[0] = BEGIN;
        predicted[LENGTH + 1] = END;
        source_offsets[b + 1] = source_offsets[b] + LENGTH;
        target_offsets[b + 1] = target_offsets[b] + LENGTH + 2;
    }
    return (adm_batch){{source, source_offsets, SEQUENCES}, {target, target_offsets, SEQUENCES}};
}

static adm_error error;
static void check(adm_status status)
{
    if (status == ADM_OK)
        return;
    fprintf(stderr, "%s\n", error.message);
    exit(EXIT_FAILURE);
}

int main(void)
{
    adm_config config = adm_config_default();
    config.vocab_size = VOCABULARY;
    config.encoder.layers = config.decoder.layers = 3;
    config.d_model = 32;
    config.heads = 4;
    config.d_ff = 64;
    config.dropout = 0.0;
    adm_sublayer_config *sublayers = malloc(sizeof *sublayers * (size_t)adm_config_num_sublayers(&config));
    check(adm_config_use_scheme(&config, ADM_SCHEME_ADMIN, sublayers, &error));

    adm_model *model;
    check(adm_model_create(&config, adm_kernels_select(), &model, &error));
    free(sublayers); /* the model has a copy */
    adm_run run = adm_run_default();
    run.threads = 1;
    check(adm_model_init_weights(model, 1, run.threads, NULL, &error));
    adm_batch batch = draw_batch();
    double found[6][9]; /* no stack has more sub-layers */
    adm_profile profiles[] = {{found[0], found[1], found[2]}, {found[3], found[4], found[5]}};
    check(adm_model_profile(model, &batch, &run, ADM_PROFILE_CLINIC, true, profiles, &error));
    printf("omega of the last sub-layer %.3f\n", profiles[1].omega[8]);

    check(adm_model_need_gradients(model, &error));
    adm_optim_config adam = adm_optim_default(ADM_OPTIM_ADAM);
    adm_optim_input update = adm_optim_input_default(model);
    adm_optim_state state;
    check(adm_optim_state_create(&adam, update.params, &state, &error));
    for (int step = 0; step <= STEPS; step++) {
        adm_loss loss;
        batch = draw_batch();
        run.training = true;
        run.step = (uint64_t)step;
        check(adm_model_backward(model, &batch, &run, &loss, &error));
        update.lr = 0.003;
        update.grad_scale = 1.0;
        check(adm_clip_gradients(&update, 1.0, NULL, &error));
        check(adm_optim_step(&adam, &update, &state, NULL, &error));
        if (step % 100 == 0)
            printf("step %3d  loss %.3f\n", step, loss.nll);
    }
    check(adm_model_save(model, "model.safetensors", &error));
    adm_optim_state_free(&adam, update.params, &state);
    adm_model_free(model);
    return EXIT_SUCCESS;
}
