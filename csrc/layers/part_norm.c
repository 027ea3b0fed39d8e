#include "layers/part_norm.h"

#include <string.h>

/* y = norm(before), head by head or over the row's part */
void adm_part_norm_forward(const adm_kernels *kernels, const adm_part_norm *part)
{
    const adm_norm *norm = &part->norm;
    const int64_t width = part->count * norm->args.n;
    if (!adm_norm_exists(norm))
        return;
    for (int64_t i = 0; i < part->rows; i++) {
        adm_real *before = part->before + i * width, *y = part->y + i * part->stride;
        memcpy(before, y, (size_t)width * sizeof *y);
        kernels->norm_forward(&norm->args, before, y, norm->mean + i * part->count,
                              norm->rstd + i * part->count, part->count);
    }
}

/* y = norm(before):  dbefore = norm'(before) dy, in the place of dy */
void adm_part_norm_backward(const adm_kernels *kernels, const adm_part_norm *part)
{
    const adm_norm *norm = &part->norm;
    const int64_t width = part->count * norm->args.n;
    if (!adm_norm_exists(norm))
        return;
    for (int64_t i = 0; i < part->rows; i++) {
        adm_real *dy = part->dy + i * part->stride;
        kernels->norm_backward(&(adm_norm_gradient){
            .norm = &norm->args,
            .rows = part->count,
            .dy = dy,
            .x = part->before + i * width,
            .mean = norm->mean + i * part->count,
            .rstd = norm->rstd + i * part->count,
            .dx = dy,
            .grads = norm->grads,
        });
    }
}
