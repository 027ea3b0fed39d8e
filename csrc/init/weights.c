/* Initial weights (method.md section 3): Xavier, with q, k and v drawn as one matrix where asked, times
   the gains of the sub-layer; embeddings and learned positions N(0, D^(-1/2)); constants for the rest.

   Every parameter has a stream of random numbers of its own, and element i of a parameter is number i of its
   stream. So the threads may fill blocks in any order, both precisions draw the same numbers (float32 rounds
   them), and a parameter starts from the same numbers whatever else the scheme adds to the model: runs with
   one seed compare schemes, not draws. */
#include "admin/model.h"
#include "base/base.h"
#include "model/branch.h"

#include <math.h>

#define BLOCK 16384 /* elements that one task fills */
#define DYT_SCALE 0.5

/* How one matrix is drawn: element (row, column) is number row * columns + column of the stream. */
typedef struct drawing {
    adm_real *values; /* [rows, columns] */
    int64_t size, columns;
    uint64_t key;
    bool normal;
    double width;       /* bound of the uniform, standard deviation of the normal distribution */
    int64_t mirror_row; /* > 0: rows from here on are the negated rows from 0 on */
    int64_t mirror_column;
    adm_stop *stop;
} drawing;

/* FNV-1a: the site of a parameter's stream is its name, which does not change when others come or go. */
static uint64_t name_hash(const char *name)
{
    uint64_t hash = 0xCBF29CE484222325u;
    for (; *name != '\0'; name++)
        hash = (hash ^ (uint64_t)(unsigned char)*name) * 0x100000001B3u;
    return hash;
}

static double draw(const drawing *d, int64_t index)
{
    if (d->normal)
        return d->width * adm_random_normal(d->key, (uint64_t)index);
    return d->width * (2.0 * adm_random_uniform(d->key, (uint64_t)index) - 1.0);
}

/* [W; -W] or [U, -U]; the configuration has seen to it that the halves are equal. */
static double draw_mirrored(const drawing *d, int64_t index)
{
    int64_t row = index / d->columns, column = index % d->columns;
    double sign = 1.0;
    if (d->mirror_row > 0 && row >= d->mirror_row) {
        row -= d->mirror_row;
        sign = -1.0;
    }
    if (d->mirror_column > 0 && column >= d->mirror_column) {
        column -= d->mirror_column;
        sign = -1.0;
    }
    return sign * draw(d, row * d->columns + column);
}

static void draw_block(void *context, int64_t task, int thread)
{
    const drawing *d = context;
    if (adm_stop_asked(d->stop, thread))
        return;
    const int64_t begin = task * BLOCK;
    const int64_t end = adm_min(begin + BLOCK, d->size);
    const bool mirrored = d->mirror_row > 0 || d->mirror_column > 0;
    for (int64_t i = begin; i < end; i++)
        d->values[i] = (adm_real)(mirrored ? draw_mirrored(d, i) : draw(d, i));
}

static void fill(adm_real *values, int64_t size, double value)
{
    for (int64_t i = 0; i < size; i++)
        values[i] = (adm_real)value;
}

static double gain_of(const adm_gains *gains, adm_param_kind kind)
{
    switch (kind) {
    case ADM_PARAM_WEIGHT_Q:
        return gains->q;
    case ADM_PARAM_WEIGHT_K:
        return gains->k;
    case ADM_PARAM_WEIGHT_V:
        return gains->v;
    case ADM_PARAM_WEIGHT_OUT:
        return gains->out;
    case ADM_PARAM_WEIGHT_FC1:
    case ADM_PARAM_WEIGHT_GATE:
        return gains->fc1;
    default:
        return gains->fc2;
    }
}

/* Xavier (Glorot and Bengio 2010): uniform on +- sqrt(6 / (fan_in + fan_out)), or normal of the same variance. */
static void plan_matrix(drawing *d, const adm_config *config, const adm_sublayer_config *sublayer,
                        const adm_param *param)
{
    const bool qkv = param->kind == ADM_PARAM_WEIGHT_Q || param->kind == ADM_PARAM_WEIGHT_K ||
                     param->kind == ADM_PARAM_WEIGHT_V;
    const int64_t fan_in = param->shape[1];
    const int64_t all = adm_width_of(config, ADM_WIDTH_QUERIES) + 2 * adm_width_of(config, ADM_WIDTH_KEYS);
    const int64_t fan_out = qkv && sublayer->qkv_fused_init ? all : param->shape[0];
    const double bound = sqrt(6.0 / (double)(fan_in + fan_out));
    d->normal = sublayer->init == ADM_INIT_XAVIER_NORMAL;
    d->width = gain_of(&sublayer->gains, param->kind) * (d->normal ? bound / sqrt(3.0) : bound);
    if (sublayer->init == ADM_INIT_LOOKS_LINEAR && param->kind == ADM_PARAM_WEIGHT_FC1)
        d->mirror_row = param->shape[0] / 2;
    if (sublayer->init == ADM_INIT_LOOKS_LINEAR && param->kind == ADM_PARAM_WEIGHT_FC2)
        d->mirror_column = param->shape[1] / 2;
}

static const adm_stack_config *stack_of(const adm_config *config, const adm_param *param)
{
    if (param->stack == 1 || (param->stack < 0 && config->encoder.layers == 0))
        return &config->decoder;
    return &config->encoder;
}

/* A matrix that both stacks read takes the encoder's gain. */
static void plan_embedding(drawing *d, const adm_config *config, const adm_param *param)
{
    d->normal = true;
    d->width = 1.0 / sqrt((double)config->d_model);
    if (param->kind == ADM_PARAM_EMBEDDING)
        d->width *= stack_of(config, param)->embedding_gain;
}

static void init_param(const adm_config *config, const adm_param *param, uint64_t seed, int threads,
                       adm_stop *stop, adm_real *values)
{
    const adm_stack_config *stack = stack_of(config, param);
    drawing d = {.values = values, .size = param->size, .columns = param->shape[1], .stop = stop};
    switch (param->kind) {
    case ADM_PARAM_WEIGHT_Q:
    case ADM_PARAM_WEIGHT_K:
    case ADM_PARAM_WEIGHT_V:
    case ADM_PARAM_WEIGHT_OUT:
    case ADM_PARAM_WEIGHT_FC1:
    case ADM_PARAM_WEIGHT_GATE:
    case ADM_PARAM_WEIGHT_FC2:
        plan_matrix(&d, config, &stack->sublayers[param->sublayer], param);
        break;
    case ADM_PARAM_EMBEDDING:
    case ADM_PARAM_POSITIONS:
        plan_embedding(&d, config, param);
        break;
    case ADM_PARAM_BIAS:
    case ADM_PARAM_NU:
        fill(values, param->size, 0.0);
        return;
    case ADM_PARAM_GAMMA:
    case ADM_PARAM_INPUT_SCALE:
        fill(values, param->size, 1.0);
        return;
    case ADM_PARAM_DYT_SCALE:
        fill(values, param->size, DYT_SCALE);
        return;
    case ADM_PARAM_OMEGA:
        fill(values, param->size, stack->sublayers[param->sublayer].omega.value);
        return;
    case ADM_PARAM_ALPHA:
        fill(values, param->size, stack->sublayers[param->sublayer].alpha.value);
        return;
    }
    d.key = adm_random_key(seed, 0, name_hash(param->name));
    adm_parallel_for_until(stop, threads, adm_pieces(param->size, BLOCK), draw_block, &d);
}

adm_status adm_model_init_weights(adm_model *model, uint64_t seed, int threads, adm_stop *stop,
                                  adm_error *error)
{
    const adm_config *config = adm_model_config(model);
    const adm_param_table *params = adm_model_params(model);
    adm_real *weights = adm_model_weights(model);
    if (weights == NULL)
        return adm_fail(error, ADM_ERROR_STATE, "an outline has no weights to draw");
    if (threads < 1)
        return adm_fail(error, ADM_ERROR_VALUE, "threads must be at least 1, got %d", threads);
    for (int64_t p = 0; p < params->count && !adm_stopped(stop); p++)
        init_param(config, &params->items[p], seed, threads, stop, weights + params->items[p].offset);
    return adm_stop_status(stop, error);
}
