#include "layers/layers.h"

#include "base/base.h"

#include <math.h>

#define POSITION_BASE 10000.0 /* Vaswani et al. 2017, section 3.5 */

void adm_positions_fill(adm_real *table, int64_t positions, int64_t d)
{
    const int64_t half = d / 2;
    const double decay = adm_log(POSITION_BASE) / (double)(half > 1 ? half - 1 : 1);
    for (int64_t p = 0; p < positions; p++) {
        adm_real *row = table + p * d;
        for (int64_t j = 0; j < half; j++) {
            const double angle = (double)p * adm_exp(-(double)j * decay);
            row[j] = (adm_real)adm_sin(angle);
            row[half + j] = (adm_real)adm_cos(angle);
        }
        if (2 * half < d)
            row[d - 1] = 0;
    }
}

/* x = sqrt(D) embedding[token] + position */
void adm_embedding_forward(const adm_real *embedding, const adm_real *positions, const int32_t *tokens,
                           adm_real *x, int64_t t, int64_t d)
{
    const adm_real scale = (adm_real)sqrt((double)d);
    for (int64_t i = 0; i < t; i++) {
        const adm_real *e = embedding + (int64_t)tokens[i] * d;
        for (int64_t c = 0; c < d; c++)
            x[i * d + c] = scale * e[c] + positions[i * d + c];
    }
}

/* dembedding[token] += sqrt(D) dx, dposition += dx */
void adm_embedding_backward(const adm_real *dx, const int32_t *tokens, const int64_t *offsets, int64_t count,
                            int64_t d, int64_t first, int64_t last, adm_real *dembedding,
                            adm_real *dpositions)
{
    const adm_real scale = (adm_real)sqrt((double)d);
    for (int64_t b = 0; b < count; b++) {
        for (int64_t i = offsets[b]; i < offsets[b + 1]; i++) {
            adm_real *de = dembedding + (int64_t)tokens[i] * d;
            for (int64_t c = first; c < last; c++)
                de[c] += scale * dx[i * d + c];
            if (dpositions == NULL)
                continue;
            adm_real *dp = dpositions + (i - offsets[b]) * d;
            for (int64_t c = first; c < last; c++)
                dp[c] += dx[i * d + c];
        }
    }
}
