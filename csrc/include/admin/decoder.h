/* Decoding: what a model predicts next, token by token. Sources are encoded once, keys and values are kept as they
   come, and hypotheses branch and end without any of these being copied.

     adm_decoder_begin     reads sources and prefixes; every sequence is one hypothesis, whose next token is predicted
     adm_decoder_reorder   says which hypotheses go on, and how often
     adm_decoder_step      appends a token to each and predicts the next */
#ifndef ADMIN_DECODER_H
#define ADMIN_DECODER_H

#include "admin/model.h"

ADM_BEGIN

typedef struct adm_decoder adm_decoder;

/* For a model with a causal decoder, which has to outlive it; passes of the model itself do not disturb it. */
ADM_API adm_status adm_decoder_create(adm_model *model, adm_decoder **decoder, adm_error *error);
ADM_API void adm_decoder_free(adm_decoder *decoder);

/* `batch`: an encoder-decoder's sources, and as targets what their translations begin with, one token at least; a language
   model's prompts as sources. With `pack` the weights are taken as they are now, which the first call does anyway; without
   it they must not have changed since. Of `run` threads and stop are read. Whatever fails, the decoder has no hypotheses
   then. */
ADM_API adm_status adm_decoder_begin(adm_decoder *decoder, const adm_batch *batch, bool pack,
                                     const adm_run *run, adm_error *error);
/* Hypothesis i becomes what hypothesis parents[i] was; there may be more or fewer than before. */
ADM_API adm_status adm_decoder_reorder(adm_decoder *decoder, const int64_t *parents, int64_t count,
                                       adm_error *error);
/* Appends ids[i] to hypothesis i. */
ADM_API adm_status adm_decoder_step(adm_decoder *decoder, const int32_t *ids, const adm_run *run,
                                    adm_error *error);

/* Hypotheses, N. */
ADM_API int64_t adm_decoder_rows(const adm_decoder *decoder);
/* Number of the sequence in the batch, and tokens so far, the prefix's included, of each [N]. */
ADM_API const int64_t *adm_decoder_sequences(const adm_decoder *decoder);
ADM_API const int64_t *adm_decoder_lengths(const adm_decoder *decoder);

/* Of the last step, or of adm_decoder_begin: rows are those of then, whatever was reordered since. */
ADM_API int64_t adm_decoder_predicted(const adm_decoder *decoder);
/* Logits [predicted, V], which may be changed: an element of -infinity is never among the top. */
ADM_API adm_real *adm_decoder_logits(adm_decoder *decoder);
/* log p of every token, [predicted, V] */
ADM_API adm_status adm_decoder_scores(adm_decoder *decoder, const adm_run *run, adm_real *scores,
                                      adm_error *error);
/* The k tokens of each row whose log p is largest, the largest first and of equal ones the smallest id first: [predicted, k]
   each, with -infinity and id -1 where there are fewer. The sum of p is taken before `forbid`, if not NULL, writes -infinity
   where a row [V] of logits must not be chosen. Logits that are not finite are an error, but for -infinity. */
typedef struct adm_top {
    int64_t k;
    double *scores;
    int32_t *ids;
    void (*forbid)(void *context, int64_t row, adm_real *logits);
    void *context;
} adm_top;
ADM_API adm_status adm_decoder_top(adm_decoder *decoder, const adm_top *top, const adm_run *run,
                                   adm_error *error);

/* Bytes held, the packed weights included. */
ADM_API size_t adm_decoder_memory(const adm_decoder *decoder);

ADM_END

#endif
