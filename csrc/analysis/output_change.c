/* Output change: two models of the same sizes go forward side by side, sub-layer by sub-layer, and what they add up
   is compared after each; nothing of all sub-layers is kept. */
#include "admin/analysis.h"

#include "model/pass.h"
#include "model/resolve.h"

#define COMPARE_ROWS 64 /* of one task */

enum { SUM_CHANGE = 0, SUM_BRANCH, SUM_Y = SUM_BRANCH + 3, NUM_SUMS = SUM_Y + 3 };

/* Two arrays of rows, and what the first model adds up in them. */
typedef struct comparison {
    const adm_model *model;
    const adm_real *x, *y; /* [M, D] of the two models */
    const adm_real *b;     /* [M, D] branch of the first, NULL for the input */
    const adm_real *alpha; /* [D] */
    const adm_real *ones;  /* [D] */
    int64_t rows;
    double *sums; /* [blocks, NUM_SUMS] */
} comparison;

static void compare_task(void *context, int64_t block, int thread)
{
    (void)thread;
    const comparison *self = context;
    const adm_kernels *kernels = self->model->kernels;
    const int64_t d = self->model->config.d_model, first = block * COMPARE_ROWS;
    const int64_t rows = adm_min(COMPARE_ROWS, self->rows - first);
    double *sums = self->sums + block * NUM_SUMS;
    for (int i = 0; i < NUM_SUMS; i++)
        sums[i] = 0;
    kernels->add_row_changes(self->x + first * d, self->y + first * d, (adm_real)self->model->config.norm_eps,
                             rows, d, &sums[SUM_CHANGE]);
    if (self->b == NULL)
        return;
    kernels->add_row_variances(self->alpha, self->b + first * d, rows, d, &sums[SUM_BRANCH]);
    kernels->add_row_variances(self->ones, self->x + first * d, rows, d, &sums[SUM_Y]);
}

/* Means over tokens, summed over blocks in their order. */
static void compare(comparison *self, double means[NUM_SUMS])
{
    const int64_t blocks = adm_pieces(self->rows, COMPARE_ROWS);
    adm_parallel_for(self->model->ws.run.threads, blocks, compare_task, self);
    for (int i = 0; i < NUM_SUMS; i++) {
        means[i] = 0;
        for (int64_t block = 0; block < blocks; block++)
            means[i] += self->sums[block * NUM_SUMS + i];
        means[i] /= (double)self->rows;
    }
}

static void compare_stack(adm_model *const models[2], int stack, comparison *self, adm_output_change *result)
{
    const adm_stack_buffers *buffers[2] = {&models[0]->ws.stacks[stack], &models[1]->ws.stacks[stack]};
    double means[NUM_SUMS];
    for (int m = 0; m < 2; m++)
        adm_pass_embed(models[m], stack);
    self->rows = buffers[0]->rows;
    self->x = buffers[0]->x0;
    self->y = buffers[1]->x0;
    self->b = NULL;
    compare(self, means);
    result->input_change = means[SUM_CHANGE];
    for (int64_t i = 0; i < models[0]->params.stacks[stack].num_sublayers; i++) {
        adm_sublayer_view views[2];
        for (int m = 0; m < 2; m++) {
            adm_pass_sublayer(models[m], stack, i);
            views[m] = adm_resolve(models[m], &models[m]->params.stacks[stack].sublayers[i], ADM_ALL_CHUNKS);
        }
        if (adm_stopped(models[0]->ws.run.stop))
            return;
        self->x = views[0].y;
        self->y = views[1].y;
        self->b = views[0].b;
        self->alpha = views[0].alpha != NULL ? views[0].alpha : self->ones;
        compare(self, means);
        result->change[i] = means[SUM_CHANGE];
        result->var_branch[i] = means[SUM_BRANCH];
        result->var_sum[i] = means[SUM_Y];
    }
    for (int m = 0; m < 2; m++)
        adm_pass_finish(models[m], stack);
}

static adm_status check_pair(const adm_model *model, const adm_model *other, adm_error *error)
{
    if (model == other)
        return adm_fail(error, ADM_ERROR_VALUE, "other must be another model, got the model itself");
    const int64_t sizes[2][3] = {
        {model->config.d_model, model->params.stacks[0].num_sublayers, model->params.stacks[1].num_sublayers},
        {other->config.d_model, other->params.stacks[0].num_sublayers,
         other->params.stacks[1].num_sublayers}};
    for (int i = 0; i < 3; i++)
        if (sizes[0][i] != sizes[1][i])
            return adm_fail(
                error, ADM_ERROR_VALUE,
                "other must have the model's width and sub-layers of encoder and decoder, %lld and %lld + "
                "%lld, got %lld and %lld + %lld",
                (long long)sizes[0][0], (long long)sizes[0][1], (long long)sizes[0][2],
                (long long)sizes[1][0], (long long)sizes[1][1], (long long)sizes[1][2]);
    return ADM_OK;
}

adm_status adm_models_output_change(adm_model *model, adm_model *other, const adm_batch *batch,
                                    const adm_run *run, adm_output_change *encoder,
                                    adm_output_change *decoder, adm_error *error)
{
    adm_model *const models[2] = {model, other};
    adm_output_change *const results[2] = {encoder, decoder};
    adm_run still = *run;
    still.training = still.observe = false;
    adm_status status = check_pair(model, other, error);
    for (int m = 0; m < 2 && status == ADM_OK; m++)
        status = adm_model_check_batch(models[m], batch, error);
    for (int m = 0; m < 2 && status == ADM_OK; m++)
        status = adm_workspace_for_batch(models[m], batch, &still, ADM_KEEP_NOTHING, false, error);
    if (status != ADM_OK)
        return status;
    const int64_t rows = adm_max(model->ws.stacks[0].rows, model->ws.stacks[1].rows);
    const int64_t blocks = adm_pieces(rows, COMPARE_ROWS);
    adm_arena arena = {0};
    status = adm_arena_reserve(&arena,
                               (size_t)(blocks * NUM_SUMS) * sizeof(double) +
                                   (size_t)model->config.d_model * sizeof(adm_real) + 2 * ADM_ALIGN,
                               error);
    if (status != ADM_OK)
        return status;
    adm_real *ones = adm_arena_real(&arena, model->config.d_model);
    for (int64_t c = 0; c < model->config.d_model; c++)
        ones[c] = 1;
    comparison self = {.model = model, .ones = ones, .sums = adm_arena_double(&arena, blocks * NUM_SUMS)};
    for (int m = 0; m < 2; m++)
        adm_pass_begin(models[m], run->stop, ADM_PACK_FORWARD);
    for (int s = 0; s < 2; s++)
        if (adm_has_stack(&model->params, s))
            compare_stack(models, s, &self, results[s]);
    adm_arena_free(&arena);
    (void)adm_pass_end(other, NULL); /* stopped by the same as the model's */
    return adm_pass_end(model, error);
}
