/* The core's own elementary functions against the C library's in a wider type, in units in the last place of the exact
   values, over the ranges that they are made for; and values that are exact. */
#include "base/base.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>

#define ULPS 1.0 /* of which half a one is the rounding of the result */
#define TANH_ULPS 2.5

enum { N = 20000 };

/* In units in the last place of the exact value. */
static double error_of(double got, long double exact)
{
    int exponent;
    (void)frexp((double)exact, &exponent);
    return (double)(fabsl((long double)got - exact) / ldexpl(1.0L, exponent - DBL_MANT_DIG));
}

static void check_within(double ulps, const char *function, double x, double y, double got, long double exact)
{
    if (error_of(got, exact) <= ulps)
        return;
    fprintf(stderr, "%s(%a, %a) is %a, off by %.3f units in the last place\n", function, x, y, got,
            error_of(got, exact));
    assert(0);
}

static void check(const char *function, double x, double y, double got, long double exact)
{
    check_within(ULPS, function, x, y, got, exact);
}

/* Numbers in [0, 1): over the whole, near 0 and near 1 */
static double somewhere(uint64_t key, uint64_t i)
{
    const double u = adm_random_uniform(key, 2 * i), v = adm_random_uniform(key, 2 * i + 1);
    const double small = u * exp2(-floor(50 * v));
    return i % 3 == 0 ? u : i % 3 == 1 ? small : 1 - small;
}

/* cos(2 pi u), u from 0 to 1: what is more than whole quarters of a turn is exact. */
static long double cos_of_turns(double u)
{
    const int quarters = (int)rint(4 * u);
    const long double angle = 6.28318530717958647692528677L * (u - 0.25 * quarters);
    const long double x = quarters % 2 == 0 ? cosl(angle) : -sinl(angle);
    return quarters % 4 < 2 ? x : -x;
}

static void test_errors(void)
{
    const uint64_t first = adm_random_key(1, 0, 0), second = adm_random_key(2, 0, 0);
    for (uint64_t i = 0; i < N; i++) {
        const double u = somewhere(first, i), v = somewhere(second, i);
        check("exp", -700 * u, 0, adm_exp(-700 * u), expl(-700 * u));
        check("exp", 700 * u, 0, adm_exp(700 * u), expl(700 * u));
        const double x = (u + 0.5) * exp2(floor(2000 * v) - 1000);
        check("log", x, 0, adm_log(x), logl(x));
        check("log", u + 0.5, 0, adm_log(u + 0.5), logl((long double)(u + 0.5)));
        const double angle = i % 2 == 0 ? 0x1p20 * u : floor(0x1p20 * u);
        check("sin", angle, 0, adm_sin(angle), sinl(angle));
        check("cos", angle, 0, adm_cos(angle), cosl(angle));
        check_within(TANH_ULPS, "tanh", 20 * u, 0, adm_tanh(20 * u), tanhl(20 * u));
        check_within(TANH_ULPS, "tanh", -u, 0, adm_tanh(-u), tanhl(-u));
        check("cos_turns", u, 0, adm_cos_turns(u), cos_of_turns(u));
        const double power = v * (i % 2 == 0 ? 8 : 0.5);
        if (power * log(u) > -700)
            check("power", u, power, adm_power(u, power), powl(u, power));
    }
}

/* beta^t for as many steps as trainings have and more; against a logarithm that the wider type rounds. */
static void test_long_powers(void)
{
    const double betas[] = {0.9, 0.98, 0.999, 1 - 0x1p-30};
    for (int b = 0; b < 4; b++)
        for (double t = 1; t * -log(betas[b]) < 40 && t < 1e9; t = floor(1.7 * t) + 1)
            check("power", betas[b], t, adm_power(betas[b], t), powl(betas[b], t));
}

static void test_exact_values(void)
{
    assert(adm_exp(0) == 1 && adm_log(1) == 0 && adm_sin(0) == 0 && adm_cos(0) == 1);
    assert(adm_exp(-1e300) == 0 && isinf(adm_exp(1e300)) && isinf(adm_log(0)) && isnan(adm_log(-1)));
    assert(isnan(adm_exp(NAN)) && isnan(adm_log(NAN)) && adm_log(INFINITY) == INFINITY);
    assert(adm_tanh(0) == 0 && adm_tanh(INFINITY) == 1 && adm_tanh(-1e300) == -1 && isnan(adm_tanh(NAN)));
    assert(adm_cos_turns(0) == 1 && adm_cos_turns(0.25) == 0 && adm_cos_turns(0.5) == -1);
    assert(adm_power(0, 0) == 1 && adm_power(0.3, 0) == 1 && adm_power(0, 0.1) == 0 &&
           adm_power(1, 1e300) == 1);
    assert(adm_power(0.25, 0.5) == 0.5 && adm_power(0.25, 1.5) == 0.125 && adm_power(0.5, 1e18) == 0);
    for (int n = 0; n < 1000; n++)
        assert(adm_power(0.5, n) == ldexp(1, -n));
}

int main(void)
{
    test_errors();
    test_long_powers();
    test_exact_values();
    return 0;
}
