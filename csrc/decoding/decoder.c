#include "decoding/decoder.h"

#include "decoding/attend.h"
#include "model/batch.h"
#include "model/ends.h"
#include "model/output.h"
#include "model/pass.h"
#include "model/sublayer.h"
#include "model/work.h"

#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

static adm_status check_model(const adm_model *model, adm_error *error)
{
    if (model->config.vocab_size == 0)
        return adm_fail(error, ADM_ERROR_STATE, "a model without a vocabulary predicts no tokens");
    if (!adm_has_stack(&model->params, ADM_DECODER))
        return adm_fail(error, ADM_ERROR_STATE, "a model without a decoder predicts no tokens");
    if (!model->config.decoder.causal)
        return adm_fail(
            error, ADM_ERROR_STATE,
            "a decoder whose attention is not causal reads what comes after a token, so that none can "
            "be predicted after another");
    if (model->weights == NULL)
        return adm_fail(error, ADM_ERROR_STATE, "an outline has no weights to compute with");
    return ADM_OK;
}

adm_status adm_decoder_create(adm_model *model, adm_decoder **created, adm_error *error)
{
    *created = NULL;
    adm_status status = check_model(model, error);
    if (status != ADM_OK)
        return status;
    adm_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for a decoder");
    decoder->history.layers = model->config.decoder.layers;
    decoder->history.width = 2 * adm_width_of(&model->config, ADM_WIDTH_KEYS);
    if ((status = adm_model_share(model, &decoder->reader, error)) == ADM_OK)
        status = adm_model_share(model, &decoder->stepper, error);
    if (status != ADM_OK) {
        adm_decoder_free(decoder);
        return status;
    }
    *created = decoder;
    return ADM_OK;
}

static size_t packed_bytes(const adm_decoder *decoder)
{
    return (size_t)decoder->reader->packed_lengths.forward * sizeof(adm_real);
}

static size_t logits_bytes(const adm_decoder *decoder, int64_t rows)
{
    return (size_t)(rows * decoder->reader->config.vocab_size) * sizeof(adm_real);
}

static void free_logits(adm_decoder *decoder)
{
    if (decoder->logits != NULL)
        adm_release(decoder->logits, logits_bytes(decoder, decoder->logits_rows));
    free(decoder->finite);
    free(decoder->ids);
    decoder->logits = NULL;
    decoder->finite = NULL;
    decoder->ids = NULL;
    decoder->logits_rows = 0;
}

void adm_decoder_free(adm_decoder *decoder)
{
    if (decoder == NULL)
        return;
    if (decoder->packed != NULL)
        adm_release(decoder->packed, packed_bytes(decoder));
    free_logits(decoder);
    free(decoder->top);
    adm_history_free(&decoder->history);
    adm_model_unshare(decoder->reader);
    adm_model_unshare(decoder->stepper);
    free(decoder);
}

size_t adm_decoder_memory(const adm_decoder *decoder)
{
    const adm_workspace *read = &decoder->reader->ws, *step = &decoder->stepper->ws;
    return read->arena.capacity + read->workers.capacity + step->arena.capacity + step->workers.capacity +
           adm_history_bytes(&decoder->history) + logits_bytes(decoder, decoder->logits_rows) +
           (decoder->packed != NULL ? packed_bytes(decoder) : 0);
}

/* ---- a step ---- */

static void step_chunk(const adm_decoder *decoder, int64_t chunk, adm_worker *worker)
{
    adm_model *model = decoder->stepper;
    const adm_stack *stack = &model->params.stacks[ADM_DECODER];
    adm_embed_forward(model, ADM_DECODER, chunk);
    adm_work_note(worker, ADM_WORK_ROWS);
    for (int64_t i = 0; i < stack->num_sublayers && !adm_worker_stopped(worker); i++) {
        const adm_sublayer_view view = adm_resolve(model, &stack->sublayers[i], chunk);
        adm_sublayer_forward_before(&view, worker);
        if (view.params->kind->attends)
            adm_decoder_attend(decoder, worker, &view);
        adm_sublayer_forward_after(model, &view, chunk, worker);
    }
    adm_end_forward(model, ADM_DECODER, chunk);
    adm_work_note(worker, ADM_WORK_ROWS);
}

static void step_task(void *context, int64_t chunk, int thread)
{
    const adm_decoder *decoder = context;
    adm_worker worker = adm_worker_begin(decoder->stepper, thread);
    step_chunk(decoder, chunk, &worker);
}

/* Rows that are one chunk share their products out instead. */
static void run_step(adm_decoder *decoder)
{
    const adm_workspace *ws = &decoder->stepper->ws;
    if (ws->shape.chunks > 1) {
        adm_parallel_for_until(ws->run.stop, ws->run.threads, ws->shape.chunks, step_task, decoder);
        return;
    }
    const adm_flushing outer = adm_flush_begin(); /* as in a region */
    adm_worker worker = adm_worker_begin(decoder->stepper, 0);
    worker.team = ws->run.threads;
    step_chunk(decoder, 0, &worker);
    adm_flush_end(outer);
}

static adm_status need_logits(adm_decoder *decoder, int64_t rows, adm_error *error)
{
    if (rows <= decoder->logits_rows)
        return ADM_OK;
    free_logits(decoder);
    decoder->logits_rows = rows;
    decoder->logits = adm_alloc(logits_bytes(decoder, rows));
    decoder->finite = malloc((size_t)rows * sizeof *decoder->finite);
    decoder->ids = malloc((size_t)rows * sizeof *decoder->ids);
    if (decoder->logits != NULL && decoder->finite != NULL && decoder->ids != NULL)
        return ADM_OK;
    free_logits(decoder);
    return adm_fail(error, ADM_ERROR_MEMORY, "no memory for %zu bytes of logits",
                    logits_bytes(decoder, rows));
}

static adm_status check_step(const adm_decoder *decoder, const int32_t *ids, adm_error *error)
{
    const adm_config *config = &decoder->reader->config;
    const adm_history *history = &decoder->history;
    if (history->rows == 0)
        return adm_fail(error, ADM_ERROR_STATE, "there are no hypotheses: begin with a batch");
    for (int64_t i = 0; i < history->rows; i++) {
        if (ids[i] < 0 || ids[i] >= config->vocab_size)
            return adm_fail(error, ADM_ERROR_INDEX, "ids[%lld] is outside the vocabulary [0, %lld), got %d",
                            (long long)i, (long long)config->vocab_size, (int)ids[i]);
        if (history->lengths[i] >= config->max_length)
            return adm_fail(error, ADM_ERROR_VALUE,
                            "hypothesis %lld has %lld tokens, and the model reads no more (max_length)",
                            (long long)i, (long long)config->max_length);
    }
    return ADM_OK;
}

/* Appends a token to each hypothesis, and predicts the next. After an error there are no hypotheses. */
static adm_status take_step(adm_decoder *decoder, const int32_t *ids, const adm_run *run, adm_error *error)
{
    adm_history *history = &decoder->history;
    adm_status status = adm_history_prepare(history, error);
    const adm_steps steps = {ids, history->lengths, history->rows};
    if (status == ADM_OK)
        status = need_logits(decoder, history->rows, error);
    if (status == ADM_OK)
        status = adm_workspace_for_steps(decoder->stepper, &steps, run, error);
    if (status != ADM_OK)
        return status;
    adm_pass_begin(decoder->stepper, run->stop, ADM_PACK_FORWARD);
    run_step(decoder);
    adm_output_logits(decoder->stepper, decoder->logits);
    status = adm_pass_end(decoder->stepper, error);
    if (status != ADM_OK)
        return status;
    adm_history_advance(history);
    decoder->predicted = history->rows;
    return ADM_OK;
}

static adm_run plain_run(const adm_run *run)
{
    return (adm_run){.threads = run->threads, .stop = run->stop, .scale = 1.0};
}

/* What it is after an error. */
static adm_status emptied(adm_decoder *decoder, adm_status status)
{
    if (status != ADM_OK)
        decoder->history.rows = decoder->predicted = 0;
    return status;
}

adm_status adm_decoder_step(adm_decoder *decoder, const int32_t *ids, const adm_run *run, adm_error *error)
{
    const adm_run plain = plain_run(run);
    adm_status status = adm_run_check(&plain, error);
    if (status == ADM_OK)
        status = check_step(decoder, ids, error);
    if (status != ADM_OK)
        return status;
    return emptied(decoder, take_step(decoder, ids, &plain, error));
}

adm_status adm_decoder_reorder(adm_decoder *decoder, const int64_t *parents, int64_t count, adm_error *error)
{
    if (count < 0)
        return adm_fail(error, ADM_ERROR_VALUE, "there cannot be %lld hypotheses", (long long)count);
    return adm_history_reorder(&decoder->history, parents, count, error);
}

/* ---- the beginning ---- */

/* The weights as they are now. */
static adm_status take_weights(adm_decoder *decoder, bool pack, adm_error *error)
{
    if (decoder->reader->kernels->by_blas || (decoder->has_packed && !pack))
        return ADM_OK;
    if (decoder->packed == NULL)
        decoder->packed = adm_alloc(packed_bytes(decoder));
    if (decoder->packed == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for %zu bytes of packed weights",
                        packed_bytes(decoder));
    decoder->reader->ws.lent_packed = decoder->stepper->ws.lent_packed = decoder->packed;
    decoder->has_packed = false;
    return ADM_OK;
}

/* Sources, and all tokens of the prefixes but the last of each. */
static adm_status read_batch(adm_decoder *decoder, const adm_batch *batch, const adm_run *run,
                             adm_error *error)
{
    adm_model *reader = decoder->reader;
    adm_status status = adm_workspace_for_batch(reader, batch, run, ADM_KEEP_BACKWARD, false, error);
    if (status != ADM_OK)
        return status;
    adm_pass_begin(reader, run->stop, ADM_PACK_FORWARD);
    if (!decoder->has_packed && decoder->packed != NULL)
        adm_packing_run(reader, ADM_PACK_FORWARD);
    adm_pass_forward(reader);
    status = adm_pass_end(reader, error);
    decoder->has_packed = decoder->packed != NULL && status == ADM_OK;
    return status;
}

/* Their last tokens. */
static adm_status step_first(adm_decoder *decoder, const adm_sequences *prefixes, const adm_run *run,
                             adm_error *error)
{
    const adm_status status = need_logits(decoder, prefixes->count, error);
    if (status != ADM_OK)
        return status;
    for (int64_t b = 0; b < prefixes->count; b++) {
        decoder->ids[b] = prefixes->tokens[prefixes->offsets[b + 1] - 1];
        decoder->history.lengths[b]--; /* the step reads it */
    }
    return take_step(decoder, decoder->ids, run, error);
}

adm_status adm_decoder_begin(adm_decoder *decoder, const adm_batch *batch, bool pack, const adm_run *run,
                             adm_error *error)
{
    const adm_run plain = plain_run(run);
    const adm_sequences *prefixes = adm_decoded(&decoder->reader->params, batch);
    decoder->history.rows = decoder->predicted = 0;
    decoder->stepper->ws.shape = (adm_shape){0}; /* scales may have changed, which it spreads out */
    adm_status status = adm_run_check(&plain, error);
    if (status == ADM_OK)
        status = adm_model_check_prefixes(decoder->reader, batch, error);
    if (status == ADM_OK)
        status = take_weights(decoder, pack, error);
    if (status == ADM_OK)
        status = read_batch(decoder, batch, &plain, error);
    if (status == ADM_OK)
        status = adm_history_begin(&decoder->history, prefixes->offsets, prefixes->count, error);
    if (status == ADM_OK)
        status = step_first(decoder, prefixes, &plain, error);
    return emptied(decoder, status);
}

/* ---- what is known ---- */

int64_t adm_decoder_rows(const adm_decoder *decoder)
{
    return decoder->history.rows;
}

const int64_t *adm_decoder_sequences(const adm_decoder *decoder)
{
    return decoder->history.sequences;
}

const int64_t *adm_decoder_lengths(const adm_decoder *decoder)
{
    return decoder->history.lengths;
}

int64_t adm_decoder_predicted(const adm_decoder *decoder)
{
    return decoder->predicted;
}

adm_real *adm_decoder_logits(adm_decoder *decoder)
{
    return decoder->logits;
}
