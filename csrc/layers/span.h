/* Consecutive rows. */
#ifndef ADM_LAYERS_SPAN_H
#define ADM_LAYERS_SPAN_H

#include "base/base.h"

typedef struct adm_span {
    int64_t first, rows;
} adm_span;

#define ADM_BLOCK_ELEMENTS 4096 /* of a few arrays at once in the first cache */

/* Rows of n elements that stay in the first cache. */
static inline int64_t adm_row_block(int64_t n)
{
    return adm_max(ADM_BLOCK_ELEMENTS / n, 1);
}

/* Where a part of `parts` begins in a size that is cut at multiples of unit. */
static inline int64_t adm_part_start(int64_t size, int64_t unit, int64_t part, int64_t parts)
{
    return adm_min(adm_pieces(size, unit) * part / parts * unit, size);
}

#endif
