/* Attention of one query each against what hypotheses have read, or against their sources. */
#ifndef ADM_DECODING_ATTEND_H
#define ADM_DECODING_ATTEND_H

#include "decoding/decoder.h"
#include "model/resolve.h"

/* Of a sub-layer that attends, for the rows of a chunk of a step: what stands between the branch's `in` and `out`. Keeps
   the rows' own keys and values where they are the hypotheses'. */
void adm_decoder_attend(const adm_decoder *decoder, adm_worker *worker, const adm_sublayer_view *view);

#endif
