/* Elementary functions in double by +, -, *, / and sqrt alone, which IEEE 754 defines to the last bit (and by frexp, ldexp,
   rint and floor, which are exact): those of C libraries differ from one to the next, and with the processor. */
#include "base/base.h"

#include <assert.h>
#include <math.h>

#define LN2_HIGH 6.93147180369123816490e-01 /* ln 2 in two parts, so that n ln 2 is exact in the first */
#define LN2_LOW 1.90821492927058770002e-10
#define SQRT_HALF 0.70710678118654752440

#define EXP_MOST 709.8     /* about where e^x is no double any more, and ... */
#define EXP_LEAST (-746.0) /* ... where it is 0 */
#define TANH_MOST 20.0     /* from where on the hyperbolic tangent rounds to 1 */

/* c[0] + c[1] x + ... by Horner's rule */
static inline double polynomial(const double *c, int count, double x)
{
    double sum = c[count - 1];
    for (int i = count - 2; i >= 0; i--)
        sum = sum * x + c[i];
    return sum;
}
#define POLYNOMIAL(c, x) polynomial(c, (int)(sizeof(c) / sizeof *(c)), x)

/* ---- exponential and logarithm ---- */

/* e^x = 2^n (1 + rest) */
typedef struct exponential {
    double rest;
    int n;
} exponential;

/* x = n ln 2 + r with |r| <= ln 2 / 2, and e^r - 1 by its Taylor series; x is between EXP_LEAST and EXP_MOST. */
static inline exponential exponential_of(double x)
{
    static const double SERIES[] = {1.0 / 2,       1.0 / 6,        1.0 / 24,        1.0 / 120,
                                    1.0 / 720,     1.0 / 5040,     1.0 / 40320,     1.0 / 362880,
                                    1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0};
    const double n = rint(x / (LN2_HIGH + LN2_LOW));
    const double high = x - n * LN2_HIGH, low = n * LN2_LOW, r = high - low, lost = (high - r) - low;
    return (exponential){r + (r * r * POLYNOMIAL(SERIES, r) + lost), (int)n};
}

double adm_exp(double x)
{
    if (isnan(x))
        return x;
    if (x > EXP_MOST || x < EXP_LEAST)
        return x > 0.0 ? INFINITY : 0.0;
    const exponential of = exponential_of(x);
    return ldexp(1.0 + of.rest, of.n);
}

/* (1 - e) / (1 + e), e = e^(-2 |x|), with the sign of x: near 0 from e - 1, which keeps its digits there, and where that
   is more than a half from its distance to 1. */
double adm_tanh(double x)
{
    if (isnan(x))
        return x;
    const exponential of = exponential_of(-2.0 * fmin(fabs(x), TANH_MOST));
    const double power = ldexp(1.0, of.n), e = (1.0 + of.rest) * power, e1 = of.rest * power + (power - 1.0);
    return copysign(e > 1.0 / 3 ? -e1 / (2.0 + e1) : 1.0 - 2.0 * e / (1.0 + e), x);
}

/* x = 2^n (1 + d) with 1 + d around 1. With s = d / (2 + d), ln(1 + d) = 2 atanh s = d - d^2 / 2 + s (d^2 / 2 + R),
   R = 2 s^2 (1 / 3 + s^2 / 5 + ...), of which each part is smaller than the one before. */
double adm_log(double x)
{
    static const double SERIES[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11, 2.0 / 13,
                                    2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23};
    if (!(x > 0.0) || isinf(x))
        return x == 0.0 ? -INFINITY : x > 0.0 ? x : NAN;
    int n;
    double m = frexp(x, &n);
    if (m < SQRT_HALF) {
        m *= 2.0;
        n--;
    }
    const double d = m - 1.0, half = 0.5 * d * d, s = d / (2.0 + d), s2 = s * s;
    const double small = s * (half + s2 * POLYNOMIAL(SERIES, s2)) + n * LN2_LOW;
    return n * LN2_HIGH - ((half - small) - d);
}

/* ---- numbers of twice the digits ---- */

/* high + low, where high is the sum rounded */
typedef struct twofold {
    double high, low;
} twofold;

/* a + b exactly (Knuth) */
static inline twofold sum_exactly(double a, double b)
{
    const double sum = a + b, back = sum - a;
    return (twofold){sum, (a - (sum - back)) + (b - back)};
}

#define SPLIT 134217729.0 /* 2^27 + 1: multiplying by it parts 53 bits into halves (Veltkamp) */

static inline double upper_half(double a)
{
    const double much = SPLIT * a;
    return much - (much - a);
}

/* a b exactly (Dekker 1971), where neither overflows nor underflows */
static inline twofold multiply_exactly(double a, double b)
{
    const double product = a * b, a1 = upper_half(a), b1 = upper_half(b), a2 = a - a1, b2 = b - b1;
    return (twofold){product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2};
}

static twofold times(twofold a, twofold b)
{
    const twofold product = multiply_exactly(a.high, b.high);
    return sum_exactly(product.high, product.low + (a.high * b.low + a.low * b.high));
}

static twofold root(twofold a)
{
    const double high = sqrt(a.high);
    if (high == 0.0)
        return (twofold){high, 0.0};
    const twofold square = multiply_exactly(high, high);
    return sum_exactly(high, ((a.high - square.high) - square.low + a.low) / (2.0 * high));
}

/* The whole part of y by repeated squares, the rest by repeated roots, a bit of y each. */
double adm_power(double x, double y)
{
    assert(x >= 0.0 && x <= 1.0 && y >= 0.0 && isfinite(y));
    const twofold base = {x, 0.0};
    twofold result = {1.0, 0.0}, factor = base;
    double whole = floor(y), rest = y - whole;
    while (whole > 0.0 && factor.high > 0.0) {
        const double half = floor(0.5 * whole);
        if (half + half != whole)
            result = times(result, factor);
        factor = times(factor, factor);
        whole = half;
    }
    if (whole > 0.0)
        return 0.0;
    factor = base;
    while (rest > 0.0 && factor.high < 1.0) {
        factor = root(factor);
        rest += rest;
        if (rest >= 1.0) {
            result = times(result, factor);
            rest -= 1.0;
        }
    }
    return result.high;
}

/* ---- sine and cosine ---- */

/* sin(r.high + r.low), within pi / 4 of 0, by its Taylor series */
static double sin_near_zero(twofold r)
{
    static const double SERIES[] = {
        -1.0 / 6,          1.0 / 120,        -1.0 / 5040,          1.0 / 362880,
        -1.0 / 39916800.0, 1.0 / 6227020800, -1.0 / 1307674368000, 1.0 / 355687428096000};
    const double r2 = r.high * r.high;
    return r.high + (r.high * (r2 * POLYNOMIAL(SERIES, r2)) + r.low * (1.0 - 0.5 * r2));
}

static double cos_near_zero(twofold r)
{
    static const double SERIES[] = {1.0 / 24,        -1.0 / 720,         1.0 / 40320,         -1.0 / 3628800,
                                    1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000};
    const double r2 = r.high * r.high, half = 0.5 * r2, rest = 1.0 - half;
    return rest + (((1.0 - rest) - half) + (r2 * r2 * POLYNOMIAL(SERIES, r2) - r.high * r.low));
}

/* The sine of the angle r and `quarters` quarters of a turn */
static double sin_after(int64_t quarters, twofold r)
{
    const double x = (quarters & 1) != 0 ? cos_near_zero(r) : sin_near_zero(r);
    return (quarters & 2) != 0 ? -x : x;
}

/* pi / 2 in three parts: n times the first two is exact for n up to 2^20. */
#define HALF_PI_1 0x1.921fb544p+0
#define HALF_PI_2 0x1.0b4611a6p-34
#define HALF_PI_3 0x1.3198a2e037073p-69

/* sin(x + quarters pi / 2) */
static double sin_of(double x, int64_t quarters)
{
    const double n = rint(x / (HALF_PI_1 + HALF_PI_2));
    assert(fabs(n) <= 0x1p20);
    const twofold first = sum_exactly(x - n * HALF_PI_1, -(n * HALF_PI_2));
    return sin_after((int64_t)n + quarters, sum_exactly(first.high, first.low - n * HALF_PI_3));
}

double adm_sin(double x)
{
    return sin_of(x, 0);
}

double adm_cos(double x)
{
    return sin_of(x, 1);
}

#define TWO_PI_HIGH 6.283185307179586232e+00
#define TWO_PI_LOW 2.449293598294706414e-16

double adm_cos_turns(double turns)
{
    const double quarters = rint(4.0 * turns), rest = turns - 0.25 * quarters; /* exactly */
    assert(fabs(quarters) <= 0x1p20);
    const twofold r = multiply_exactly(rest, TWO_PI_HIGH);
    return sin_after((int64_t)quarters + 1, sum_exactly(r.high, r.low + rest * TWO_PI_LOW));
}
