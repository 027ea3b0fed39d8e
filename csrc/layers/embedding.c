#include "layers/embedding.h"

#include "base/base.h"

#define POSITION_BASE 10000.0 /* Vaswani et al. 2017, section 3.5 */

void adm_positions_fill(adm_real *table, int64_t positions, int64_t d)
{
    const int64_t half = d / 2;
    const double decay = adm_log(POSITION_BASE) / (double)(half > 1 ? half - 1 : 1);
    for (int64_t j = 0; j < half; j++) {
        const double frequency = adm_exp(-(double)j * decay);
        for (int64_t p = 0; p < positions; p++) {
            table[p * d + j] = (adm_real)adm_sin((double)p * frequency);
            table[p * d + half + j] = (adm_real)adm_cos((double)p * frequency);
        }
    }
    for (int64_t p = 0; p < positions && 2 * half < d; p++)
        table[p * d + d - 1] = 0;
}

/* x = scale embedding[token] + position */
void adm_embedding_forward(const adm_embedding *embedding, int64_t first, adm_span span)
{
    const int64_t d = embedding->d, end = span.first + span.rows;
    const adm_real scale = embedding->scale;
    int64_t i = span.first;
    for (int64_t b = first; i < end; b++) {
        const int64_t start = embedding->starts != NULL ? embedding->starts[b] : 0;
        for (; i < adm_min(embedding->offsets[b + 1], end); i++) {
            const adm_real *e = embedding->embedding + (int64_t)embedding->tokens[i] * d;
            adm_real *x = embedding->x + i * d;
            if (embedding->positions == NULL) {
                for (int64_t c = 0; c < d; c++)
                    x[c] = scale * e[c];
                continue;
            }
            const adm_real *position = embedding->positions + (start + i - embedding->offsets[b]) * d;
            for (int64_t c = 0; c < d; c++)
                x[c] = scale * e[c] + position[c];
        }
    }
}

/* x = scale embedding[token] + position:  dembedding[token] += scale dx, dposition += dx */
void adm_embedding_backward(const adm_embedding *embedding, int64_t count, const adm_embedding_share *of)
{
    const int64_t d = embedding->d, first = of->first, last = of->last;
    const adm_real scale = embedding->scale;
    for (int64_t b = 0; b < count; b++) {
        for (int64_t i = embedding->offsets[b]; i < embedding->offsets[b + 1]; i++) {
            const int64_t token = embedding->tokens[i], position = i - embedding->offsets[b];
            const adm_real *dx = embedding->dx + i * d;
            adm_real *de = embedding->dembedding + token * d;
            for (int64_t c = first; token % of->shares == of->share && c < last; c++)
                de[c] += scale * dx[c];
            if (embedding->dpositions == NULL || position % of->shares != of->share)
                continue;
            adm_real *dp = embedding->dpositions + position * d;
            for (int64_t c = first; c < last; c++)
                dp[c] += dx[c];
        }
    }
}
