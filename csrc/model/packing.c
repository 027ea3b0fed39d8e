#include "model/packing.h"

#include "model/work.h"

#define OUTPUT_COLUMNS (8 * ADM_PANEL_MAX) /* of the output embedding's W^T that one task packs */

static int64_t packed_size(int64_t n, int64_t k)
{
    return adm_round_up(n, ADM_PANEL_MAX) * k;
}

static void place(adm_linear_params *map, adm_packing *next)
{
    map->packing = *next;
    next->forward += packed_size(map->outputs, map->inputs);
    next->backward += packed_size(map->inputs, map->outputs);
}

void adm_packing_place(adm_model *model)
{
    adm_packing next = {0, 0};
    for (int s = 0; s < 2; s++) {
        const adm_stack *stack = &model->params.stacks[s];
        for (int64_t i = 0; i < stack->num_sublayers; i++) {
            adm_sublayer *sub = &stack->sublayers[i];
            for (int map = 0; map < sub->num_maps; map++)
                place(&sub->maps[map], &next);
        }
    }
    if (model->params.output.weight >= 0)
        place(&model->params.output, &next);
    model->packed_lengths = next;
}

/* What the tasks of a region pack. */
typedef struct pack_region {
    const adm_model *model;
    int64_t maps;                   /* tasks: places for ADM_NUM_MAPS of every sub-layer */
    int64_t forward, backward;      /* tasks for parts of the output embedding */
    adm_real *panels, *panels_back; /* where W^T goes, and W; NULL: not packed */
} pack_region;

/* Columns [first, first + columns) of W^T */
static void pack(const pack_region *region, const adm_linear_params *map, int64_t first, int64_t columns)
{
    const int64_t at = first * map->inputs, count = adm_min(columns, map->outputs - first);
    if (region->panels != NULL)
        region->model->kernels->gemm_pack(count, map->inputs, region->model->weights + map->weight + at,
                                          map->inputs, ADM_B_TRANSPOSED,
                                          region->panels + map->packing.forward + at);
}

/* Columns [first, first + columns) of W */
static void pack_back(const pack_region *region, const adm_linear_params *map, int64_t first, int64_t columns)
{
    const int64_t count = adm_min(columns, map->inputs - first);
    if (region->panels_back != NULL)
        region->model->kernels->gemm_pack(count, map->outputs, region->model->weights + map->weight + first,
                                          map->inputs, ADM_B_ROWS,
                                          region->panels_back + map->packing.backward + first * map->outputs);
}

/* The map that a task of a sub-layer's stands for, or NULL: the sub-layer has fewer. */
static const adm_linear_params *map_number(const pack_region *region, int64_t number)
{
    const adm_stack *stack = region->model->params.stacks;
    const int64_t encoder = ADM_NUM_MAPS * stack[ADM_ENCODER].num_sublayers;
    const bool decodes = number >= encoder;
    const int64_t place = decodes ? number - encoder : number;
    const adm_sublayer *sub = &stack[decodes].sublayers[place / ADM_NUM_MAPS];
    return place % ADM_NUM_MAPS < sub->num_maps ? &sub->maps[place % ADM_NUM_MAPS] : NULL;
}

/* A task packs one linear map of a sub-layer, or a part of the output embedding for one direction. */
static void pack_task(void *context, int64_t task, int thread)
{
    const pack_region *region = context;
    const adm_linear_params *output = &region->model->params.output;
    const int64_t part = task - region->maps;
    adm_worker worker = adm_worker_begin(region->model, thread);
    if (adm_worker_stopped(&worker))
        return;
    if (part >= region->forward) {
        pack_back(region, output, (part - region->forward) * ADM_PANEL_MAX, ADM_PANEL_MAX);
    } else if (part >= 0) {
        pack(region, output, part * OUTPUT_COLUMNS, OUTPUT_COLUMNS);
    } else {
        const adm_linear_params *map = map_number(region, task);
        if (map == NULL)
            return;
        pack(region, map, 0, map->outputs);
        pack_back(region, map, 0, map->inputs);
    }
    adm_work_note(&worker, ADM_WORK_PRODUCTS);
}

void adm_packing_run(adm_model *model, adm_pack directions)
{
    const adm_workspace *ws = &model->ws;
    const adm_stack *stacks = model->params.stacks;
    const adm_linear_params *output = &model->params.output;
    pack_region region = {
        .model = model,
        .maps = ADM_NUM_MAPS * (stacks[ADM_ENCODER].num_sublayers + stacks[ADM_DECODER].num_sublayers),
        .panels = directions & ADM_PACK_FORWARD ? ws->packed : NULL,
        .panels_back = directions & ADM_PACK_BACKWARD ? ws->packed_back : NULL,
    };
    if (region.panels == NULL && region.panels_back == NULL)
        return;
    if (output->weight >= 0 && region.panels != NULL)
        region.forward = adm_pieces(output->outputs, OUTPUT_COLUMNS);
    if (output->weight >= 0 && region.panels_back != NULL)
        region.backward = adm_pieces(output->inputs, ADM_PANEL_MAX);
    adm_parallel_for_until(ws->run.stop, ws->run.threads, region.maps + region.forward + region.backward,
                           pack_task, &region);
}
