/* The one residual formula (admin/config.h) on the rows of a view:

     h   = s Npre(x), or s Npre(x_layer) in parallel   input
     a   = dropout(f(h))                               f: the branch
     y   = omega r + alpha Nbranch(a) + kappa x_layer  output
     x'  = Npost(y) */
#ifndef ADM_MODEL_RESIDUAL_H
#define ADM_MODEL_RESIDUAL_H

#include "model/resolve.h"

void adm_residual_input_forward(const adm_sublayer_view *view);
/* From dh and dy to dx_{i-1}. */
void adm_residual_input_backward(const adm_sublayer_view *view);
/* moments [4]: sums of x, x^2, a and a^2 are added to them; or NULL. */
void adm_residual_output_forward(const adm_sublayer_view *view, double *moments);
/* From dx_i to dy and da; adds to dlayer. */
void adm_residual_output_backward(const adm_sublayer_view *view);

#endif
