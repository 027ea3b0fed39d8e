/* What a decoder is inside. */
#ifndef ADM_DECODING_DECODER_H
#define ADM_DECODING_DECODER_H

#include "admin/decoder.h"
#include "decoding/history.h"
#include "model/model.h"

struct adm_decoder {
    adm_model *
        reader; /* shares the model's parameters; its workspace holds the keys and values of what was read at first */
    adm_model *stepper; /* and its workspace those of one step */
    adm_real *packed;   /* the weights, or NULL: the BLAS library's products take them as they are */
    bool has_packed;
    adm_history history; /* the hypotheses, and the keys and values of the steps */
    int64_t predicted;   /* rows of logits */
    adm_real *logits;    /* [logits_rows, V] */
    int64_t logits_rows;
    bool *finite;  /* [logits_rows] whether a row's logits are */
    int32_t *ids;  /* [logits_rows] of the first step */
    adm_real *top; /* [top_length] logits of the best of each row */
    int64_t top_length;
};

#endif
