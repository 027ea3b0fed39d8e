#include "base/base.h"

#include <math.h>

double adm_large_norm(const adm_real *x, const adm_real *before, int64_t n)
{
    double largest = 0.0, sum = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const double d = fabs((double)x[i] - (before == NULL ? 0.0 : (double)before[i]));
        largest = d > largest ? d : largest;
    }
    if (isinf(largest))
        return largest;
    for (int64_t i = 0; i < n; i++) {
        const double d = ((double)x[i] - (before == NULL ? 0.0 : (double)before[i])) / largest;
        sum += d * d;
    }
    return largest * sqrt(sum);
}
