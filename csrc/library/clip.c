#include "admin/optim.h"

#include <math.h>

adm_status adm_clip_gradients(adm_optim_input *input, double max_norm, double *norm, adm_error *error)
{
    if (!(max_norm > 0.0))
        return adm_fail(error, ADM_ERROR_VALUE, "max_norm must be above 0, got %g", max_norm);
    if (input->gradients == NULL)
        return adm_fail(error, ADM_ERROR_STATE,
                        "gradients must be there: a backward pass has to come before");
    const double found = fabs(input->grad_scale) * adm_norm2(input->kernels, input->gradients,
                                                             input->params->trained_length, input->threads);
    if (norm != NULL)
        *norm = found;
    if (!isfinite(found))
        return adm_fail(error, ADM_ERROR_VALUE, "the norm of the gradients must be finite, got %g", found);
    if (found > max_norm)
        input->grad_scale *= max_norm / found;
    return ADM_OK;
}
