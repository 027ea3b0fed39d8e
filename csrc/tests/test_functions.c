/* tanh and activations of every kernel table in turn, against libm in a wider type; tanh is reached through DyT. */
#include "kernels/kernels.h"

#include "admin/system.h"
#include "base/base.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>

#ifdef ADM_DOUBLE
#define DIGITS DBL_MANT_DIG
#define FARTHEST 37.0 /* where Phi underflows */
#define GELU_ULPS 7   /* z, e^(-z^2 / 2), t and P are each off by one or two, ... */
typedef long double wide;
#define TANH tanhl
#define ERFC erfcl
#define EXP expl
#define EPSILON DBL_EPSILON
#define SQRT2 1.41421356237309504880168872L
#else
#define DIGITS FLT_MANT_DIG
#define FARTHEST 12.0
#define GELU_ULPS                                                                                            \
    216 /* ... and in float32 z^2 / 2, up to 72, is rounded three times before it is an exponent */
typedef double wide;
#define TANH tanh
#define ERFC erfc
#define EXP exp
#define EPSILON FLT_EPSILON
#define SQRT2 1.4142135623730950488
#endif
#define INV_SQRT_2PI (1 / (SQRT2 * (wide)1.77245385090551602730L)) /* 1 / sqrt(2 pi) */
#define TANH_ULPS 2.5

enum { N = 1 << 10, BLOCKS = 60 };

/* In units in the last place of the exact value. */
static double error_of(adm_real y, wide exact)
{
    int exponent;
    (void)frexp((double)exact, &exponent);
    return fabs((double)(((wide)y - exact) / (wide)ldexp(1.0, exponent - DIGITS)));
}

static adm_real number(int block, int i, double farthest)
{
    const uint64_t key = adm_random_key(1, (uint64_t)block, 0);
    const double u = 2 * adm_random_uniform(key, (uint64_t)i) - 1;
    return (adm_real)(block % 2 == 0 ? u * farthest : u * exp2(-block / 2));
}

static void test_tanh(const adm_kernels *kernels)
{
    static adm_real x[N], y[N], one[N], zero[N];
    const adm_real scale = 1;
    const adm_norm_args dyt = {.kind = ADM_NORM_DYT, .n = N, .gamma = one, .nu = zero, .scale = &scale};
    double worst = 0;
    for (int i = 0; i < N; i++)
        one[i] = 1;
    for (int block = 0; block < BLOCKS; block++) {
        for (int i = 0; i < N; i++)
            x[i] = number(block, i, 20);
        kernels->norm_forward(&dyt, x, y, NULL, NULL, 1);
        for (int i = 0; i < N; i++)
            worst = fmax(worst, error_of(y[i], TANH((wide)x[i])));
    }
    printf("%s: tanh is off by at most %.3f units in the last place\n", kernels->name, worst);
    fflush(stdout);
    assert(worst <= TANH_ULPS);
    const adm_real special[] = {0, INFINITY, -(adm_real)INFINITY, (adm_real)NAN, 1000, -1000};
    for (int i = 0; i < N; i++)
        x[i] = special[i % 6];
    kernels->norm_forward(&dyt, x, y, NULL, NULL, 1);
    for (int i = 0; i + 6 <= N; i += 6)
        assert(y[i] == 0 && y[i + 1] == 1 && y[i + 2] == -1 && isnan(y[i + 3]) && y[i + 4] == 1 &&
               y[i + 5] == -1);
}

static void test_gelu(const adm_kernels *kernels)
{
    static adm_real z[N], h[N], derivative[N];
    double worst = 0, worst_derivative = 0;
    for (int block = 0; block < BLOCKS; block++) {
        for (int i = 0; i < N; i++)
            z[i] = derivative[i] = number(block, i, FARTHEST);
        kernels->activation_forward(ADM_ACTIVATION_GELU, derivative, h, N);
        for (int i = 0; i < N; i++) {
            const wide cdf = ERFC(-(wide)z[i] / SQRT2) / 2,
                       density = INV_SQRT_2PI * EXP(-(wide)z[i] * z[i] / 2);
            worst = fmax(worst, error_of(h[i], (wide)z[i] * cdf));
            worst_derivative = fmax(worst_derivative, fabs((double)(derivative[i] - (cdf + z[i] * density))));
        }
    }
    printf("%s: gelu is off by at most %.3f units in the last place, its derivative by %.3f of those of 1\n",
           kernels->name, worst, worst_derivative / EPSILON);
    fflush(stdout);
    assert(worst <= GELU_ULPS && worst_derivative <= 2 * EPSILON);
    const adm_real special[] = {0, INFINITY, (adm_real)NAN, 1000, -1000, (adm_real)-1e30};
    for (int i = 0; i < N; i++)
        z[i] = special[i % 6];
    kernels->activation_forward(ADM_ACTIVATION_GELU, z, h, N);
    for (int i = 0; i + 6 <= N; i += 6) {
        assert(h[i] == 0 && isinf(h[i + 1]) && isnan(h[i + 2]) && h[i + 3] == 1000);
        assert(fabs((double)h[i + 4]) < 1e-30 && fabs((double)h[i + 5]) < 1e-30);
    }
}

/* ---- activations by the logistic function, and relu squared ---- */

typedef struct exact {
    wide value, derivative;
} exact;

/* z sigma(s) and sigma + z sigma (1 - sigma) ds */
static exact logistic_unit(wide z, wide s, wide ds)
{
    const wide sigma = 1 / (1 + EXP(-s)), other = 1 / (1 + EXP(s));
    return (exact){z * sigma, sigma + z * sigma * other * ds};
}

static exact exact_silu(wide z)
{
    return logistic_unit(z, z, 1);
}

static exact exact_quick_gelu(wide z)
{
    return logistic_unit(z, 1.702L * z, 1.702L);
}

static exact exact_gelu_tanh(wide z)
{
    const wide slope = 4 * INV_SQRT_2PI, cubic = (wide)0.044715L * z * z;
    return logistic_unit(z, slope * z * (1 + cubic), slope * (1 + 3 * cubic));
}

static exact exact_relu_squared(wide z)
{
    return z > 0 ? (exact){z * z, 2 * z} : (exact){0, 0};
}

/* Each rounding on the way to the exponent s is worth up to |s| / 2 units of the result. */
#define LOGISTIC_ULPS(roundings, most) (5 + 0.5 * (roundings) * (most))

static const struct {
    const char *name;
    adm_activation activation;
    exact (*function)(wide z);
    double farthest; /* where |s| is 80, ... */
    double ulps;
    double derivative; /* units of EPSILON, relative to 1 or to the derivative */
} CURVES[] = {
    {"silu", ADM_ACTIVATION_SILU, exact_silu, 80, 5, 3}, /* ... whose rounding is none, since s is z */
    {"quick_gelu", ADM_ACTIVATION_QUICK_GELU, exact_quick_gelu, 47, LOGISTIC_ULPS(2, 80), 3},
    {"gelu_tanh", ADM_ACTIVATION_GELU_TANH, exact_gelu_tanh, 9.8, LOGISTIC_ULPS(5, 84), 3},
    {"relu_squared", ADM_ACTIVATION_RELU_SQUARED, exact_relu_squared, 80, 0.5, 0.5},
};

static void test_curve(const adm_kernels *kernels, size_t curve)
{
    static adm_real z[N], h[N], derivative[N];
    const adm_activation activation = CURVES[curve].activation;
    double worst = 0, worst_derivative = 0;
    for (int block = 0; block < BLOCKS; block++) {
        for (int i = 0; i < N; i++)
            z[i] = derivative[i] = number(block, i, CURVES[curve].farthest);
        kernels->activation_forward(activation, derivative, h, N);
        for (int i = 0; i < N; i++) {
            const exact right = CURVES[curve].function(z[i]);
            if (fabs((double)right.value) >= (double)ADM_REAL_MIN || right.value == 0)
                worst = fmax(worst, error_of(h[i], right.value));
            const double size = fmax(1, fabs((double)right.derivative));
            worst_derivative =
                fmax(worst_derivative, fabs((double)(derivative[i] - right.derivative)) / size);
        }
    }
    printf("%s: %s is off by at most %.3f units in the last place, its derivative by %.3f of those of 1\n",
           kernels->name, CURVES[curve].name, worst, worst_derivative / EPSILON);
    fflush(stdout);
    assert(worst <= CURVES[curve].ulps && worst_derivative <= CURVES[curve].derivative * EPSILON);
    const adm_real special[] = {0, INFINITY, (adm_real)NAN, 1000, -1000, (adm_real)-1e30};
    for (int i = 0; i < N; i++)
        derivative[i] = special[i % 6];
    kernels->activation_forward(activation, derivative, h, N);
    const adm_real large = activation == ADM_ACTIVATION_RELU_SQUARED ? (adm_real)1e6 : 1000;
    for (int i = 0; i + 6 <= N; i += 6) {
        assert(h[i] == 0 && isinf(h[i + 1]) && isnan(h[i + 2]) && h[i + 3] == large);
        assert(h[i + 4] == 0 && h[i + 5] == 0);
        assert(isnan(derivative[i + 2]) && derivative[i + 4] == 0 && derivative[i + 5] == 0);
    }
}

int main(void)
{
    const adm_kernels *kernels = adm_kernels_select();
    test_tanh(kernels);
    test_gelu(kernels);
    for (size_t curve = 0; curve < sizeof CURVES / sizeof *CURVES; curve++)
        test_curve(kernels, curve);
    return 0;
}
