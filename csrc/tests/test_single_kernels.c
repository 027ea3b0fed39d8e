/* Kernels of the chosen table against what they are to compute: the order of sums over rows, the exponential and the
   logarithm against libm, the quality of dropout's hash, the largest of a row. */
#define _GNU_SOURCE
#include "kernels/kernels.h"
#include "tests/arrays.h"

#include <assert.h>
#include <math.h>

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
