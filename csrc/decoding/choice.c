/* From a step's logits to what can be chosen. */
#include "decoding/decoder.h"

#include <math.h>
#include <stdlib.h>

#define TASK_ROWS 4 /* of logits that one task looks through */

typedef struct choice_region {
    const adm_decoder *decoder;
    adm_real *scores;   /* [rows, V] log p, or NULL */
    const adm_top *top; /* or the best */
} choice_region;

static void score_row(const choice_region *region, int64_t row)
{
    const adm_model *model = region->decoder->reader;
    const int64_t v = model->config.vocab_size;
    const adm_real *z = region->decoder->logits + row * v;
    const double lse = model->kernels->log_sum_exp(z, v);
    region->decoder->finite[row] = isfinite(lse);
    for (int64_t c = 0; c < v; c++)
        region->scores[row * v + c] = (adm_real)((double)z[c] - lse);
}

static void choose_row(const choice_region *region, int64_t row)
{
    const adm_model *model = region->decoder->reader;
    const adm_top *top = region->top;
    const int64_t v = model->config.vocab_size, k = top->k;
    adm_real *z = region->decoder->logits + row * v, *values = region->decoder->top + row * k;
    const double lse = model->kernels->log_sum_exp(z, v);
    region->decoder->finite[row] = isfinite(lse);
    if (top->forbid != NULL)
        top->forbid(top->context, row, z);
    const int64_t found = model->kernels->top_of_row(z, v, k, values, top->ids + row * k);
    for (int64_t i = 0; i < k; i++) {
        top->scores[row * k + i] = i < found ? (double)values[i] - lse : -INFINITY;
        if (i >= found)
            top->ids[row * k + i] = -1;
    }
}

static void choice_task(void *context, int64_t task, int thread)
{
    const choice_region *region = context;
    const int64_t end = adm_min((task + 1) * TASK_ROWS, region->decoder->predicted);
    (void)thread;
    for (int64_t row = task * TASK_ROWS; row < end; row++) {
        if (region->scores != NULL)
            score_row(region, row);
        else
            choose_row(region, row);
    }
}

static adm_status run_choice(choice_region *region, const adm_run *run, adm_error *error)
{
    const int64_t rows = region->decoder->predicted;
    adm_parallel_for(run->threads, adm_pieces(rows, TASK_ROWS), choice_task, region);
    for (int64_t row = 0; row < rows; row++)
        if (!region->decoder->finite[row])
            return adm_fail(error, ADM_ERROR_VALUE,
                            "hypothesis %lld has logits that are not finite: the model has diverged",
                            (long long)row);
    return ADM_OK;
}

static adm_status check_predicted(const adm_decoder *decoder, const adm_run *run, adm_error *error)
{
    if (decoder->predicted == 0)
        return adm_fail(error, ADM_ERROR_STATE, "nothing is predicted yet: begin with a batch");
    return adm_run_check(run, error);
}

adm_status adm_decoder_scores(adm_decoder *decoder, const adm_run *run, adm_real *scores, adm_error *error)
{
    choice_region region = {.decoder = decoder, .scores = scores};
    const adm_status status = check_predicted(decoder, run, error);
    return status == ADM_OK ? run_choice(&region, run, error) : status;
}

/* Room for the logits of the best. */
static adm_status need_top(adm_decoder *decoder, int64_t length, adm_error *error)
{
    if (length <= decoder->top_length)
        return ADM_OK;
    adm_real *top = realloc(decoder->top, (size_t)length * sizeof *top);
    if (top == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for a choice");
    decoder->top = top;
    decoder->top_length = length;
    return ADM_OK;
}

adm_status adm_decoder_top(adm_decoder *decoder, const adm_top *top, const adm_run *run, adm_error *error)
{
    const int64_t v = decoder->reader->config.vocab_size;
    adm_status status = check_predicted(decoder, run, error);
    if (status != ADM_OK)
        return status;
    if (top->k < 1 || top->k > v)
        return adm_fail(error, ADM_ERROR_VALUE, "k must be from 1 to the vocabulary's %lld, got %lld",
                        (long long)v, (long long)top->k);
    choice_region region = {.decoder = decoder, .top = top};
    status = need_top(decoder, decoder->predicted * top->k, error);
    return status == ADM_OK ? run_choice(&region, run, error) : status;
}
