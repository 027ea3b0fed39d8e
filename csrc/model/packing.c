#include "model/packing.h"

#include "model/work.h"

#define OUTPUT_COLUMNS (8 * ADM_PANEL_MAX) /* of the output embedding's W^T that one task packs */

static int64_t packed_size(int64_t n, int64_t k)
{
    return (n + ADM_PANEL_MAX - 1) / ADM_PANEL_MAX * ADM_PANEL_MAX * k;
}

static void place(adm_packing *packing, int64_t outputs, int64_t inputs, adm_packing *next)
{
    *packing = *next;
    next->forward += packed_size(outputs, inputs);
    next->backward += packed_size(inputs, outputs);
}

void adm_packing_place(adm_model *model)
{
    adm_packing next = {0, 0};
    for (int s = 0; s < 2; s++) {
        const adm_stack *stack = &model->params.stacks[s];
        for (int64_t i = 0; i < stack->num_sublayers; i++) {
            adm_sublayer *sub = &stack->sublayers[i];
            for (int map = 0; map < sub->num_maps; map++)
                place(&sub->maps[map].packing, sub->maps[map].outputs, sub->maps[map].inputs, &next);
        }
    }
    if (model->params.output_embedding >= 0)
        place(&model->output_packing, model->config.vocab_size, model->config.d_model, &next);
    model->packed_lengths = next;
}

static void pack_map(const adm_model *model, const adm_linear_params *map)
{
    const adm_workspace *ws = &model->ws;
    const adm_kernels *kernels = model->kernels;
    const adm_real *weight = model->weights + map->weight;
    kernels->gemm_pack(map->outputs, map->inputs, weight, map->inputs, ADM_B_TRANSPOSED,
                       ws->packed + map->packing.forward);
    if (ws->packed_back != NULL)
        kernels->gemm_pack(map->inputs, map->outputs, weight, map->inputs, ADM_B_ROWS,
                           ws->packed_back + map->packing.backward);
}

static int64_t output_tasks(const adm_model *model)
{
    return model->params.output_embedding < 0
               ? 0
               : (model->config.vocab_size + OUTPUT_COLUMNS - 1) / OUTPUT_COLUMNS;
}

static int64_t output_back_tasks(const adm_model *model)
{
    const bool backward = model->params.output_embedding >= 0 && model->ws.packed_back != NULL;
    return backward ? (model->config.d_model + ADM_PANEL_MAX - 1) / ADM_PANEL_MAX : 0;
}

static void pack_output(const adm_model *model, int64_t task)
{
    const int64_t d = model->config.d_model, v = model->config.vocab_size, first = task * OUTPUT_COLUMNS;
    model->kernels->gemm_pack(adm_min(OUTPUT_COLUMNS, v - first), d,
                              model->weights + model->params.output_embedding + first * d, d,
                              ADM_B_TRANSPOSED, model->ws.packed + model->output_packing.forward + first * d);
}

static void pack_output_back(const adm_model *model, int64_t task)
{
    const int64_t d = model->config.d_model, v = model->config.vocab_size, first = task * ADM_PANEL_MAX;
    model->kernels->gemm_pack(adm_min(ADM_PANEL_MAX, d - first), v,
                              model->weights + model->params.output_embedding + first, d, ADM_B_ROWS,
                              model->ws.packed_back + model->output_packing.backward + first * v);
}

/* A task packs one linear map of a sub-layer, or a part of the output embedding for one direction. */
static void pack_task(void *context, int64_t task, int thread)
{
    const adm_model *model = context;
    adm_worker worker = adm_worker_begin(model, thread);
    if (adm_worker_stopped(&worker))
        return;
    for (int s = 0; s < 2; s++) {
        const adm_stack *stack = &model->params.stacks[s];
        if (task >= 0 && task < ADM_NUM_MAPS * stack->num_sublayers) {
            const adm_sublayer *sub = &stack->sublayers[task / ADM_NUM_MAPS];
            if (task % ADM_NUM_MAPS < sub->num_maps)
                pack_map(model, &sub->maps[task % ADM_NUM_MAPS]);
        }
        task -= ADM_NUM_MAPS * stack->num_sublayers;
    }
    if (task >= output_tasks(model))
        pack_output_back(model, task - output_tasks(model));
    else if (task >= 0)
        pack_output(model, task);
    adm_work_note(&worker, ADM_WORK_PRODUCTS);
}

void adm_packing_run(adm_model *model)
{
    if (model->ws.packed == NULL)
        return;
    const adm_stack *stacks = model->params.stacks;
    const int64_t sublayers = stacks[ADM_ENCODER].num_sublayers + stacks[ADM_DECODER].num_sublayers;
    const adm_run *run = &model->ws.run;
    adm_parallel_for_until(run->stop, run->threads,
                           ADM_NUM_MAPS * sublayers + output_tasks(model) + output_back_tasks(model),
                           pack_task, model);
}
