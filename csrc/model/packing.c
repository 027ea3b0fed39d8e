/* The weights as the matrix products of forward passes read them: panels of W^T, packed once a pass by all threads.
   Backward passes multiply with W itself, whose rows need no packing. */
#include "model/model_internal.h"

#define OUTPUT_COLUMNS (8 * ADM_PANEL_MAX) /* of the output embedding that one task packs */

static int64_t packed_size(int64_t out, int64_t in)
{
    return (out + ADM_PANEL_MAX - 1) / ADM_PANEL_MAX * ADM_PANEL_MAX * in;
}

static int64_t linears_of(adm_sublayer *sub, adm_linear *linears[3])
{
    linears[0] = &sub->in;
    linears[1] = &sub->out;
    linears[2] = &sub->kv;
    return sub->kind == ADM_BRANCH_CROSS_ATTENTION ? 3 : 2;
}

void adm_packing_place(adm_model *model)
{
    int64_t next = 0;
    adm_linear *linears[3];
    for (int s = 0; s < 2; s++) {
        for (int64_t i = 0; i < model->stacks[s].num_sublayers; i++) {
            const int64_t count = linears_of(&model->stacks[s].sublayers[i], linears);
            for (int64_t l = 0; l < count; l++) {
                linears[l]->packed = next;
                next += packed_size(linears[l]->out, linears[l]->in);
            }
        }
    }
    model->packed_output = next;
    if (model->output >= 0)
        next += packed_size(model->config.vocab_size, model->config.d_model);
    model->packed_length = next;
}

static void pack(const adm_model *model, int64_t weight, int64_t packed, int64_t out, int64_t in)
{
    model->kernels->gemm_pack(out, in, model->weights + weight, in, model->ws.packed + packed);
}

/* A task packs the weights of one sub-layer, or OUTPUT_COLUMNS rows of the output embedding. */
static void pack_task(void *context, int64_t task, int thread)
{
    adm_model *model = context;
    double since = adm_clock();
    for (int s = 0; s < 2; s++) {
        adm_stack *stack = &model->stacks[s];
        if (task < stack->num_sublayers) {
            adm_linear *linears[3];
            const int64_t count = linears_of(&stack->sublayers[task], linears);
            for (int64_t l = 0; l < count; l++)
                pack(model, linears[l]->weight, linears[l]->packed, linears[l]->out, linears[l]->in);
            adm_work_note(model, ADM_WORK_PRODUCTS, thread, &since);
            return;
        }
        task -= stack->num_sublayers;
    }
    const int64_t d = model->config.d_model, first = task * OUTPUT_COLUMNS;
    pack(model, model->output + first * d, model->packed_output + first * d,
         adm_min(OUTPUT_COLUMNS, model->config.vocab_size - first), d);
    adm_work_note(model, ADM_WORK_PRODUCTS, thread, &since);
}

void adm_pack_weights(adm_model *model)
{
    if (model->ws.packed == NULL)
        return;
    int64_t tasks = model->stacks[ADM_ENCODER].num_sublayers + model->stacks[ADM_DECODER].num_sublayers;
    if (model->output >= 0)
        tasks += (model->config.vocab_size + OUTPUT_COLUMNS - 1) / OUTPUT_COLUMNS;
    adm_parallel_for(model->ws.run.threads, tasks, pack_task, model);
}
