/* What a feed-forward branch computes between h and a:

     hidden = dropout(activation(h W_in^T + bias))
     a      = Ninner(hidden) W_out^T

   or, gated, where W_in is the rows of two matrices, of u and of the gate g:

     u, g   = h W_in^T + bias
     hidden = dropout(u activation(g)) */
#ifndef ADM_LAYERS_FEED_FORWARD_H
#define ADM_LAYERS_FEED_FORWARD_H

#include "layers/linear.h"
#include "layers/norm.h"
#include "layers/worker.h"

typedef struct adm_feed_forward {
    adm_activation activation;
    bool gated;
    adm_dropout dropout;
    int64_t row; /* of the first row in the batch: dropout's numbers are keyed by it */
    /* [M, D] -> [M, F], gated [M, 2F]; y becomes the derivatives of what is hidden by it, but is hidden itself with relu
       that is not gated */
    const adm_linear *in;
    const adm_linear *out; /* hidden, normed -> [M, D]; dx is the other's dy where not gated */
    const adm_norm *norm;  /* Ninner */
    adm_real *hidden;      /* [M, F] */
    adm_real *normed;      /* [M, F] Ninner(hidden), or NULL */
} adm_feed_forward;

/* One after another: from h to the hidden units, and from those to a. */
void adm_feed_forward_forward_in(adm_worker *worker, const adm_feed_forward *block);
void adm_feed_forward_forward_out(adm_worker *worker, const adm_feed_forward *block);
/* From the gradient of the hidden units to that of what the map computes. Adds to the gradient of its bias. */
void adm_feed_forward_backward_rows(adm_worker *worker, const adm_feed_forward *block);

#endif
