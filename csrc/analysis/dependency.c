/* Dependency: y_i as a sum of components, followed exactly through the stack.

     c_ij = omega_i pre_i(c'_{i-1,j}) + kappa_i c'_lj,  c'_ij = post_i(c_ij)       components 0..i-1 and the biases
     c_ii = alpha_i Nbranch_i(a_i)                                                  the new one

   where post_i and pre_i (if the residual is normed) are the norms with the statistics of the pass, linear maps
   then; their biases nu go to a component of their self, and c'_l is the state at the layer's start.

   A group of whole sequences goes forward first, sub-layer by sub-layer, and leaves b_i and the norms' statistics.
   Then every token is followed alone through all sub-layers: its R + 2 components stay in the second-level cache. */
#include "admin/analysis.h"

#include "model/pass.h"
#include "model/resolve.h"

#include <string.h>

#define COLLECT_ROWS 64                  /* of one task that gathers after a sub-layer */
#define FOLLOW_TASKS 32                  /* at most, of a group; each has sums [R, R + 2] of its own */
#define FOLLOW_BYTES ((int64_t)32 << 20) /* of these sums, about */

enum { SUM_RESIDUAL = 0, SUM_BRANCH = 3, SUM_Y = 6, NUM_SUMS = 9 }; /* three of add_row_variances each */

/* One stack of one group. */
typedef struct tracker {
    adm_model *model;
    int stack;
    int64_t r, parts;               /* R, R + 2 */
    int64_t rows;                   /* of the group */
    int64_t sublayer;               /* just gone through */
    int64_t blocks;                 /* of COLLECT_ROWS */
    int64_t tasks;                  /* that follow tokens */
    adm_real *components;           /* [rows, R + 2, D] */
    adm_real *pre_rstd, *post_rstd; /* [R, rows] */
    adm_real *ones;                 /* [D] */
    adm_real *layers;               /* [threads, R + 2, D] components of one token at the start of a layer */
    double *collected;              /* [blocks, NUM_SUMS] */
    double *followed;               /* [tasks, R, R + 2] */
} tracker;

static void plan(tracker *self, adm_arena *arena)
{
    const int64_t d = self->model->config.d_model;
    self->components = adm_arena_real(arena, self->rows * self->parts * d);
    self->pre_rstd = adm_arena_real(arena, self->r * self->rows);
    self->post_rstd = adm_arena_real(arena, self->r * self->rows);
    self->ones = adm_arena_real(arena, d);
    self->layers = adm_arena_real(arena, self->model->ws.run.threads * self->parts * d);
    self->collected = adm_arena_double(arena, self->blocks * NUM_SUMS);
    self->followed = adm_arena_double(arena, self->tasks * self->r * self->parts);
}

static adm_status tracker_make(adm_model *model, int stack, adm_arena *arena, tracker *self, adm_error *error)
{
    const int64_t r = model->params.stacks[stack].num_sublayers, rows = model->ws.stacks[stack].rows;
    const int64_t sums = r * (r + 2) * (int64_t)sizeof(double);
    *self = (tracker){.model = model, .stack = stack, .r = r, .parts = r + 2, .rows = rows};
    self->blocks = adm_pieces(rows, COLLECT_ROWS);
    self->tasks = adm_min(adm_min(FOLLOW_TASKS, rows), adm_max(FOLLOW_BYTES / sums, 1));
    adm_arena measured = {0};
    plan(self, &measured);
    adm_status status = adm_arena_reserve(arena, measured.used, error);
    if (status != ADM_OK)
        return status;
    arena->used = 0;
    plan(self, arena);
    for (int64_t c = 0; c < model->config.d_model; c++)
        self->ones[c] = 1;
    return ADM_OK;
}

/* ---- forward: b_i, statistics of norms, variances of the sums ---- */

static bool residual_is_normed(const adm_sublayer *sub)
{
    return sub->config->residual_normed && sub->pre.kind != ADM_NORM_NONE;
}

static void collect_input_task(void *context, int64_t block, int thread)
{
    (void)thread;
    const tracker *self = context;
    const adm_real *x0 = self->model->ws.stacks[self->stack].x0;
    const int64_t d = self->model->config.d_model, first = block * COLLECT_ROWS;
    for (int64_t t = first; t < adm_min(first + COLLECT_ROWS, self->rows); t++)
        memcpy(self->components + t * self->parts * d, x0 + t * d, (size_t)d * sizeof *x0);
}

static void collect_task(void *context, int64_t block, int thread)
{
    (void)thread;
    const tracker *self = context;
    const adm_model *model = self->model;
    const adm_sublayer *sub = &model->params.stacks[self->stack].sublayers[self->sublayer];
    const adm_sublayer_view view = adm_resolve(model, sub, ADM_ALL_CHUNKS);
    const int64_t d = model->config.d_model, k = self->sublayer, first = block * COLLECT_ROWS;
    const int64_t rows = adm_min(COLLECT_ROWS, self->rows - first);
    const adm_real *b = view.b + first * d, *y = view.y + first * d, *r = view.r + first * d;
    double *sums = self->collected + block * NUM_SUMS;
    memset(sums, 0, NUM_SUMS * sizeof *sums);
    model->kernels->add_row_variances(view.omega != NULL ? view.omega : self->ones, r, rows, d,
                                      sums + SUM_RESIDUAL);
    model->kernels->add_row_variances(view.alpha != NULL ? view.alpha : self->ones, b, rows, d,
                                      sums + SUM_BRANCH);
    model->kernels->add_row_variances(self->ones, y, rows, d, sums + SUM_Y);
    for (int64_t i = 0; i < rows; i++) {
        const int64_t t = first + i;
        memcpy(self->components + (t * self->parts + k + 1) * d, b + i * d, (size_t)d * sizeof *b);
        if (adm_norm_exists(&view.pre))
            self->pre_rstd[k * self->rows + t] = view.pre.rstd[t];
        if (adm_norm_exists(&view.post))
            self->post_rstd[k * self->rows + t] = view.post.rstd[t];
    }
}

/* Sums of the group's blocks, in their order, are added to sums [R, NUM_SUMS]. */
static void forward(tracker *self, double *sums)
{
    adm_model *model = self->model;
    const int threads = model->ws.run.threads;
    adm_pass_embed(model, self->stack);
    adm_parallel_for(threads, self->blocks, collect_input_task, self);
    for (int64_t k = 0; k < self->r; k++) {
        self->sublayer = k;
        adm_pass_sublayer(model, self->stack, k);
        if (adm_stopped(model->ws.run.stop))
            return;
        adm_parallel_for(threads, self->blocks, collect_task, self);
        for (int64_t block = 0; block < self->blocks; block++)
            for (int i = 0; i < NUM_SUMS; i++)
                sums[k * NUM_SUMS + i] += self->collected[block * NUM_SUMS + i];
    }
    adm_pass_finish(model, self->stack);
}

/* ---- every token alone through all sub-layers ---- */

static adm_row_map map_of(const adm_model *model, const adm_norm_params *norm, const adm_real *rstd,
                          int64_t t)
{
    if (norm->kind == ADM_NORM_NONE)
        return (adm_row_map){0};
    const adm_norm_args args = adm_resolve_norm_args(model, norm);
    return (adm_row_map){norm->kind == ADM_NORM_LAYER, rstd[t], args.gamma, args.nu};
}

/* c = components of x_{k-1} [R + 2, D] become those of x_k; adds the variances of those of y_k. After the last
   sub-layer they stay those of y_R. */
static void follow_sublayer(const tracker *self, int64_t t, int64_t k, adm_real *c, adm_real *layer,
                            double *variances)
{
    const adm_model *model = self->model;
    const adm_stack *stack = &model->params.stacks[self->stack];
    const adm_sublayer *sub = &stack->sublayers[k];
    const adm_sublayer_buffers *buffers = &model->ws.stacks[self->stack].sublayers[k];
    const int64_t d = model->config.d_model, bias = self->r + 1;
    adm_component_step step = {.omega = buffers->omega != NULL ? buffers->omega : self->ones,
                               .kappa = (adm_real)sub->config->kappa};
    if (residual_is_normed(sub))
        step.pre = map_of(model, &sub->pre, self->pre_rstd + k * self->rows, t);
    if (k + 1 < self->r)
        step.post = map_of(model, &sub->post, self->post_rstd + k * self->rows, t);
    if (sub->layer_is_kept && sub->first_in_layer) { /* no branch of the layer is in its input */
        memcpy(layer, c, (size_t)((k + 1) * d) * sizeof *c);
        memset(layer + (k + 1) * d, 0, (size_t)(stack->per_layer * d) * sizeof *c);
        memcpy(layer + bias * d, c + bias * d, (size_t)d * sizeof *c);
    }
    const bool has_layer = sub->config->kappa != 0.0;
    const adm_component_step biased = step;
    step.pre.nu = step.post.nu = NULL;
    model->kernels->components_forward(&step, has_layer ? layer : NULL, c, variances, k + 1, d);
    model->kernels->components_forward(&biased, has_layer ? layer + bias * d : NULL, c + bias * d,
                                       variances + bias, 1, d);
    step.pre = (adm_row_map){0};
    step.omega = buffers->alpha != NULL ? buffers->alpha : self->ones;
    model->kernels->components_forward(&step, NULL, c + (k + 1) * d, variances + k + 1, 1, d);
}

static void follow_task(void *context, int64_t task, int thread)
{
    const tracker *self = context;
    const int64_t d = self->model->config.d_model;
    adm_real *layer = self->layers + thread * self->parts * d;
    double *sums = self->followed + task * self->r * self->parts;
    memset(sums, 0, (size_t)(self->r * self->parts) * sizeof *sums);
    for (int64_t t = task * self->rows / self->tasks; t < (task + 1) * self->rows / self->tasks; t++) {
        if (adm_stop_asked(self->model->ws.run.stop, thread))
            return;
        adm_real *c = self->components + t * self->parts * d;
        memset(c + (self->r + 1) * d, 0, (size_t)d * sizeof *c);
        for (int64_t k = 0; k < self->r; k++)
            follow_sublayer(self, t, k, c, layer, sums + k * self->parts);
    }
}

static void follow(tracker *self, adm_dependency *result)
{
    const int64_t d = self->model->config.d_model, cells = self->r * self->parts;
    adm_stop *stop = self->model->ws.run.stop;
    adm_parallel_for_until(stop, self->model->ws.run.threads, self->tasks, follow_task, self);
    for (int64_t task = 0; task < self->tasks; task++)
        for (int64_t i = 0; i < cells; i++)
            result->variances[i] += self->followed[task * cells + i];
    if (result->last != NULL)
        memcpy(result->last + result->rows * self->parts * d, self->components,
               (size_t)(self->rows * self->parts * d) * sizeof *self->components);
    result->rows += self->rows;
}

/* ---- groups ---- */

/* Tokens that a stack reads of sequence b. */
static int64_t tokens_read(const adm_model *model, int stack, const adm_batch *batch, int64_t b)
{
    const bool encoder = adm_has_stack(&model->params, ADM_ENCODER);
    const adm_sequences *side = stack == ADM_DECODER && encoder ? &batch->target : &batch->source;
    return side->offsets[b + 1] - side->offsets[b] - (stack == ADM_DECODER);
}

/* The sequences from `first` on whose components take max_bytes together, at least one: the first behind them. */
static int64_t group_end(const adm_model *model, const adm_batch *batch, int64_t first, int64_t max_bytes)
{
    double bytes[2] = {0, 0}; /* a product of four sizes */
    int64_t b = first;
    for (; b < batch->source.count; b++) {
        for (int s = 0; s < 2; s++) {
            const double r = (double)model->params.stacks[s].num_sublayers;
            if (r > 0)
                bytes[s] += (double)tokens_read(model, s, batch, b) * (r + 2) *
                            (double)model->config.d_model * (double)sizeof(adm_real);
        }
        if (b > first && (bytes[0] > (double)max_bytes || bytes[1] > (double)max_bytes))
            break;
    }
    return b;
}

static adm_status run_group(adm_model *model, const adm_batch *group, const adm_run *run, adm_arena *arena,
                            double *const sums[2], adm_dependency *const results[2], adm_error *error)
{
    adm_status status = adm_workspace_for_batch(model, group, run, ADM_KEEP_NOTHING, false, error);
    if (status != ADM_OK)
        return status;
    adm_pass_begin(model, run->stop, ADM_PACK_FORWARD);
    for (int s = 0; s < 2 && status == ADM_OK; s++) {
        tracker self;
        if (!adm_has_stack(&model->params, s))
            continue;
        status = tracker_make(model, s, arena, &self, error);
        if (status != ADM_OK)
            break;
        forward(&self, sums[s]);
        if (!adm_stopped(run->stop))
            follow(&self, results[s]);
    }
    const adm_status ended = adm_pass_end(model, error);
    return status == ADM_OK ? ended : status;
}

static adm_batch slice(const adm_batch *batch, int64_t first, int64_t end)
{
    adm_batch group = *batch;
    group.source.offsets += first;
    group.source.count = end - first;
    if (batch->target.count > 0) {
        group.target.offsets += first;
        group.target.count = end - first;
    }
    return group;
}

/* ---- the whole ---- */

static adm_status check_linear(const adm_model *model, adm_error *error)
{
    static const char *const stacks[] = {"encoder", "decoder"};
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; i < model->params.stacks[s].num_sublayers; i++) {
            const adm_sublayer *sub = &model->params.stacks[s].sublayers[i];
            const bool post = sub->post.kind == ADM_NORM_DYT;
            if (post || (residual_is_normed(sub) && sub->pre.kind == ADM_NORM_DYT))
                return adm_fail(
                    error, ADM_ERROR_VALUE,
                    "sub-layer %lld of the %s sends its residual through a DyT norm (%s), which is not "
                    "linear: its output is no sum of parts",
                    (long long)i + 1, stacks[s], post ? "norm_post" : "norm_pre");
        }
    return ADM_OK;
}

/* Var over all tokens and features, from sums over M rows of variances, means and squared means. */
static double whole_variance(const double *sums, double rows)
{
    const double mean = sums[1] / rows;
    return sums[0] / rows + (sums[2] / rows - mean * mean);
}

static void divide(int64_t r, const double *sums, adm_dependency *result)
{
    const double rows = (double)result->rows;
    for (int64_t i = 0; i < r * (r + 2); i++)
        result->variances[i] /= rows;
    for (int64_t k = 0; k < r; k++) {
        const double residual = whole_variance(sums + k * NUM_SUMS + SUM_RESIDUAL, rows);
        const double branch = whole_variance(sums + k * NUM_SUMS + SUM_BRANCH, rows);
        result->sums[k] = sums[k * NUM_SUMS + SUM_Y] / rows;
        result->predicted[k] = branch > 0 ? branch / (residual + branch) : 0;
    }
}

static adm_status run_groups(adm_model *model, const adm_batch *batch, const adm_run *run, int64_t max_bytes,
                             double *const sums[2], adm_dependency *const results[2], adm_error *error)
{
    adm_status status = ADM_OK;
    adm_arena arena = {0};
    for (int64_t first = 0; first < batch->source.count && status == ADM_OK;) {
        const int64_t end = group_end(model, batch, first, max_bytes);
        const adm_batch group = slice(batch, first, end);
        status = run_group(model, &group, run, &arena, sums, results, error);
        first = end;
    }
    adm_arena_free(&arena);
    return status;
}

adm_status adm_model_dependency(adm_model *model, const adm_batch *batch, const adm_run *run,
                                int64_t max_bytes, adm_dependency *encoder, adm_dependency *decoder,
                                adm_error *error)
{
    adm_dependency *const results[2] = {encoder, decoder};
    adm_run still = *run;
    still.training = still.observe = false;
    adm_status status = check_linear(model, error);
    if (status == ADM_OK)
        status = adm_model_check_batch(model, batch, error);
    if (status != ADM_OK)
        return status;
    const int64_t r[2] = {model->params.stacks[0].num_sublayers, model->params.stacks[1].num_sublayers};
    const size_t bytes = (size_t)((r[0] + r[1]) * NUM_SUMS) * sizeof(double);
    double *sums = adm_alloc(bytes);
    if (sums == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for the dependency");
    double *const both[2] = {sums, sums + r[0] * NUM_SUMS};
    for (int s = 0; s < 2; s++)
        if (r[s] > 0) {
            memset(results[s]->variances, 0, (size_t)(r[s] * (r[s] + 2)) * sizeof(double));
            results[s]->rows = 0;
        }
    status = run_groups(model, batch, &still, max_bytes, both, results, error);
    for (int s = 0; s < 2 && status == ADM_OK; s++)
        if (r[s] > 0)
            divide(r[s], both[s], results[s]);
    adm_release(sums, bytes);
    return status;
}
