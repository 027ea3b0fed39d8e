/* What a feed-forward branch computes between h and what its last map reads:

     hidden = dropout(activation(h W_in^T + bias))

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
    int64_t width;     /* F */
    adm_real *hidden;  /* [M, F] */
    adm_real *dhidden; /* [M, F] of what is gated; else it lies in in->dy */
} adm_feed_forward;

/* From h to the hidden units. */
void adm_feed_forward_forward_in(adm_worker *worker, const adm_feed_forward *block);
/* From the gradient of the hidden units to that of what the map computes. Adds to the gradient of its bias. */
void adm_feed_forward_backward_rows(adm_worker *worker, const adm_feed_forward *block);

#endif
