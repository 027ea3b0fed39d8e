#include "layers/cross_entropy.h"

#include <string.h>

void adm_cross_entropy_rows(adm_worker *worker, const adm_cross_entropy *entropy)
{
    const int64_t rows = entropy->rows, v = entropy->classes;
    const adm_real factor = entropy->gradient ? entropy->factor : 0;
    for (int64_t i = 0; i < rows; i++)
        worker->kernels->cross_entropy(entropy->logits + i * v, entropy->labels + i, 1, v, entropy->smoothing,
                                       factor, &entropy->losses[2 * i], &entropy->losses[2 * i + 1]);
    if (entropy->gradient && factor == 0) /* the kernel left none in place of the logits */
        memset(entropy->logits, 0, (size_t)(rows * v) * sizeof *entropy->logits);
}
