/* Every kernel of a table against the generic one, bit for bit, on sizes that are no multiple of a register. */
#define _GNU_SOURCE
#include "base/base.h"
#include "kernels/kernels.h"
#include "tests/arrays.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const adm_kernels adm_kernels_generic;

/* Bit for bit, but that a NaN is a NaN. */
static void compare(const char *kernel, const char *table, const arrays *x, const arrays *y)
{
    const adm_real *xs = (const adm_real *)x, *ys = (const adm_real *)y;
    const size_t count = offsetof(arrays, sums) / sizeof(adm_real);
    for (size_t i = 0; i < count; i++) {
        if (memcmp(&xs[i], &ys[i], sizeof *xs) != 0 && !(isnan(xs[i]) && isnan(ys[i]))) {
            fprintf(stderr, "%s of %s: element %zu is %a, generic %a\n", kernel, table, i, (double)ys[i],
                    (double)xs[i]);
            abort();
        }
    }
    for (int i = 0; i < 2 * ROWS; i++) {
        if (x->sums[i] != y->sums[i])
            fprintf(stderr, "%s of %s: sum %d is %a, generic %a\n", kernel, table, i, y->sums[i], x->sums[i]);
        assert(x->sums[i] == y->sums[i]);
    }
}

typedef void (*kernel_call)(const adm_kernels *kernels, arrays *x, int64_t n);

static const adm_dropout some_dropout = {.key = 99, .threshold = 0x40000000u, .scale = (adm_real)(4.0 / 3.0)};

static void call_dropout(const adm_kernels *k, arrays *x, int64_t n)
{
    k->dropout(x->a, ROWS, n, 5, &some_dropout);
}

static void call_sums(const adm_kernels *k, arrays *x, int64_t n)
{
    k->add_bias(x->a, x->vector[0], ROWS, n);
    k->add_column_sums(x->a, x->vector[1], ROWS, n);
    k->add_column_dots(x->a, x->b, x->vector[2], ROWS, n);
    k->axpy((adm_real)0.3, x->b, x->c, ROWS * n);
    k->add_moments(x->a, ROWS * n, &x->sums[0], &x->sums[1]);
}

static void call_activation(const adm_kernels *k, arrays *x, int64_t n)
{
    adm_activation_gradient gradient = {
        .activation = ADM_ACTIVATION_RELU,
        .rows = ROWS,
        .n = n,
        .row0 = 3,
        .dropout = some_dropout,
        .dh = x->out,
        .derivative = x->b,
        .h = x->a,
    };
    k->activation_backward(&gradient);
    gradient.dh = x->c;
    for (int kind = ADM_ACTIVATION_RELU; kind <= ADM_ACTIVATION_RELU_SQUARED; kind++) {
        gradient.activation = (adm_activation)kind;
        k->activation_forward(gradient.activation, x->b, x->a, ROWS * n);
        k->activation_backward(&gradient);
    }
}

/* Rows of two halves, so that as many numbers are used as there are. */
static void call_gated(const adm_kernels *k, arrays *x, int64_t n)
{
    for (int kind = ADM_ACTIVATION_RELU; kind <= ADM_ACTIVATION_RELU_SQUARED; kind++) {
        k->gated_forward((adm_activation)kind, x->b, x->a, ROWS, n / 2);
        k->gated_backward(&(adm_gated_gradient){
            .rows = ROWS,
            .n = n / 2,
            .row0 = 3,
            .dropout = some_dropout,
            .dh = x->c,
            .derivative = x->b,
            .dz = x->out,
        });
    }
}

static void call_norm(const adm_kernels *k, arrays *x, int64_t n)
{
    const adm_norm_kind kinds[] = {ADM_NORM_LAYER, ADM_NORM_RMS, ADM_NORM_DYT};
    adm_real dscale = 0;
    for (int i = 0; i < 3; i++) {
        const adm_norm_args norm = {kinds[i], n, (adm_real)1e-5, x->vector[0], x->vector[1], x->vector[0]};
        k->norm_forward(&norm, x->a, x->out, x->stats[0], x->stats[1], ROWS);
        k->norm_backward(&(adm_norm_gradient){
            .norm = &norm,
            .rows = ROWS,
            .dy = x->b,
            .x = x->a,
            .mean = x->stats[0],
            .rstd = x->stats[1],
            .dx = x->c,
            .grads = {x->vector[2], x->vector[3], &dscale},
        });
        x->sums[i] = dscale;
    }
}

static void call_residual(const adm_kernels *k, arrays *x, int64_t n)
{
    k->residual_forward(&(adm_residual_sum){
        .rows = ROWS,
        .n = n,
        .omega = x->vector[0],
        .alpha = x->vector[1],
        .kappa = (adm_real)0.5,
        .r = x->a,
        .b = x->b,
        .l = x->c,
        .y = x->out,
    });
    k->residual_forward(&(adm_residual_sum){.rows = ROWS, .n = n, .r = x->a, .b = x->out, .y = x->b});
    k->scale_add(x->vector[2], x->b, x->a, x->c, ROWS, n);
    k->scale_add(NULL, x->c, NULL, x->a, ROWS, n);
}

static bool sees(const adm_softmax_tile *tile, int64_t i, int64_t j)
{
    return j < tile->valid + i && (!tile->window || j >= tile->since + i);
}

/* What the queries of a tile do not see may be anything. */
static void spoil_unseen(const adm_softmax_tile *tile, adm_real *s)
{
    for (int64_t j = 0; j < tile->keys; j++)
        for (int64_t i = 0; i < tile->queries; i++)
            if (!sees(tile, i, j))
                s[j * tile->queries + i] = (adm_real)NAN;
}

/* Two tiles of keys after each other; the probabilities of both passes are the same ones. The queries are as many as a
   tile takes, the keys as many as the arrays hold. */
static void call_softmax(const adm_kernels *k, arrays *x, int64_t n)
{
    const int64_t queries = (n + ADM_QUERY_STEP - 1) / ADM_QUERY_STEP * ADM_QUERY_STEP;
    if (queries > ADM_QUERY_TILE)
        return;
    const int64_t keys = COUNT / queries;
    for (int kind = 0; kind < 4; kind++) {
        const bool causal = kind % 2 != 0;
        adm_softmax_tile tile = {.keys = keys,
                                 .queries = queries,
                                 .valid = keys,
                                 .scale = (adm_real)0.4,
                                 .row = 4,
                                 .stride = 3,
                                 .column = 5};
        adm_real scores[COUNT], plain[COUNT], seen[COUNT], top[ADM_QUERY_TILE], sum[ADM_QUERY_TILE],
            factor[ADM_QUERY_TILE], lse[ADM_QUERY_TILE], dot[ADM_QUERY_TILE] = {0};
        for (int64_t i = 0; i < queries; i++) {
            top[i] = -(adm_real)INFINITY;
            sum[i] = 0;
        }
        k->softmax_tile(&tile, x->b, top, sum, factor);
        tile.valid = causal ? keys - queries - 3 : keys;
        tile.window = kind >= 2;
        tile.since = 3 - queries / 2;
        spoil_unseen(&tile, x->a);
        memcpy(scores, x->a, sizeof scores);
        memcpy(plain, x->a, sizeof plain);
        adm_real top_again[ADM_QUERY_TILE], sum_again[ADM_QUERY_TILE], factor_again[ADM_QUERY_TILE];
        memcpy(top_again, top, sizeof top);
        memcpy(sum_again, sum, sizeof sum);
        k->softmax_tile(&tile, plain, top_again, sum_again, factor_again);
        tile.dropout = some_dropout;
        k->softmax_tile(&tile, x->a, top, sum, factor);
        assert(memcmp(top, top_again, (size_t)queries * sizeof *top) == 0 &&
               memcmp(sum, sum_again, (size_t)queries * sizeof *sum) == 0);
        for (int64_t i = 0; i < queries; i++) {
            double total = 0;
            for (int64_t j = 0; j < keys; j++) {
                const int64_t at = j * queries + i;
                total += (double)plain[at] + (double)(x->b[at] * factor[i]);
                assert((plain[at] != 0) == sees(&tile, i, j));
                assert(x->a[at] == 0 || x->a[at] == plain[at] * some_dropout.scale);
            }
            assert(fabs(total / (double)sum[i] - 1.0) <= 10 * TOLERANCE);
        }
        k->softmax_end(top, sum, queries, tile.scale, lse, factor);
        for (int64_t i = 0; i < queries; i++) {
            const double exact = (double)(top[i] * tile.scale) + log((double)sum[i]);
            assert(fabs((double)lse[i] - exact) <= TOLERANCE / 20 * (1 + fabs(exact)));
            assert(fabs((double)factor[i] * (double)sum[i] - 1) <= TOLERANCE / 20);
        }
        for (int64_t at = 0; at < queries * keys; at++) {
            seen[at] = x->a[at] * factor[at % queries];
            dot[at % queries] += seen[at] * x->c[at];
        }
        spoil_unseen(&tile, x->c);
        k->softmax_backward(&tile, scores, x->c, lse, dot);
        for (int64_t at = 0; at < queries * keys; at++)
            assert(fabs((double)(scores[at] - seen[at])) <= TOLERANCE);
        memcpy(x->out, scores, (size_t)(queries * keys) * sizeof *scores);
    }
}

/* Turned and turned back, both kinds of pairs, with features that stay. */
static void call_rotary(const adm_kernels *k, arrays *x, int64_t n)
{
    const int64_t heads = 2, rotated = n / heads / 2 * 2;
    adm_real angles[COUNT], before[COUNT];
    if (rotated == 0)
        return;
    for (int64_t j = 0; j < rotated / 2; j++) {
        angles[j] = (adm_real)adm_cos(0.3 * (double)j);
        angles[rotated / 2 + j] = (adm_real)adm_sin(0.3 * (double)j);
    }
    memcpy(before, x->a, sizeof before);
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        const adm_rotation how = {heads, n / heads, rotated, interleaved != 0};
        k->rotate(&how, angles, false, x->a);
        memcpy(x->out + interleaved * n, x->a, (size_t)n * sizeof *x->out);
        k->rotate(&how, angles, true, x->a);
        for (int64_t i = 0; i < n; i++)
            assert(fabs((double)(x->a[i] - before[i])) <= TOLERANCE);
    }
}

/* Scores that are seen in part, beside double precision; what is not seen has no slope that is no number. */
static void call_cap(const adm_kernels *k, arrays *x, int64_t n)
{
    const adm_cap how = {(adm_real)0.4, (adm_real)1.5};
    const int64_t queries = adm_round_up(n, ADM_QUERY_STEP);
    if (queries > ADM_QUERY_TILE)
        return;
    const adm_softmax_tile tile = {.keys = COUNT / queries, .queries = queries, .valid = COUNT / queries - 3};
    const int64_t count = tile.keys * queries;
    adm_real before[COUNT], alone[COUNT];
    spoil_unseen(&tile, x->a);
    memcpy(before, x->a, sizeof before);
    memcpy(alone, x->b, sizeof alone);
    k->cap_scores(&tile, &how, x->a, x->c);
    for (int64_t i = 0; i < count; i++) {
        const double t = isnan((double)before[i]) ? 0 : tanh(0.4 * (double)before[i]);
        assert(fabs((double)x->a[i] - 1.5 * t) <= TOLERANCE &&
               fabs((double)x->c[i] - 0.6 * (1 - t * t)) <= TOLERANCE);
    }
    k->soft_cap(&how, x->b, x->out, count);
    k->soft_cap(&how, alone, NULL, count);
    assert(memcmp(alone, x->b, (size_t)count * sizeof *alone) == 0);
}

static void call_cross_entropy(const adm_kernels *k, arrays *x, int64_t n)
{
    int32_t labels[ROWS];
    for (int i = 0; i < ROWS; i++)
        labels[i] = (int32_t)(i % n);
    k->cross_entropy(&(adm_cross_entropy){
        .rows = ROWS,
        .classes = n,
        .logits = x->a,
        .labels = labels,
        .smoothing = 0.1,
        .gradient = true,
        .factor = (adm_real)0.25,
        .losses = x->sums,
    });
    double more[2 * ROWS];
    k->cross_entropy(&(adm_cross_entropy){
        .rows = ROWS,
        .classes = n,
        .logits = x->b,
        .labels = labels,
        .z_loss = 0.3,
        .gradient = true,
        .factor = (adm_real)0.25,
        .losses = more,
    });
    for (int i = 0; i < 2 * ROWS; i++)
        x->sums[i] += more[i];
}

/* A LayerNorm residual, a normed residual with biases and kappa, and one with neither norm. */
static void call_components(const adm_kernels *k, arrays *x, int64_t n)
{
    const adm_row_map layer = {true, (adm_real)0.7, x->vector[0], NULL};
    const adm_row_map biased = {true, (adm_real)1.3, x->vector[1], x->vector[2]};
    const adm_row_map rms = {false, (adm_real)0.9, x->vector[2], NULL};
    const adm_component_step steps[] = {{{0}, layer, x->vector[3], 0},
                                        {rms, biased, x->vector[3], (adm_real)0.5},
                                        {{0}, {0}, x->vector[3], 0}};
    double variances[ROWS] = {0};
    for (int i = 0; i < 3; i++)
        k->components_forward(&steps[i], i == 1 ? x->b : NULL, x->a, variances, ROWS, n);
    for (int i = 0; i < ROWS; i++)
        x->sums[0] += variances[i];
    k->add_row_variances(x->vector[0], x->b, ROWS, n, &x->sums[1]);
    if (n > 1) /* the standardised sign of a rounding error is anybody's */
        k->add_row_changes(x->b, x->c, (adm_real)1e-5, ROWS, n, &x->sums[0]);
}

/* The other tests, too, are of the table that ADMIN_PY_CPU names: the Makefile runs this program with each. */
static void test_table(void)
{
    const struct {
        const char *name;
        kernel_call call;
    } calls[] = {
        {"dropout", call_dropout},
        {"sums", call_sums},
        {"activation", call_activation},
        {"gated", call_gated},
        {"norm", call_norm},
        {"residual", call_residual},
        {"softmax", call_softmax},
        {"cap", call_cap},
        {"rotary", call_rotary},
        {"cross_entropy", call_cross_entropy},
        {"components", call_components},
    };
    const int64_t sizes[] = {1, 2, 15, 16, 31, 32, 33, 64, 100, 257, MAX_N};
    const adm_kernels *kernels = adm_kernels_select();
    static arrays x, y;
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            fill(&x, s);
            fill(&y, s);
            calls[c].call(&adm_kernels_generic, &x, sizes[s]);
            calls[c].call(kernels, &y, sizes[s]);
            compare(calls[c].name, kernels->name, &x, &y);
        }
}

int main(void)
{
    test_table();
    return 0;
}
