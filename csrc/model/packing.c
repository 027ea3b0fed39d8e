#include "model/packing.h"

#include "model/work.h"

/* Of a weight, that one task packs: they stay in the second cache from one direction to the other. */
#define ROWS ADM_PANEL_MAX

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
    int64_t maps;                   /* places for ADM_NUM_MAPS of every sub-layer, ... */
    int64_t tasks;                  /* ... each with so many tasks; those of the output embedding follow */
    adm_real *panels, *panels_back; /* where W^T goes, and W; NULL: not packed */
} pack_region;

/* Rows [first, first + ROWS) of a weight W: columns of W^T, and steps of the panels of W */
static void pack(const pack_region *region, const adm_linear_params *map, int64_t first)
{
    const adm_kernels *kernels = region->model->kernels;
    const int64_t outputs = map->outputs, inputs = map->inputs, rows = adm_min(ROWS, outputs - first);
    const adm_real *weight = region->model->weights + map->weight + first * inputs;
    if (region->panels != NULL)
        kernels->gemm_pack(rows, inputs, weight, inputs, ADM_B_TRANSPOSED,
                           region->panels + map->packing.forward + first * inputs);
    if (region->panels_back == NULL)
        return;
    adm_real *back = region->panels_back + map->packing.backward + first * kernels->panel;
    for (int64_t j = 0; j < inputs; j += kernels->panel)
        kernels->gemm_pack(adm_min(kernels->panel, inputs - j), rows, weight + j, inputs, ADM_B_ROWS,
                           back + j * outputs);
}

/* A sub-layer's map, or NULL: the sub-layer has fewer. */
static const adm_linear_params *map_number(const pack_region *region, int64_t number)
{
    const adm_stack *stack = region->model->params.stacks;
    const int64_t encoder = ADM_NUM_MAPS * stack[ADM_ENCODER].num_sublayers;
    const bool decodes = number >= encoder;
    const int64_t place = decodes ? number - encoder : number;
    const adm_sublayer *sub = &stack[decodes].sublayers[place / ADM_NUM_MAPS];
    return place % ADM_NUM_MAPS < sub->num_maps ? &sub->maps[place % ADM_NUM_MAPS] : NULL;
}

static void pack_task(void *context, int64_t task, int thread)
{
    const pack_region *region = context;
    const int64_t others = region->maps * region->tasks;
    const bool output = task >= others;
    const adm_linear_params *map =
        output ? &region->model->params.output : map_number(region, task / region->tasks);
    const int64_t first = (output ? task - others : task % region->tasks) * ROWS;
    if (map == NULL || first >= map->outputs)
        return;
    adm_worker worker = adm_worker_begin(region->model, thread);
    if (adm_worker_stopped(&worker))
        return;
    pack(region, map, first);
    adm_work_note(&worker, ADM_WORK_PRODUCTS);
}

/* Rows of the largest map of a sub-layer. */
static int64_t most_rows(const adm_model *model)
{
    int64_t rows = 0;
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; i < model->params.stacks[s].num_sublayers; i++)
            for (int map = 0; map < model->params.stacks[s].sublayers[i].num_maps; map++)
                rows = adm_max(rows, model->params.stacks[s].sublayers[i].maps[map].outputs);
    return rows;
}

void adm_packing_run(adm_model *model, adm_pack directions)
{
    const adm_workspace *ws = &model->ws;
    const adm_stack *stacks = model->params.stacks;
    const adm_linear_params *output = &model->params.output;
    pack_region region = {
        .model = model,
        .maps = ADM_NUM_MAPS * (stacks[ADM_ENCODER].num_sublayers + stacks[ADM_DECODER].num_sublayers),
        .tasks = adm_pieces(most_rows(model), ROWS),
        .panels = directions & ADM_PACK_FORWARD ? ws->packed : NULL,
        .panels_back = directions & ADM_PACK_BACKWARD ? ws->packed_back : NULL,
    };
    if (region.panels == NULL && region.panels_back == NULL)
        return;
    const int64_t of_output = output->weight >= 0 ? adm_pieces(output->outputs, ROWS) : 0;
    adm_parallel_for_until(ws->run.stop, ws->run.threads, region.maps * region.tasks + of_output, pack_task,
                           &region);
}
