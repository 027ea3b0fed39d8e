/* NovoGrad (Ginsburg et al. 2019): one second moment a tensor, which normalises the gradient before the momentum.
     v = |g|^2 at the first update, then beta2 v + (1 - beta2) |g|^2
     m = beta1 m + g / (sqrt(v) + eps) + weight_decay w
     w = w - lr m */
#include "base/base.h"
#include "base/sums.h"
#include "kernels/kernels.h"
#include "optim/update.h"

/* A block of the flat buffers, of which the tensors in it are done one after the other. */
typedef struct block {
    int64_t number, begin, end;
} block;

static block block_of(const adm_param_table *params, int64_t number)
{
    const int64_t length = adm_block_length(params->trained_length), begin = number * length;
    return (block){number, begin, adm_min(begin + length, params->trained_length)};
}

/* Does elements [begin, end), which are a tensor's part of a block. */
typedef double (*piece_fn)(const void *context, int64_t param, int64_t begin, int64_t end);

/* Calls fn for every tensor in a block, and adds what it returns; where `sums` is given, notes it at block + tensor. */
static double each_tensor(const adm_param_table *params, block b, piece_fn fn, const void *context,
                          double *sums)
{
    double sum = 0.0;
    for (int64_t p = 0; p < params->count; p++) {
        const adm_param *param = &params->items[p];
        const int64_t begin = adm_max(b.begin, param->offset);
        const int64_t end = adm_min(b.end, param->offset + param->size);
        if (!param->trained || begin >= end)
            continue;
        const double found = fn(context, p, begin, end);
        if (sums != NULL)
            sums[b.number + p] = found;
        sum += found;
    }
    return sum;
}

/* ---- squares of the gradients ---- */

typedef struct squaring {
    const adm_optim_input *input;
    int64_t first; /* block */
    double *squares;
} squaring;

static double square_piece(const void *context, int64_t param, int64_t begin, int64_t end)
{
    const adm_optim_input *input = context;
    (void)param;
    return input->kernels->sum_squares(input->gradients + begin, end - begin);
}

static void square_task(void *context, int64_t task, int thread)
{
    const squaring *s = context;
    (void)thread;
    each_tensor(s->input->params, block_of(s->input->params, s->first + task), square_piece, s->input,
                s->squares);
}

int64_t adm_num_squares(const adm_param_table *params)
{
    return adm_pieces(params->trained_length, adm_block_length(params->trained_length)) + params->count;
}

static void find_squares(const adm_optim_input *input, const adm_optim_part *part, double *squares)
{
    const int64_t length = adm_block_length(input->params->trained_length);
    squaring s = {.input = input, .first = part->begin / length, .squares = squares};
    for (int64_t i = 0; i < adm_num_squares(input->params); i++)
        squares[i] = 0.0;
    adm_parallel_for(input->threads, adm_pieces(part->end - part->begin, length), square_task, &s);
}

adm_status adm_part_squares(const adm_optim_input *input, const adm_optim_part *part, double *squares,
                            adm_error *error)
{
    const adm_status status = adm_part_check(input->params, part, error);
    if (status == ADM_OK)
        find_squares(input, part, squares);
    return status;
}

/* Of a tensor's gradient: over its blocks, in their order. */
static double squares_of(const adm_param_table *params, int64_t p, const double *squares)
{
    const adm_param *param = &params->items[p];
    const int64_t length = adm_block_length(params->trained_length);
    double sum = 0.0;
    for (int64_t b = param->offset / length; b * length < param->offset + param->size; b++)
        sum += squares[b + p];
    return sum;
}

/* ---- the update ---- */

typedef struct elements {
    adm_real *w, *m; /* m: from the part's first element on */
    const adm_real *g;
    int64_t first;
    adm_real factor, decay, beta1, lr;
} elements;

static inline double update_element(const void *context, int64_t i)
{
    const elements *s = context;
    const adm_real w = s->w[i];
    const adm_real m = s->beta1 * s->m[i - s->first] + (s->g[i] * s->factor + s->decay * w);
    const adm_real next = w - s->lr * m;
    const double change = (double)next - (double)w;
    s->m[i - s->first] = m;
    s->w[i] = next;
    return change * change;
}

static double update_piece(const void *context, int64_t param, int64_t begin, int64_t end)
{
    const adm_update *update = context;
    const adm_optim_config *config = update->config;
    const elements s = {.w = update->input.weights,
                        .m = update->m,
                        .g = update->input.gradients,
                        .first = update->part.begin,
                        .factor = (adm_real)update->scratch[param],
                        .decay = (adm_real)config->weight_decay,
                        .beta1 = (adm_real)config->beta1,
                        .lr = (adm_real)update->input.lr};
    return adm_sum_elements(update_element, &s, begin, end);
}

static double update_block(void *context, int64_t begin, int64_t end)
{
    const adm_update *update = context;
    const adm_param_table *params = update->input.params;
    const int64_t first = update->part.begin;
    const block b = {(first + begin) / adm_block_length(params->trained_length), first + begin, first + end};
    return each_tensor(params, b, update_piece, update, NULL);
}

/* The second moment of a tensor whose squared gradients have this sum; what its gradient is multiplied by. */
static adm_real next_factor(const adm_update *update, int64_t p, double squares)
{
    const adm_optim_input *input = &update->input;
    const adm_param *param = &input->params->items[p];
    const double plain =
        isinf(squares) ? adm_large_norm(input->gradients + param->offset, NULL, param->size) : sqrt(squares);
    const double norm = input->grad_scale * plain;
    const double beta2 = update->step == 1 ? 0.0 : update->config->beta2;
    const double v = beta2 * (double)update->v[p] + (1.0 - beta2) * (norm * norm);
    update->v[p] = (adm_real)v;
    /* a v that its type cannot hold would make every later step 0 */
    return isfinite((adm_real)v) ? (adm_real)(input->grad_scale / (sqrt(v) + update->config->eps))
                                 : (adm_real)NAN;
}

int64_t adm_novograd_scratch(const adm_param_table *params)
{
    return params->count + adm_num_squares(params);
}

double adm_novograd_update(const adm_update *update)
{
    const adm_param_table *params = update->input.params;
    double *factors = update->scratch, *found = factors + params->count;
    const double *squares = update->part.squares;
    adm_update call = *update;
    if (squares == NULL) {
        find_squares(&update->input, &update->part, found);
        squares = found;
    }
    for (int64_t p = 0; p < params->count; p++)
        if (params->items[p].trained)
            factors[p] = next_factor(update, p, squares_of(params, p, squares));
    return adm_sum_blocks(adm_blocks_of(update), update_block, &call, update->input.threads);
}
