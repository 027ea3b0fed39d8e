/* The one residual formula (see admin/config.h), forward and backward, on the rows of one chunk. */
#include "model/model_internal.h"

#include <string.h>

#define BLOCK_ELEMENTS 4096 /* of a few arrays at once in the first-level cache */

int64_t adm_row_block(int64_t n)
{
    return adm_max(BLOCK_ELEMENTS / n, 1);
}

adm_norm_args adm_norm_resolve(const adm_model *model, const adm_norm *norm)
{
    const adm_real *weights = model->weights;
    return (adm_norm_args){
        .kind = norm->kind,
        .n = norm->n,
        .eps = (adm_real)model->config.norm_eps,
        .gamma = norm->gamma < 0 ? NULL : weights + norm->gamma,
        .nu = norm->nu < 0 ? NULL : weights + norm->nu,
        .scale = norm->scale < 0 ? NULL : weights + norm->scale,
    };
}

adm_norm_grads adm_norm_partials(const adm_norm *norm, adm_real *partials)
{
    return (adm_norm_grads){
        .gamma = norm->partial_gamma < 0 ? NULL : partials + norm->partial_gamma,
        .nu = norm->partial_nu < 0 ? NULL : partials + norm->partial_nu,
        .scale = norm->partial_scale < 0 ? NULL : partials + norm->partial_scale,
    };
}

adm_matrix adm_linear_resolve(const adm_model *model, const adm_linear *linear)
{
    const adm_workspace *ws = &model->ws;
    return (adm_matrix){
        .weight = model->weights + linear->weight,
        .bias = model->weights + linear->bias,
        .packed = ws->packed == NULL ? NULL : ws->packed + linear->packing.forward,
        .packed_back = ws->packed_back == NULL ? NULL : ws->packed_back + linear->packing.back,
        .out = linear->out,
        .in = linear->in,
    };
}

/* Dropout on the output of a branch: place 0 of the sub-layer's sites (branch.c has the others). */
static adm_dropout branch_dropout(const adm_model *model, const adm_sublayer *sub)
{
    const adm_run *run = &model->ws.run;
    return adm_dropout_make(model->config.dropout, run->training, run->seed, run->step,
                            ((uint64_t)sub->stack << 32) + (uint64_t)sub->index * 4);
}

const adm_real *adm_sublayer_h(const adm_model *model, int stack, int64_t index)
{
    const adm_stack_acts *acts = &model->ws.stacks[stack];
    const adm_sublayer_acts *own = &acts->sublayers[index];
    if (own->h != NULL)
        return own->h;
    return own->normed != NULL ? own->normed : adm_stack_x(acts, index);
}

/* r: Npre(x) where the scheme says so, else x. */
static const adm_real *residual_of(const adm_model *model, const adm_sublayer *sub)
{
    const adm_stack_acts *stack = &model->ws.stacks[sub->stack];
    const adm_sublayer_acts *acts = &stack->sublayers[sub->index];
    return sub->config->residual_normed && acts->normed != NULL ? acts->normed
                                                                : adm_stack_x(stack, sub->index);
}

/* x_layer: input of the layer, or NULL where kappa is 0. */
static const adm_real *layer_input_of(const adm_model *model, const adm_sublayer *sub)
{
    const int64_t per_layer = model->stacks[sub->stack].per_layer;
    if (sub->config->kappa == 0.0)
        return NULL;
    return adm_stack_x(&model->ws.stacks[sub->stack], sub->index - sub->index % per_layer);
}

static const adm_real *rows_at(const adm_real *x, int64_t first, int64_t d)
{
    return x == NULL ? NULL : x + first * d;
}

/* h = s Npre(x) */
static void input_forward(adm_model *model, const adm_sublayer *sub, adm_span span)
{
    const adm_stack_acts *stack = &model->ws.stacks[sub->stack];
    const adm_sublayer_acts *acts = &stack->sublayers[sub->index];
    const int64_t d = model->config.d_model;
    const adm_real *x = adm_stack_x(stack, sub->index) + span.first * d;
    if (acts->normed != NULL) {
        const adm_norm_args norm = adm_norm_resolve(model, &sub->pre);
        model->kernels->norm_forward(&norm, x, acts->normed + span.first * d, acts->pre_stats + span.first,
                                     acts->pre_stats + stack->rows + span.first, span.rows);
        x = acts->normed + span.first * d;
    }
    if (acts->h != NULL)
        model->kernels->multiply((adm_real)sub->config->input_scale, x, acts->h + span.first * d,
                                 span.rows * d);
}

/* a += bias, dropout;  b = Nbranch(a);  y = omega r + alpha b + kappa x_layer;  out = Npost(y) */
static void output_forward(adm_model *model, const adm_sublayer *sub, adm_span span, double *moments)
{
    const adm_kernels *kernels = model->kernels;
    const adm_stack_acts *stack = &model->ws.stacks[sub->stack];
    const adm_sublayer_acts *acts = &stack->sublayers[sub->index];
    const int64_t d = model->config.d_model, block = adm_row_block(d);
    const adm_dropout dropout = branch_dropout(model, sub);
    const adm_norm_args branch = adm_norm_resolve(model, &sub->branch),
                        post = adm_norm_resolve(model, &sub->post);
    const adm_real *r = residual_of(model, sub), *layer = layer_input_of(model, sub);
    const adm_real *x = adm_stack_x(stack, sub->index), *bias = model->weights + sub->out.bias;
    for (int64_t i = span.first; i < span.first + span.rows; i += block) {
        const int64_t rows = adm_min(block, span.first + span.rows - i);
        adm_real *a = acts->a + i * d, *b = a;
        adm_real *y = acts->y != NULL ? acts->y + i * d : acts->x + i * d;
        kernels->add_bias(a, bias, rows, d);
        kernels->dropout(a, rows, d, i, &dropout);
        if (moments != NULL) {
            kernels->add_moments(x + i * d, rows * d, &moments[0], &moments[1]);
            kernels->add_moments(a, rows * d, &moments[2], &moments[3]);
        }
        if (acts->b != NULL) {
            b = acts->b + i * d;
            kernels->norm_forward(&branch, a, b, acts->branch_stats + i, acts->branch_stats + stack->rows + i,
                                  rows);
        }
        kernels->residual_forward(acts->omega, r + i * d, acts->alpha, b, (adm_real)sub->config->kappa,
                                  rows_at(layer, i, d), y, rows, d);
        if (acts->y != NULL)
            kernels->norm_forward(&post, y, acts->x + i * d, acts->post_stats + i,
                                  acts->post_stats + stack->rows + i, rows);
    }
}

/* From dx_i to dy (in ws.dy; in stack.dx where there is no Npost) and da:
     out = Npost(y):                          dy = Npost'(dx)
     y = omega r + alpha b + kappa x_layer:   domega = sum dy r, dalpha = sum dy b, db = alpha dy, dlayer += kappa dy
     b = Nbranch(dropout(a)):                 da = dropout(Nbranch'(db)), dbias = sum da */
static void output_backward(adm_model *model, const adm_sublayer *sub, adm_real *partials, adm_span span)
{
    adm_workspace *ws = &model->ws;
    const adm_kernels *kernels = model->kernels;
    const adm_stack_acts *stack = &ws->stacks[sub->stack];
    const adm_sublayer_acts *acts = &stack->sublayers[sub->index];
    const int64_t d = model->config.d_model, block = adm_row_block(d);
    const adm_dropout dropout = branch_dropout(model, sub);
    const adm_norm_args branch = adm_norm_resolve(model, &sub->branch),
                        post = adm_norm_resolve(model, &sub->post);
    const adm_norm_grads branch_grads = adm_norm_partials(&sub->branch, partials);
    const adm_norm_grads post_grads = adm_norm_partials(&sub->post, partials);
    const adm_real *r = residual_of(model, sub);
    for (int64_t i = span.first; i < span.first + span.rows; i += block) {
        const int64_t rows = adm_min(block, span.first + span.rows - i);
        const adm_real *dy = stack->dx + i * d;
        adm_real *da = ws->da[sub->index % 2] + i * d;
        if (acts->y != NULL) {
            kernels->norm_backward(&post, dy, acts->y + i * d, acts->post_stats + i,
                                   acts->post_stats + stack->rows + i, ws->dy + i * d, &post_grads, rows);
            dy = ws->dy + i * d;
        }
        if (sub->partial_omega >= 0)
            kernels->add_column_dots(dy, r + i * d, partials + sub->partial_omega, rows, d);
        if (sub->partial_alpha >= 0 && acts->b != NULL && ws->keep == ADM_KEEP_BACKWARD)
            kernels->norm_forward(&branch, acts->a + i * d, acts->b + i * d, acts->branch_stats + i,
                                  acts->branch_stats + stack->rows + i, rows); /* b again */
        if (sub->partial_alpha >= 0)
            kernels->add_column_dots(dy, (acts->b != NULL ? acts->b : acts->a) + i * d,
                                     partials + sub->partial_alpha, rows, d);
        if (sub->config->kappa != 0.0)
            kernels->axpy((adm_real)sub->config->kappa, dy, ws->dlayer + i * d, rows * d);
        kernels->scale_add(acts->alpha, dy, NULL, da, rows, d);
        if (acts->b != NULL)
            kernels->norm_backward(&branch, da, acts->a + i * d, acts->branch_stats + i,
                                   acts->branch_stats + stack->rows + i, da, &branch_grads, rows);
        if (acts->kept_da != NULL)
            memcpy(acts->kept_da + i * d, da, (size_t)(rows * d) * sizeof *da);
        kernels->dropout(da, rows, d, i, &dropout);
        kernels->add_column_sums(da, partials + sub->out.partial_bias, rows, d);
    }
}

/* From dh and dy to dx_{i-1}:
     h = s Npre(x), r = x:        dx = omega dy + Npre'(s dh)
     h = s Npre(x), r = Npre(x):  dx = Npre'(s dh + omega dy) */
static void input_backward(adm_model *model, const adm_sublayer *sub, adm_real *partials, adm_span span)
{
    adm_workspace *ws = &model->ws;
    const adm_kernels *kernels = model->kernels;
    const adm_stack_acts *stack = &ws->stacks[sub->stack];
    const adm_sublayer_acts *acts = &stack->sublayers[sub->index];
    const int64_t d = model->config.d_model, block = adm_row_block(d);
    const adm_norm_args pre = adm_norm_resolve(model, &sub->pre);
    const adm_norm_grads pre_grads = adm_norm_partials(&sub->pre, partials);
    const adm_real *x = adm_stack_x(stack, sub->index);
    for (int64_t i = span.first; i < span.first + span.rows; i += block) {
        const int64_t rows = adm_min(block, span.first + span.rows - i);
        const adm_real *dy = (acts->y != NULL ? ws->dy : stack->dx) + i * d;
        adm_real *dh = ws->dh + i * d, *dx = stack->dx + i * d;
        if (acts->h != NULL)
            kernels->multiply((adm_real)sub->config->input_scale, dh, dh, rows * d);
        if (acts->normed != NULL && sub->config->residual_normed) {
            kernels->scale_add(acts->omega, dy, dh, dx, rows, d);
            kernels->norm_backward(&pre, dx, x + i * d, acts->pre_stats + i,
                                   acts->pre_stats + stack->rows + i, dx, &pre_grads, rows);
        } else {
            if (acts->normed != NULL)
                kernels->norm_backward(&pre, dh, x + i * d, acts->pre_stats + i,
                                       acts->pre_stats + stack->rows + i, dh, &pre_grads, rows);
            kernels->scale_add(acts->omega, dy, dh, dx, rows, d);
        }
        if (sub->first_in_layer && sub->layer_has_kappa)
            kernels->axpy(1, ws->dlayer + i * d, dx, rows * d);
    }
}

/* What later sub-layers have overwritten since the forward pass (plan.c), computed again with the same bits: the
   input from the sum below, and from the input what the branch and its last product read. */
static void input_again(adm_model *model, const adm_sublayer *sub, adm_span span)
{
    const adm_kernels *kernels = model->kernels;
    const adm_stack_acts *stack = &model->ws.stacks[sub->stack];
    const adm_sublayer_acts *acts = &stack->sublayers[sub->index], *below = acts - 1;
    const int64_t m = stack->rows, d = model->config.d_model, i = span.first;
    if (model->ws.keep != ADM_KEEP_BACKWARD)
        return;
    if (sub->index > 0 && below->x_again) {
        const adm_norm_args post = adm_norm_resolve(model, &(sub - 1)->post);
        kernels->norm_forward(&post, below->y + i * d, below->x + i * d, below->post_stats + i,
                              below->post_stats + m + i, span.rows);
    }
    input_forward(model, sub, span);
    if (acts->inner_normed != NULL) {
        const adm_norm_args norm = adm_norm_resolve(model, &sub->inner);
        kernels->norm_forward(&norm, acts->inner + i * norm.n, acts->inner_normed + i * norm.n,
                              acts->inner_stats + i, acts->inner_stats + m + i, span.rows);
    }
}

void adm_sublayer_forward(adm_model *model, int stack, int64_t index, int64_t chunk, int thread)
{
    const adm_sublayer *sub = &model->stacks[stack].sublayers[index];
    const adm_stack_acts *acts = &model->ws.stacks[stack];
    const adm_span span = adm_chunk_span(&model->ws, acts->offsets, chunk);
    double *moments = NULL;
    if (model->ws.run.observe) {
        moments = acts->moments + (chunk * model->stacks[stack].num_sublayers + index) * 4;
        memset(moments, 0, 4 * sizeof *moments);
    }
    double since = adm_clock();
    input_forward(model, sub, span);
    adm_work_note(model, ADM_WORK_ROWS, thread, &since);
    adm_branch_forward(model, sub, adm_sublayer_h(model, stack, index) + span.first * model->config.d_model,
                       chunk, thread);
    since = adm_clock();
    output_forward(model, sub, span, moments);
    adm_work_note(model, ADM_WORK_ROWS, thread, &since);
}

void adm_sublayer_backward(adm_model *model, int stack, int64_t index, int64_t chunk, int thread)
{
    adm_workspace *ws = &model->ws;
    const adm_stack *own = &model->stacks[stack];
    const adm_sublayer *sub = &own->sublayers[index];
    const int64_t d = model->config.d_model, length = sub->slots.length;
    const adm_span span = adm_chunk_span(ws, ws->stacks[stack].offsets, chunk);
    adm_real *partials = ws->partials[index % 2] + chunk * length;
    double since = adm_clock();
    memset(partials, 0, (size_t)length * sizeof *partials);
    if (index % own->per_layer == own->per_layer - 1 && sub->layer_has_kappa)
        memset(ws->dlayer + span.first * d, 0, (size_t)(span.rows * d) * sizeof *ws->dlayer);
    input_again(model, sub, span);
    output_backward(model, sub, partials, span);
    adm_work_note(model, ADM_WORK_ROWS, thread, &since);
    adm_branch_backward(model, sub, partials, chunk, thread);
    since = adm_clock();
    input_backward(model, sub, partials, span);
    adm_work_note(model, ADM_WORK_ROWS, thread, &since);
}
