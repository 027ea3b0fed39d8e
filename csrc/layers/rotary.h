/* Rotary positions (Su et al. 2021): features of queries and keys turned, pair by pair, by angles that grow with the
   position, so that their products depend on the distance alone. */
#ifndef ADM_LAYERS_ROTARY_H
#define ADM_LAYERS_ROTARY_H

#include "admin/config.h"
#include "kernels/kernels.h"

/* cos(p f_j) then sin(p f_j) of position p, f_j = theta^(-2 j / width), scaled as the configuration says. */
void adm_rotary_fill(const adm_rotary_config *rotary, adm_real *table, /* [positions, width] */
                     int64_t positions, int64_t width);

/* Consecutive rows of packed sequences. */
typedef struct adm_rotary_rows {
    adm_rotation rotation;
    const adm_real *table;  /* [positions, width] */
    const int64_t *offsets; /* [B + 1] */
    const int64_t *starts;  /* [B] positions of the first tokens, or NULL: 0 */
    int64_t sequence;       /* of the first row */
    int64_t row, rows;      /* number of the first, and how many */
    int64_t stride;         /* from a row to the next */
} adm_rotary_rows;

/* Turns x; or, back, a gradient, which is turned the other way. */
void adm_rotary_turn(const adm_kernels *kernels, const adm_rotary_rows *rows, bool back, adm_real *x);

#endif
