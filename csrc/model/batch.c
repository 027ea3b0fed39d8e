/* What of a batch a model can read, and what can be asked of a pass. */
#include "model/batch.h"

#include "model/model.h"

#include <math.h>

/* Sequences with at least `least` tokens, at most max_length of which are read. */
static adm_status check_sequences(const adm_model *model, const char *name, const adm_sequences *sequences,
                                  int64_t least, adm_error *error)
{
    const int64_t longest = model->config.max_length + least - 1, v = model->config.vocab_size;
    if (sequences->tokens == NULL || sequences->offsets == NULL)
        return adm_fail(error, ADM_ERROR_VALUE, "%s must have tokens and offsets, got NULL", name);
    if (sequences->offsets[0] < 0)
        return adm_fail(error, ADM_ERROR_VALUE, "%s: offsets must begin at 0 or above, got %lld", name,
                        (long long)sequences->offsets[0]);
    for (int64_t b = 0; b < sequences->count; b++) {
        const int64_t first = sequences->offsets[b], length = sequences->offsets[b + 1] - first;
        if (length < least)
            return adm_fail(error, ADM_ERROR_VALUE,
                            "%s: sequence %lld has %lld tokens, at least %lld are needed%s", name,
                            (long long)b, (long long)length, (long long)least,
                            least == 2 ? " (the first is only read, the last only predicted)" : "");
        if (length > longest)
            return adm_fail(error, ADM_ERROR_VALUE,
                            "%s: sequence %lld has %lld tokens, longer than max_length=%lld allows (%lld)",
                            name, (long long)b, (long long)length, (long long)model->config.max_length,
                            (long long)longest);
        for (int64_t i = first; i < first + length; i++)
            if (sequences->tokens[i] < 0 || sequences->tokens[i] >= v)
                return adm_fail(
                    error, ADM_ERROR_INDEX,
                    "%s: token id %d of sequence %lld at position %lld is outside the vocabulary [0, %lld)",
                    name, (int)sequences->tokens[i], (long long)b, (long long)(i - first), (long long)v);
    }
    return ADM_OK;
}

adm_status adm_model_check_batch(const adm_model *model, const adm_batch *batch, adm_error *error)
{
    const bool encoder = adm_has_stack(&model->params, ADM_ENCODER);
    const bool decoder = adm_has_stack(&model->params, ADM_DECODER);
    if (model->config.vocab_size == 0)
        return adm_fail(error, ADM_ERROR_STATE,
                        "a model without a vocabulary reads hidden states, not tokens");
    if (batch->source.count < 1)
        return adm_fail(error, ADM_ERROR_VALUE, "the batch is empty: at least one sequence is needed");
    if (encoder && decoder && batch->target.count != batch->source.count)
        return adm_fail(error, ADM_ERROR_VALUE,
                        "an encoder-decoder needs as many target as source sequences, got %lld and %lld",
                        (long long)batch->target.count, (long long)batch->source.count);
    adm_status status = check_sequences(model, "source", &batch->source, encoder ? 1 : 2, error);
    if (status == ADM_OK && encoder && decoder)
        status = check_sequences(model, "target", &batch->target, 2, error);
    return status;
}

adm_status adm_model_check_prefixes(const adm_model *model, const adm_batch *batch, adm_error *error)
{
    const bool encoder = adm_has_stack(&model->params, ADM_ENCODER);
    if (batch->source.count < 1)
        return adm_fail(error, ADM_ERROR_VALUE, "the batch is empty: at least one sequence is needed");
    if (encoder && batch->target.count != batch->source.count)
        return adm_fail(
            error, ADM_ERROR_VALUE,
            "an encoder-decoder needs as many targets, which begin its translations, as sources, got "
            "%lld and %lld",
            (long long)batch->target.count, (long long)batch->source.count);
    adm_status status = check_sequences(model, "source", &batch->source, 1, error);
    if (status == ADM_OK && encoder)
        status = check_sequences(model, "target", &batch->target, 1, error);
    return status;
}

adm_status adm_run_check(const adm_run *run, adm_error *error)
{
    if (run->threads < 1)
        return adm_fail(error, ADM_ERROR_VALUE, "threads must be at least 1, got %d", run->threads);
    if (!(run->label_smoothing >= 0.0 && run->label_smoothing <= 1.0))
        return adm_fail(error, ADM_ERROR_VALUE, "label_smoothing must be from 0 to 1, got %g",
                        run->label_smoothing);
    if (!(run->z_loss >= 0.0) || !isfinite((adm_real)run->z_loss))
        return adm_fail(error, ADM_ERROR_VALUE,
                        "z_loss must be at least 0 and finite in " ADM_DTYPE_NAME ", got %g", run->z_loss);
    if (!isfinite((adm_real)run->scale))
        return adm_fail(error, ADM_ERROR_VALUE, "scale must be finite in " ADM_DTYPE_NAME ", got %g",
                        run->scale);
    if (run->segment_layers < ADM_SEGMENTS_AUTO)
        return adm_fail(error, ADM_ERROR_VALUE, "a segment must have at least one layer, got %lld",
                        (long long)run->segment_layers);
    if (run->stop != NULL && run->stop->asked == NULL)
        return adm_fail(error, ADM_ERROR_VALUE, "stop must have something to ask, got NULL");
    if (run->segment_layers != 0 && run->observe && run->keep_gradients)
        return adm_fail(error, ADM_ERROR_VALUE,
                        "gradients of activations cannot be kept where activations are computed again");
    return ADM_OK;
}

int64_t adm_model_num_outputs(const adm_model *model, const adm_batch *batch)
{
    const bool decoder = adm_has_stack(&model->params, ADM_DECODER);
    const adm_sequences *read = decoder ? adm_decoded(&model->params, batch) : &batch->source;
    const int64_t tokens = read->count < 1 ? 0 : read->offsets[read->count] - read->offsets[0];
    return decoder ? tokens - read->count : tokens;
}
