/* NovoGrad (Ginsburg et al. 2019): one second moment a tensor, which normalises the gradient before the momentum.
     v = |g|^2 at the first update, then beta2 v + (1 - beta2) |g|^2
     m = beta1 m + g / (sqrt(v) + eps) + weight_decay w
     w = w - lr m */
#include "base/base.h"
#include "base/sums.h"
#include "kernels/kernels.h"
#include "optim/update.h"

#define PIECES 256 /* at once: they lie on the stack */

/* A block of one tensor; those of all tensors share a region of threads. */
typedef struct piece {
    int64_t param, begin, end; /* elements of the flat buffers */
    double sum;                /* of squared gradients, then of squared changes */
    adm_real factor;           /* on the gradient */
} piece;

typedef struct pieces {
    const adm_update *update;
    int64_t count;
    piece items[PIECES];
} pieces;

static int64_t num_blocks(const adm_param *param)
{
    return adm_pieces(param->size, adm_block_length(param->size, PIECES));
}

/* Cuts tensors from number `p` on as long as there is room, and returns the number of the next one. */
static int64_t cut_pieces(pieces *cut, int64_t p)
{
    const adm_param_table *params = cut->update->input.params;
    cut->count = 0;
    for (; p < params->count; p++) {
        const adm_param *param = &params->items[p];
        const int64_t length = adm_block_length(param->size, PIECES), end = param->offset + param->size;
        if (!param->trained)
            continue;
        if (cut->count + num_blocks(param) > PIECES)
            break;
        for (int64_t begin = param->offset; begin < end; begin += length)
            cut->items[cut->count++] =
                (piece){.param = p, .begin = begin, .end = adm_min(begin + length, end)};
    }
    return p;
}

static void square_task(void *context, int64_t task, int thread)
{
    pieces *cut = context;
    piece *block = &cut->items[task];
    const adm_optim_input *input = &cut->update->input;
    (void)thread;
    block->sum = input->kernels->sum_squares(input->gradients + block->begin, block->end - block->begin);
}

typedef struct elements {
    adm_real *w, *m;
    const adm_real *g;
    adm_real factor, decay, beta1, lr;
} elements;

static inline double update_element(const void *context, int64_t i)
{
    const elements *s = context;
    const adm_real w = s->w[i];
    const adm_real m = s->beta1 * s->m[i] + (s->g[i] * s->factor + s->decay * w);
    const adm_real next = w - s->lr * m;
    const double change = (double)next - (double)w;
    s->m[i] = m;
    s->w[i] = next;
    return change * change;
}

static void update_task(void *context, int64_t task, int thread)
{
    pieces *cut = context;
    piece *block = &cut->items[task];
    const adm_update *update = cut->update;
    const adm_optim_config *config = update->config;
    const elements s = {.w = update->input.weights,
                        .m = update->m,
                        .g = update->input.gradients,
                        .factor = block->factor,
                        .decay = (adm_real)config->weight_decay,
                        .beta1 = (adm_real)config->beta1,
                        .lr = (adm_real)update->input.lr};
    (void)thread;
    block->sum = adm_sum_elements(update_element, &s, block->begin, block->end);
}

/* The first of the pieces behind those of the tensor that piece i belongs to; *sum is over these. */
static int64_t tensor_end(const pieces *cut, int64_t i, double *sum)
{
    const int64_t param = cut->items[i].param;
    for (*sum = 0.0; i < cut->count && cut->items[i].param == param; i++)
        *sum += cut->items[i].sum;
    return i;
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

double adm_novograd_update(const adm_update *update)
{
    pieces cut = {.update = update};
    double total = 0.0, sum;
    for (int64_t p = 0; p < update->input.params->count;) {
        p = cut_pieces(&cut, p);
        adm_parallel_for(update->input.threads, cut.count, square_task, &cut);
        for (int64_t i = 0; i < cut.count;) {
            const int64_t end = tensor_end(&cut, i, &sum);
            const adm_real factor = next_factor(update, cut.items[i].param, sum);
            for (; i < end; i++)
                cut.items[i].factor = factor;
        }
        adm_parallel_for(update->input.threads, cut.count, update_task, &cut);
        for (int64_t i = 0; i < cut.count;) {
            i = tensor_end(&cut, i, &sum);
            total += sum;
        }
    }
    return total;
}
