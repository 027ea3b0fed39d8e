#include "layers/feed_forward.h"

void adm_feed_forward_forward_in(adm_worker *worker, const adm_feed_forward *block)
{
    const adm_kernels *kernels = worker->kernels;
    const int64_t rows = block->in->rows, f = block->width;
    const bool relu = block->activation == ADM_ACTIVATION_RELU && !block->gated;
    adm_linear_forward(worker, block->in, relu);
    adm_work_note(worker, ADM_WORK_PRODUCTS);
    if (block->gated)
        kernels->gated_forward(block->activation, block->in->y, block->hidden, rows, f);
    else if (!relu)
        kernels->activation_forward(block->activation, block->in->y, block->hidden, rows * f);
    kernels->dropout(block->hidden, rows, f, block->row, &block->dropout);
}

/* hidden = dropout(u activation(g)):           du, dg beside each other */
static void backward_gated(adm_worker *worker, const adm_feed_forward *block)
{
    worker->kernels->gated_backward(&(adm_gated_gradient){
        .rows = block->in->rows,
        .n = block->width,
        .row0 = block->row,
        .dropout = block->dropout,
        .dh = block->dhidden,
        .derivative = block->in->y,
        .dz = block->in->dy,
    });
}

/* hidden = dropout(activation(z)):             dz in its place */
static void backward_activation(adm_worker *worker, const adm_feed_forward *block)
{
    worker->kernels->activation_backward(&(adm_activation_gradient){
        .activation = block->activation,
        .rows = block->in->rows,
        .n = block->in->matrix.outputs,
        .row0 = block->row,
        .dropout = block->dropout,
        .dh = block->in->dy,
        .derivative = block->in->y,
        .h = block->hidden,
    });
}

/* z = h W_in^T + bias:                         dbias = sum of dz */
void adm_feed_forward_backward_rows(adm_worker *worker, const adm_feed_forward *block)
{
    if (block->gated)
        backward_gated(worker, block);
    else
        backward_activation(worker, block);
    adm_linear_backward_bias(worker, block->in);
    adm_work_note(worker, ADM_WORK_ROWS);
}
