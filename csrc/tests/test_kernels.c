/* Every kernel of a table against the generic one, bit for bit, on sizes that are no multiple of a register; the order of
   sums over rows; the exponential and the logarithm against libm; the quality of dropout's hash. */
#define _GNU_SOURCE
#include "base/base.h"
#include "kernels/kernels.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 7
#define MAX_N 300
#define COUNT (ROWS * MAX_N)

#ifdef ADM_DOUBLE
#define TOLERANCE 1e-12 /* sums of 300 terms in another order */
#else
#define TOLERANCE 2e-5
#endif

extern const adm_kernels adm_kernels_generic;

/* The inputs and outputs of one kernel call: equal at first for both tables. */
typedef struct arrays {
    adm_real a[COUNT], b[COUNT], c[COUNT], out[COUNT], vector[4][MAX_N], stats[4][ROWS];
    double sums[2 * ROWS];
} arrays;

static void fill(arrays *x, uint64_t seed)
{
    adm_real *values = (adm_real *)x;
    const size_t count = offsetof(arrays, sums) / sizeof(adm_real);
    const uint64_t key = adm_random_key(seed, 0, 0);
    for (size_t i = 0; i < count; i++)
        values[i] = (adm_real)adm_random_normal(key, i);
    memset(x->sums, 0, sizeof x->sums);
}

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

/* To the last bit, sums over rows of any length are what kernels/sums.inc says. */
static void test_row_sums(void)
{
    enum { LINE = ADM_ALIGN / sizeof(adm_real), STEP = 4 * LINE };
    const adm_kernels *kernels = adm_kernels_select();
    static arrays x;
    fill(&x, 7);
    for (int64_t n = 1; n <= MAX_N; n++) {
        adm_real lanes[STEP] = {0}, rest = 0, got;
        for (int64_t c = 0; c < n; c++) {
            const int64_t all = n / STEP * STEP, whole = n / LINE * LINE;
            adm_real *sum = c < all ? &lanes[c % STEP] : c < whole ? &lanes[c % LINE] : &rest;
            *sum = sizeof *sum == sizeof(double) ? (adm_real)fma(x.a[c], x.b[c], *sum)
                                                 : (adm_real)fmaf((float)x.a[c], (float)x.b[c], (float)*sum);
        }
        for (int half = STEP / 2; half > 0; half /= 2)
            for (int i = 0; i < half; i++)
                lanes[i] += lanes[i + half];
        kernels->row_dots(x.a, x.b, n, 1, n, &got);
        assert(got == lanes[0] + rest);
    }
}

/* Softmax of two scores 0 and -d is the logistic function of d: its tail shows the exponential, and its sum the
   logarithm. */
static void test_exponential(void)
{
    const double unit = sizeof(adm_real) == 8 ? 2.3e-16 : 1.2e-7;
    const adm_kernels *kernels = adm_kernels_select();
    const adm_softmax_tile tile = {.keys = 2, .queries = ADM_QUERY_STEP, .valid = 2, .scale = 1};
    for (double d = 0; d < 80; d += 0.37) {
        adm_real scores[2 * ADM_QUERY_STEP] = {0}, top[ADM_QUERY_STEP], sum[ADM_QUERY_STEP] = {0},
                            factor[ADM_QUERY_STEP], lse[ADM_QUERY_STEP];
        const double exact = exp(-(double)(adm_real)d);
        for (int i = 0; i < ADM_QUERY_STEP; i++) {
            scores[ADM_QUERY_STEP + i] = (adm_real)-d;
            top[i] = -(adm_real)INFINITY;
        }
        kernels->softmax_tile(&tile, scores, top, sum, factor);
        kernels->softmax_end(top, sum, ADM_QUERY_STEP, 1, lse, factor);
        for (int i = 0; i < ADM_QUERY_STEP; i++) {
            assert(fabs((double)scores[ADM_QUERY_STEP + i] - exact) <=
                   3 * unit * exact); /* a few roundings */
            assert(fabs((double)lse[i] - log1p(exact)) <= 3 * unit);
        }
    }
}

/* log(sum) from 1 to more keys than memory holds: a few roundings of e^y, whose relative error is the absolute one of
   y, and of y itself. */
static void test_logarithm(void)
{
    const double unit = sizeof(adm_real) == 8 ? 2.3e-16 : 1.2e-7;
    const adm_kernels *kernels = adm_kernels_select();
    adm_real top[ADM_QUERY_STEP] = {0}, sum[ADM_QUERY_STEP], lse[ADM_QUERY_STEP], factor[ADM_QUERY_STEP];
    for (double x = 1; x < 1e12; x *= 1.003) {
        for (int i = 0; i < ADM_QUERY_STEP; i++)
            sum[i] = (adm_real)(x * (1 + 0.0002 * i));
        kernels->softmax_end(top, sum, ADM_QUERY_STEP, 1, lse, factor);
        for (int i = 0; i < ADM_QUERY_STEP; i++) {
            const double exact = log((double)sum[i]);
            assert(fabs((double)lse[i] - exact) <= (3 + exact) * unit);
            assert(fabs((double)factor[i] * (double)sum[i] - 1) <= unit);
        }
    }
    sum[3] = (adm_real)NAN;
    kernels->softmax_end(top, sum, ADM_QUERY_STEP, 1, lse, factor);
    assert(isnan(lse[3]) && isnan(factor[3]) && !isnan(lse[2]));
}

/* Keep rate, its variance over rows and columns, and the correlation of neighbours: all within 5 standard errors. */
static void test_dropout(void)
{
    enum { rows = 2000, n = 256 };
    static adm_real x[rows * n];
    const double p = 0.3;
    const adm_dropout dropout = adm_dropout_make(p, true, 1, 2, 3);
    for (int i = 0; i < rows * n; i++)
        x[i] = 1;
    adm_kernels_select()->dropout(x, rows, n, 0, &dropout);
    double kept = 0, neighbours = 0, below = 0;
    for (int i = 0; i < rows * n; i++) {
        const bool keep = x[i] != 0;
        assert(!keep || fabs((double)x[i] - 1.0 / (1.0 - p)) < 1e-6);
        kept += keep;
        neighbours += keep && i % n + 1 < n && x[i + 1] != 0;
        below += keep && i + n < rows * n && x[i + n] != 0;
    }
    const double q = 1 - p, error = 5 * sqrt(q * (1 - q) / (rows * n)),
                 pair_error = 5 * sqrt(q * q / (rows * n));
    assert(fabs(kept / (rows * n) - q) < error);
    assert(fabs(neighbours / (rows * (n - 1)) - q * q) < pair_error);
    assert(fabs(below / ((rows - 1) * n) - q * q) < pair_error);
}

/* The kernels of the analyses against their formulas in double. */
static void test_components(void)
{
    enum { n = 37 };
    const adm_kernels *kernels = adm_kernels_select();
    static arrays x;
    double y[n], mean = 0, variance = 0, post = 0, got = 0, sums[3] = {0, 0, 0};
    fill(&x, 3);
    memcpy(x.c, x.a, sizeof x.c);
    const adm_row_map pre = {true, (adm_real)0.5, x.vector[0], x.vector[1]};
    const adm_row_map out = {true, (adm_real)2, x.vector[2], NULL};
    const adm_component_step step = {pre, out, x.vector[3], (adm_real)0.25};
    kernels->components_forward(&step, x.b, x.a, &got, 1, n);
    for (int c = 0; c < n; c++)
        post += (double)x.c[c] / n;
    for (int c = 0; c < n; c++) {
        const double r = (double)x.vector[0][c] * ((double)x.c[c] - post) * 0.5 + (double)x.vector[1][c];
        y[c] = (double)x.vector[3][c] * r + 0.25 * (double)x.b[c];
        mean += y[c] / n;
    }
    for (int c = 0; c < n; c++)
        variance += (y[c] - mean) * (y[c] - mean) / n;
    assert(fabs(got - variance) <= TOLERANCE * variance);
    for (int c = 0; c < n; c++) {
        const double wanted = (double)x.vector[2][c] * (y[c] - mean) * 2;
        assert(fabs((double)x.a[c] - wanted) <= TOLERANCE * (1 + fabs(wanted)));
    }
    /* far from 0 a variance keeps its digits: two passes, not the difference of two large sums */
    for (int c = 0; c < n; c++) {
        x.a[c] = 1000 + (adm_real)(c % 2);
        x.vector[0][c] = 1;
    }
    kernels->add_row_variances(x.vector[0], x.a, 1, n, sums);
    assert(fabs(sums[0] - 19.0 * 18.0 / (37.0 * 37.0)) < 100 * TOLERANCE);
    double change = 0;
    kernels->add_row_changes(x.b, x.b, (adm_real)1e-5, ROWS, n, &change);
    assert(change == 0);
}

/* Sizes at which x + (factor - 1) x would have lost all digits. */
static void test_multiply(void)
{
    static arrays x;
    const double factors[] = {1e-8, 1, 1e8};
    for (int f = 0; f < 3; f++) {
        fill(&x, 5);
        memcpy(x.c, x.a, sizeof x.c);
        adm_kernels_select()->multiply((adm_real)factors[f], x.a, x.a, 77);
        for (int c = 0; c < 77; c++)
            assert(x.a[c] == (adm_real)factors[f] * x.c[c]);
        assert(memcmp(x.a + 77, x.c + 77, sizeof *x.a) == 0);
    }
}

/* Beside one logit far above the others its class has all probability, wherever it stands. */
static void test_largest_logit(void)
{
    static adm_real logits[70];
    for (int32_t n = 1; n <= 70; n++) {
        for (int32_t largest = 0; largest < n; largest++) {
            double losses[2];
            for (int32_t c = 0; c < n; c++)
                logits[c] = c == largest ? 400 : -400;
            adm_kernels_select()->cross_entropy(&(adm_cross_entropy){
                .rows = 1,
                .classes = n,
                .logits = logits,
                .labels = &largest,
                .gradient = true,
                .factor = 1,
                .losses = losses,
            });
            assert(losses[0] == 0 && losses[1] == 0);
            for (int32_t c = 0; c < n; c++)
                assert(fabs((double)logits[c]) < TOLERANCE);
        }
    }
}

/* The k largest by looking for the largest k times; of equal ones the first, NaN and -infinity left out. */
static int64_t plain_top(const adm_real *z, int64_t n, int64_t k, int32_t *ids)
{
    int64_t found = 0;
    for (; found < k; found++) {
        int64_t best = -1;
        for (int64_t c = 0; c < n; c++) {
            bool is_new = z[c] > -(adm_real)INFINITY;
            for (int64_t i = 0; i < found; i++)
                is_new = is_new && ids[i] != c;
            if (is_new && (best < 0 || z[c] > z[best]))
                best = c;
        }
        if (best < 0)
            return found;
        ids[found] = (int32_t)best;
    }
    return found;
}

#define LONG_ROW 140000
#define MOST_WANTED 12

/* Rows of noise, of few different values, in order, and of next to nothing. */
static adm_real row_element(int kind, int64_t c, int64_t n)
{
    const uint64_t key = adm_random_key(77, (uint64_t)n, (uint64_t)kind);
    const double noise = adm_random_normal(key, (uint64_t)c);
    switch (kind) {
    case 0:
        return (adm_real)noise;
    case 1:
        return (adm_real)floor(noise);
    case 2:
        return (adm_real)c;
    case 3:
        return (adm_real)-c;
    default:
        return noise > 2.5 ? (adm_real)floor(noise) : c % 2 == 0 ? (adm_real)NAN : -(adm_real)INFINITY;
    }
}

static void test_top_of_row(void)
{
    static const int64_t LENGTHS[] = {1, 2, 12, 63, 64, 65, 800, 1000, 10000, 65536, LONG_ROW};
    static const int64_t WANTED[] = {1, 2, 10, MOST_WANTED};
    static adm_real z[LONG_ROW];
    const adm_kernels *kernels = adm_kernels_select();
    for (size_t length = 0; length < sizeof LENGTHS / sizeof *LENGTHS; length++) {
        for (int test = 0; test < 5 * 4; test++) {
            const int64_t n = LENGTHS[length], k = adm_min(WANTED[test % 4], n);
            adm_real values[MOST_WANTED];
            int32_t ids[MOST_WANTED], expected[MOST_WANTED];
            for (int64_t c = 0; c < n; c++)
                z[c] = row_element(test / 4, c, n);
            const int64_t found = kernels->top_of_row(z, n, k, values, ids);
            assert(found == plain_top(z, n, k, expected));
            for (int64_t i = 0; i < found; i++)
                assert(ids[i] == expected[i] && values[i] == z[expected[i]]);
        }
    }
}

int main(void)
{
    test_table();
    test_largest_logit();
    test_row_sums();
    test_components();
    test_multiply();
    test_exponential();
    test_logarithm();
    test_dropout();
    test_top_of_row();
    return 0;
}
