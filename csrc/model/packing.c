/* The weights as the matrix products read them: panels of W^T for forward passes and, where a backward pass may
   follow, panels of W; packed once a pass by all threads. Products of a few rows read the weights themselves. */
#include "model/model_internal.h"

#define OUTPUT_COLUMNS (8 * ADM_PANEL_MAX) /* of the output embedding's W^T that one task packs */

static int64_t packed_size(int64_t n, int64_t k)
{
    return (n + ADM_PANEL_MAX - 1) / ADM_PANEL_MAX * ADM_PANEL_MAX * k;
}

static int64_t linears_of(adm_sublayer *sub, adm_linear *linears[ADM_MAX_LINEARS])
{
    linears[0] = &sub->in;
    linears[1] = &sub->out;
    linears[2] = &sub->kv;
    return sub->kind == ADM_BRANCH_CROSS_ATTENTION ? 3 : 2;
}

static void place(adm_packing *packing, int64_t out, int64_t in, adm_packing *next)
{
    *packing = *next;
    next->forward += packed_size(out, in);
    next->back += packed_size(in, out);
}

void adm_packing_place(adm_model *model)
{
    adm_packing next = {0, 0};
    adm_linear *linears[ADM_MAX_LINEARS];
    for (int s = 0; s < 2; s++) {
        for (int64_t i = 0; i < model->stacks[s].num_sublayers; i++) {
            const int64_t count = linears_of(&model->stacks[s].sublayers[i], linears);
            for (int64_t l = 0; l < count; l++)
                place(&linears[l]->packing, linears[l]->out, linears[l]->in, &next);
        }
    }
    if (model->output >= 0)
        place(&model->output_packing, model->config.vocab_size, model->config.d_model, &next);
    model->packed_lengths = next;
}

static void pack_linear(const adm_model *model, const adm_linear *linear)
{
    const adm_workspace *ws = &model->ws;
    const adm_real *weight = model->weights + linear->weight;
    const int64_t out = linear->out, in = linear->in;
    model->kernels->gemm_pack(out, in, weight, in, ADM_B_TRANSPOSED, ws->packed + linear->packing.forward);
    if (ws->packed_back != NULL)
        model->kernels->gemm_pack(in, out, weight, in, ADM_B_ROWS, ws->packed_back + linear->packing.back);
}

static int64_t output_tasks(const adm_model *model)
{
    return model->output < 0 ? 0 : (model->config.vocab_size + OUTPUT_COLUMNS - 1) / OUTPUT_COLUMNS;
}

static int64_t output_back_tasks(const adm_model *model)
{
    const bool back = model->output >= 0 && model->ws.packed_back != NULL;
    return back ? (model->config.d_model + ADM_PANEL_MAX - 1) / ADM_PANEL_MAX : 0;
}

static void pack_output(const adm_model *model, int64_t task)
{
    const int64_t d = model->config.d_model, v = model->config.vocab_size, first = task * OUTPUT_COLUMNS;
    model->kernels->gemm_pack(adm_min(OUTPUT_COLUMNS, v - first), d,
                              model->weights + model->output + first * d, d, ADM_B_TRANSPOSED,
                              model->ws.packed + model->output_packing.forward + first * d);
}

static void pack_output_back(const adm_model *model, int64_t task)
{
    const int64_t d = model->config.d_model, v = model->config.vocab_size, first = task * ADM_PANEL_MAX;
    model->kernels->gemm_pack(adm_min(ADM_PANEL_MAX, d - first), v, model->weights + model->output + first, d,
                              ADM_B_ROWS, model->ws.packed_back + model->output_packing.back + first * v);
}

/* A task packs one linear map of a sub-layer, or a part of the output embedding for one direction. */
static void pack_task(void *context, int64_t task, int thread)
{
    adm_model *model = context;
    if (adm_stop_asked(model->ws.run.stop, thread))
        return;
    double since = adm_clock();
    for (int s = 0; s < 2; s++) {
        adm_stack *stack = &model->stacks[s];
        if (task >= 0 && task < ADM_MAX_LINEARS * stack->num_sublayers) {
            adm_linear *linears[ADM_MAX_LINEARS];
            if (task % ADM_MAX_LINEARS < linears_of(&stack->sublayers[task / ADM_MAX_LINEARS], linears))
                pack_linear(model, linears[task % ADM_MAX_LINEARS]);
        }
        task -= ADM_MAX_LINEARS * stack->num_sublayers;
    }
    if (task >= output_tasks(model))
        pack_output_back(model, task - output_tasks(model));
    else if (task >= 0)
        pack_output(model, task);
    adm_work_note(model, ADM_WORK_PRODUCTS, thread, &since);
}

void adm_pack_weights(adm_model *model)
{
    if (model->ws.packed == NULL)
        return;
    const int64_t sublayers =
        model->stacks[ADM_ENCODER].num_sublayers + model->stacks[ADM_DECODER].num_sublayers;
    const adm_run *run = &model->ws.run;
    adm_parallel_for_until(run->stop, run->threads,
                           ADM_MAX_LINEARS * sublayers + output_tasks(model) + output_back_tasks(model),
                           pack_task, model);
}
