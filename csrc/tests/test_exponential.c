/* The exponential of the kernels, of every table in turn, against libm in a wider type. It is reached through the
   backward of softmax, which recomputes probabilities as e^(scale s - lse): with scale 1 and lse 0 that is e^s. */
#include "kernels/kernels.h"

#include "admin/system.h"
#include "base/base.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The bound in units in the last place, of which half a one is the rounding of the result. Over all float32 of the range
   the worst is 1.22 where multiply-adds round twice, as in plain C, and 0.94 where they round once. */
#define ULPS 1.25

#ifdef ADM_DOUBLE
#define LOWEST (-708.0)
#define DIGITS DBL_MANT_DIG
typedef long double wide;
#define EXACT expl
#else
#define LOWEST (-87.0f)
#define DIGITS FLT_MANT_DIG
typedef double wide;
#define EXACT exp
#endif

enum { N = 1 << 10 };

/* y = e^x */
static void exponentials(const adm_real *x, adm_real *y)
{
    static adm_real dp[N];
    const adm_real lse[ADM_QUERY_STEP] = {0}, dot[ADM_QUERY_STEP] = {0};
    const adm_softmax_tile tile = {
        .keys = N / ADM_QUERY_STEP, .queries = ADM_QUERY_STEP, .valid = N, .scale = 1};
    memset(dp, 0, sizeof dp);
    memcpy(y, x, N * sizeof *y);
    adm_kernels_select()->softmax_backward(&tile, y, dp, lse, dot);
}

/* In units in the last place of the exact value. */
static double error_of(adm_real x, adm_real y)
{
    const wide exact = EXACT((wide)x);
    int exponent;
    (void)frexp((double)exact, &exponent);
    return fabs((double)(((wide)y - exact) / (wide)ldexp(1.0, exponent - DIGITS)));
}

typedef struct finding {
    double error, x;
} finding;

static void look(finding *worst, const adm_real *x)
{
    static adm_real y[N];
    exponentials(x, y);
    for (int i = 0; i < N; i++) {
        const double error = error_of(x[i], y[i]);
        assert(error < 1e3);
        if (error > worst->error)
            *worst = (finding){error, (double)x[i]};
    }
}

/* Evenly over the whole range; around the places where the power of two changes, (n + 1/2) ln 2; and small ones. */
static finding search(int blocks)
{
    const uint64_t key = adm_random_key(1, 0, 0);
    const double ln2 = 0.693147180559945309, powers = -(double)LOWEST / ln2;
    adm_real x[N];
    finding worst = {0, 0};
    for (int block = 0; block < blocks; block++) {
        for (int i = 0; i < N; i++) {
            const double u = adm_random_uniform(key, (uint64_t)block * N + (uint64_t)i);
            const double n = floor(u * (powers - 1));
            switch (block % 3) {
            case 0:
                x[i] = (adm_real)(u * (double)LOWEST);
                break;
            case 1:
                x[i] = (adm_real)(-(n + 0.5) * ln2 *
                                  (1 + ((double)i - N / 2) * (sizeof *x == 8 ? 1e-16 : 6e-8)));
                break;
            default:
                x[i] = (adm_real)-exp2(-u * 60);
            }
        }
        look(&worst, x);
    }
    return worst;
}

static void test_error(void)
{
    /* valgrind computes long double in 53 bits: the reference is off by half a unit, too */
    volatile wide one = 1, little = sizeof(wide) > 8 ? (wide)LDBL_EPSILON : (wide)DBL_EPSILON;
    const bool narrow = one + little == one;
    const finding worst = search(narrow ? 30 : 600);
    printf("%s: at most %.3f units in the last place, at %.17g\n", adm_kernels_name(adm_kernels_select()),
           worst.error, worst.x);
    fflush(stdout);
    assert(worst.error <= ULPS + (narrow ? 0.5 : 0));
}

/* 1 at both zeros, never above 1, not 0 below the range, and NaN stays NaN. */
static void test_special_values(void)
{
    const adm_real given[] = {0,
                              -(adm_real)0.0,
                              LOWEST,
                              LOWEST * 2,
                              (adm_real)-1e30,
                              -(adm_real)INFINITY,
                              (adm_real)NAN,
                              -(adm_real)1e-30};
    const int count = (int)(sizeof given / sizeof *given);
    adm_real x[N], y[N];
    for (int i = 0; i < N; i++)
        x[i] = given[i % count]; /* at every place of a vector register, and in its remainder */
    exponentials(x, y);
    for (int i = 0; i < N; i++) {
        const adm_real *block = y + i / count * count;
        if (isnan(x[i]))
            assert(isnan(y[i]));
        else
            assert(y[i] > 0 && y[i] <= 1);
        assert(block[0] == 1 && block[1] == 1 && block[7] == 1);
        assert(block[3] == block[2] && block[4] == block[2] && block[5] == block[2]);
    }
}

int main(void)
{
    test_error();
    test_special_values();
    return 0;
}
