#include "model/residual.h"

#include <string.h>

/* h = s Npre(x), or s Npre(x_layer) in parallel */
void adm_residual_input_forward(const adm_sublayer_view *view)
{
    const adm_real *x = view->input;
    if (view->normed != NULL) {
        adm_norm_forward(view->kernels, &view->pre, x, view->normed, (adm_span){0, view->rows});
        x = view->normed;
    }
    if (view->scaled != NULL)
        view->kernels->multiply((adm_real)view->config->input_scale, x, view->scaled, view->rows * view->d);
}

/* h = s Npre(x), r = x:        dx = omega dy + Npre'(s dh)
   h = s Npre(x), r = Npre(x):  dx = Npre'(s dh + omega dy)
   h = s Npre(x_layer), r = x:  dx = omega dy, dx_layer += Npre'(s dh) */
void adm_residual_input_backward(const adm_sublayer_view *view)
{
    const adm_kernels *kernels = view->kernels;
    const int64_t d = view->d, block = adm_row_block(d);
    const adm_real scale = (adm_real)view->config->input_scale;
    const bool adds_layer = view->params->first_in_layer && view->params->layer_is_kept;
    adm_real *dh = view->maps[ADM_MAP_IN].dx, *dx = view->dx;
    for (int64_t i = 0; i < view->rows; i += block) {
        const adm_span span = {i, adm_min(block, view->rows - i)};
        const int64_t at = i * d, size = span.rows * d;
        if (view->scaled != NULL)
            kernels->multiply(scale, dh + at, dh + at, size);
        if (view->normed != NULL && view->config->residual_normed) {
            kernels->scale_add(view->omega, view->dy + at, dh + at, dx + at, span.rows, d);
            adm_norm_backward(kernels, &view->pre, dx, view->x, dx, span);
        } else {
            const bool parallel = view->config->parallel;
            if (view->normed != NULL)
                adm_norm_backward(kernels, &view->pre, dh, view->input, dh, span);
            if (parallel)
                kernels->axpy(1, dh + at, view->dlayer + at, size);
            kernels->scale_add(view->omega, view->dy + at, parallel ? NULL : dh + at, dx + at, span.rows, d);
        }
        if (adds_layer)
            kernels->axpy(1, view->dlayer + at, dx + at, size);
    }
}

/* a = dropout(f(h) + bias);  b = Nbranch(a);  y = omega r + alpha b + kappa x_layer;  x' = Npost(y) */
void adm_residual_output_forward(const adm_sublayer_view *view, double *moments)
{
    const adm_kernels *kernels = view->kernels;
    const int64_t d = view->d, block = adm_row_block(d);
    const adm_real kappa = (adm_real)view->config->kappa;
    for (int64_t i = 0; i < view->rows; i += block) {
        const adm_span span = {i, adm_min(block, view->rows - i)};
        const int64_t at = i * d, size = span.rows * d;
        adm_real *a = view->a + at;
        if (view->bias != NULL)
            kernels->add_bias(a, view->bias, span.rows, d);
        kernels->dropout(a, span.rows, d, view->first + i, &view->dropout);
        if (moments != NULL) {
            kernels->add_moments(view->x + at, size, &moments[0], &moments[1]);
            kernels->add_moments(a, size, &moments[2], &moments[3]);
        }
        if (adm_norm_exists(&view->branch))
            adm_norm_forward(kernels, &view->branch, view->a, view->b, span);
        kernels->residual_forward(&(adm_residual_sum){
            .rows = span.rows,
            .n = d,
            .omega = view->omega,
            .alpha = view->alpha,
            .kappa = kappa,
            .r = view->r + at,
            .b = view->b + at,
            .l = view->layer_input == NULL ? NULL : view->layer_input + at,
            .y = view->y + at,
        });
        if (adm_norm_exists(&view->post))
            adm_norm_forward(kernels, &view->post, view->y, view->x_next, span);
    }
}

/* x' = Npost(y):                           dy = Npost'(dx)
   y = omega r + alpha b + kappa x_layer:   domega = sum dy r, dalpha = sum dy b, db = alpha dy, dlayer += kappa dy
   b = Nbranch(a), a = dropout(f + bias):   da = dropout(Nbranch'(db)), dbias = sum da */
void adm_residual_output_backward(const adm_sublayer_view *view)
{
    const adm_kernels *kernels = view->kernels;
    const int64_t d = view->d, block = adm_row_block(d);
    const adm_real kappa = (adm_real)view->config->kappa;
    const bool branch = adm_norm_exists(&view->branch);
    adm_real *da = view->maps[ADM_MAP_OUT].dy;
    for (int64_t i = 0; i < view->rows; i += block) {
        const adm_span span = {i, adm_min(block, view->rows - i)};
        const int64_t at = i * d, size = span.rows * d;
        const adm_real *dy = view->dy + at;
        if (adm_norm_exists(&view->post))
            adm_norm_backward(kernels, &view->post, view->dx, view->y, view->dy, span);
        if (view->domega != NULL)
            kernels->add_column_dots(dy, view->r + at, view->domega, span.rows, d);
        if (view->dalpha != NULL && branch && view->shared)
            adm_norm_forward(kernels, &view->branch, view->a, view->b, span);
        if (view->dalpha != NULL)
            kernels->add_column_dots(dy, view->b + at, view->dalpha, span.rows, d);
        if (view->config->kappa != 0.0)
            kernels->axpy(kappa, dy, view->dlayer + at, size);
        kernels->scale_add(view->alpha, dy, NULL, da + at, span.rows, d);
        if (branch)
            adm_norm_backward(kernels, &view->branch, da, view->a, da, span);
        if (view->kept_da != NULL)
            memcpy(view->kept_da + at, da + at, (size_t)size * sizeof *da);
        kernels->dropout(da + at, span.rows, d, view->first + i, &view->dropout);
        if (view->maps[ADM_MAP_OUT].dbias != NULL)
            kernels->add_column_sums(da + at, view->maps[ADM_MAP_OUT].dbias, span.rows, d);
    }
}
