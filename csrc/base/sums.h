/* Long sums in double, in an order that neither the processor's vectors nor the compiler changes. */
#ifndef ADM_SUMS_H
#define ADM_SUMS_H

#include <stdint.h>

#define ADM_SUM_LANES 32

#ifdef __clang__ /* which, up to its version 14 at least, unrolls so short a loop before it asks whether to vectorise it */
#define ADM_LANES_SIDE_BY_SIDE                                                                               \
    _Pragma("clang loop vectorize(assume_safety) vectorize_width(16) unroll(disable)")
#else
#define ADM_LANES_SIDE_BY_SIDE _Pragma("omp simd")
#endif

/* Does element i and returns what it adds to the sum. */
typedef double (*adm_element_fn)(const void *context, int64_t i);

/* The sum over [begin, end), in lanes that run beside each other: element begin + i goes to lane i modulo their number,
   and the lanes are added by halves. Called with a constant for fn only, which becomes a part of the loop; elements
   know nothing of each other. */
static inline __attribute__((always_inline)) double adm_sum_elements(adm_element_fn fn, const void *context,
                                                                     int64_t begin, int64_t end)
{
    double lanes[ADM_SUM_LANES] = {0};
    int64_t i = begin;
    for (; i + ADM_SUM_LANES <= end; i += ADM_SUM_LANES)
        ADM_LANES_SIDE_BY_SIDE
    for (int64_t j = 0; j < ADM_SUM_LANES; j++)
        lanes[j] += fn(context, i + j);
    for (int64_t j = 0; i + j < end; j++)
        lanes[j] += fn(context, i + j);
    for (int distance = ADM_SUM_LANES / 2; distance > 0; distance /= 2)
        for (int j = 0; j < distance; j++)
            lanes[j] += lanes[j + distance];
    return lanes[0];
}

#endif
