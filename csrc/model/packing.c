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

/* What the tasks of a region pack. */
typedef struct pack_region {
    const adm_model *model;
    int64_t maps;                   /* tasks: places for ADM_NUM_MAPS of every sub-layer */
    int64_t forward, backward;      /* tasks for parts of the output embedding */
    adm_real *panels, *panels_back; /* where W^T goes, and W; NULL: not packed */
} pack_region;

static void pack_map(const pack_region *region, const adm_linear_params *map)
{
    const adm_kernels *kernels = region->model->kernels;
    const adm_real *weight = region->model->weights + map->weight;
    if (region->panels != NULL)
        kernels->gemm_pack(map->outputs, map->inputs, weight, map->inputs, ADM_B_TRANSPOSED,
                           region->panels + map->packing.forward);
    if (region->panels_back != NULL)
        kernels->gemm_pack(map->inputs, map->outputs, weight, map->inputs, ADM_B_ROWS,
                           region->panels_back + map->packing.backward);
}

static void pack_map_number(const pack_region *region, int64_t number)
{
    for (int s = 0; s < 2; s++) {
        const adm_stack *stack = &region->model->params.stacks[s];
        if (number < ADM_NUM_MAPS * stack->num_sublayers) {
            const adm_sublayer *sub = &stack->sublayers[number / ADM_NUM_MAPS];
            if (number % ADM_NUM_MAPS < sub->num_maps)
                pack_map(region, &sub->maps[number % ADM_NUM_MAPS]);
            return;
        }
        number -= ADM_NUM_MAPS * stack->num_sublayers;
    }
}

static void pack_output(const pack_region *region, int64_t task)
{
    const adm_model *model = region->model;
    const int64_t d = model->config.d_model, v = model->config.vocab_size, first = task * OUTPUT_COLUMNS;
    const adm_real *embedding = model->weights + model->params.output_embedding;
    model->kernels->gemm_pack(adm_min(OUTPUT_COLUMNS, v - first), d, embedding + first * d, d,
                              ADM_B_TRANSPOSED, region->panels + model->output_packing.forward + first * d);
}

static void pack_output_back(const pack_region *region, int64_t task)
{
    const adm_model *model = region->model;
    const int64_t d = model->config.d_model, v = model->config.vocab_size, first = task * ADM_PANEL_MAX;
    const adm_real *embedding = model->weights + model->params.output_embedding;
    model->kernels->gemm_pack(adm_min(ADM_PANEL_MAX, d - first), v, embedding + first, d, ADM_B_ROWS,
                              region->panels_back + model->output_packing.backward + first * v);
}

/* A task packs one linear map of a sub-layer, or a part of the output embedding for one direction. */
static void pack_task(void *context, int64_t task, int thread)
{
    const pack_region *region = context;
    adm_worker worker = adm_worker_begin(region->model, thread);
    if (adm_worker_stopped(&worker))
        return;
    if (task < region->maps)
        pack_map_number(region, task);
    else if (task < region->maps + region->forward)
        pack_output(region, task - region->maps);
    else
        pack_output_back(region, task - region->maps - region->forward);
    adm_work_note(&worker, ADM_WORK_PRODUCTS);
}

void adm_packing_run(adm_model *model, adm_pack directions)
{
    const adm_workspace *ws = &model->ws;
    const adm_stack *stacks = model->params.stacks;
    const bool output = model->params.output_embedding >= 0;
    pack_region region = {
        .model = model,
        .maps = ADM_NUM_MAPS * (stacks[ADM_ENCODER].num_sublayers + stacks[ADM_DECODER].num_sublayers),
        .panels = directions & ADM_PACK_FORWARD ? ws->packed : NULL,
        .panels_back = directions & ADM_PACK_BACKWARD ? ws->packed_back : NULL,
    };
    if (region.panels == NULL && region.panels_back == NULL)
        return;
    if (output && region.panels != NULL)
        region.forward = adm_pieces(model->config.vocab_size, OUTPUT_COLUMNS);
    if (output && region.panels_back != NULL)
        region.backward = adm_pieces(model->config.d_model, ADM_PANEL_MAX);
    adm_parallel_for_until(ws->run.stop, ws->run.threads, region.maps + region.forward + region.backward,
                           pack_task, &region);
}
