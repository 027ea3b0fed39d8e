#include "layers/rotary.h"

#include "base/base.h"

#define THETA 10000.0 /* Su et al. 2021, section 3.2.2 */
#define TWO_PI 6.283185307179586

/* Llama 3's way to longer sequences: waves longer than the original length over low_frequency_factor turn `factor` times
   slower, those shorter than it over high_frequency_factor as before, and between the two a mean of both. */
static double scaled(const adm_rotary_config *rotary, double frequency)
{
    const double low = rotary->low_frequency_factor, high = rotary->high_frequency_factor;
    const double waves = (double)rotary->original_length * frequency / TWO_PI; /* in the original length */
    if (rotary->factor == 0 || waves > high)
        return frequency;
    if (waves < low)
        return frequency / rotary->factor;
    const double share = (waves - low) / (high - low);
    return (1.0 - share) * (frequency / rotary->factor) + share * frequency;
}

void adm_rotary_fill(const adm_rotary_config *rotary, adm_real *table, int64_t positions, int64_t width)
{
    const int64_t half = width / 2;
    const double decay = adm_log(rotary->theta > 0 ? rotary->theta : THETA);
    for (int64_t j = 0; j < half; j++) {
        const double frequency = scaled(rotary, adm_exp(-(2.0 * (double)j / (double)width) * decay));
        for (int64_t p = 0; p < positions; p++) {
            table[p * width + j] = (adm_real)adm_cos((double)p * frequency);
            table[p * width + half + j] = (adm_real)adm_sin((double)p * frequency);
        }
    }
}

void adm_rotary_turn(const adm_kernels *kernels, const adm_rotary_rows *rows, bool back, adm_real *x)
{
    int64_t b = rows->sequence;
    for (int64_t i = 0; i < rows->rows; i++) {
        const int64_t row = rows->row + i;
        while (row >= rows->offsets[b + 1])
            b++;
        const int64_t start = rows->starts != NULL ? rows->starts[b] : 0;
        const int64_t position = start + row - rows->offsets[b];
        kernels->rotate(&rows->rotation, rows->table + position * rows->rotation.rotated, back,
                        x + i * rows->stride);
    }
}
