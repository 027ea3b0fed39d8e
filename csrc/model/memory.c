/* How much memory a model holds, and a step of it would. */
#include "model/model.h"

adm_status adm_model_plan_memory(adm_model *model, const adm_batch *batch, const adm_run *run,
                                 adm_memory_plan *plan, adm_error *error)
{
    const adm_status status = adm_model_check_batch(model, batch, error);
    if (status != ADM_OK)
        return status;
    *plan = (adm_memory_plan){.weights = adm_buffer_bytes(model), .gradients = adm_buffer_bytes(model)};
    return adm_workspace_measure(model, batch, run, plan, error);
}

adm_status adm_model_plan_lengths(adm_model *model, const adm_lengths *lengths, const adm_run *run,
                                  adm_memory_plan *plan, adm_error *error)
{
    const int64_t longest = model->config.max_length;
    if (model->config.vocab_size == 0 || lengths->count < 1 || lengths->length < 1 ||
        lengths->length > longest || lengths->rest < 0 || lengths->rest >= lengths->length)
        return adm_fail(
            error, ADM_ERROR_VALUE,
            "lengths must be of at least one sequence of 1 to %lld tokens and a shorter rest, got "
            "%lld of %lld and %lld",
            (long long)longest, (long long)lengths->count, (long long)lengths->length,
            (long long)lengths->rest);
    *plan = (adm_memory_plan){.weights = adm_buffer_bytes(model), .gradients = adm_buffer_bytes(model)};
    return adm_workspace_measure_lengths(model, lengths, run, plan, error);
}

adm_memory adm_model_memory(const adm_model *model)
{
    return (adm_memory){adm_buffer_bytes(model), model->gradients != NULL ? adm_buffer_bytes(model) : 0,
                        model->ws.arena.capacity + model->ws.workers.capacity};
}
