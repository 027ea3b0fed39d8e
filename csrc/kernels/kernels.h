/* The table of row kernels. Each entry has one plain source (the *.inc files), compiled once for any processor and
   again for AVX2 and AVX-512; the best table that the processor can run is chosen at run time.
   All work on `rows` rows of n contiguous elements; row 0 of the call has the number `row0` in the batch, by which
   the random numbers of dropout are keyed. */
#ifndef ADM_KERNELS_H
#define ADM_KERNELS_H

#include "admin/config.h"
#include "admin/system.h"

/* Dropout keeps an element where the hash of (key, row, column) is at least threshold. */
typedef struct adm_dropout {
    uint64_t key;
    uint32_t threshold; /* p 2^32; 0: dropout is off */
    adm_real scale;     /* 1 / (1 - p) */
} adm_dropout;

#define ADM_QUERY_TILE 64 /* queries whose scores are held at once, ... */
#define ADM_KEY_TILE 128  /* ... against so many keys, at most */
#define ADM_QUERY_STEP                                                                                       \
    16 /* a tile's queries are a multiple of this; those beyond the last one mean nothing */

/* A tile of attention's scores s [keys, queries]. Query i sees key j where j < valid + i and, behind a window, j >= since
   + i. For dropout query i has the row number row + i stride, and key j the column number column + j. */
typedef struct adm_softmax_tile {
    int64_t keys, queries, valid;
    adm_real scale;
    adm_dropout dropout;
    int64_t row, stride, column;
    bool window;
    int64_t since; /* not read without a window */
} adm_softmax_tile;

adm_dropout adm_dropout_make(double p, bool training, uint64_t seed, uint64_t step, uint64_t site);

/* One norm: parameters and saved statistics. */
typedef struct adm_norm_args {
    adm_norm_kind kind;
    int64_t n;
    adm_real eps;
    const adm_real *gamma; /* [n] */
    const adm_real *nu;    /* [n]; not RMSNorm */
    const adm_real *scale; /* [1]; DyT only */
} adm_norm_args;

typedef struct adm_norm_grads {
    adm_real *gamma; /* [n] */
    adm_real *nu;    /* [n] */
    adm_real *scale; /* [1] */
} adm_norm_grads;

/* y = norm(x), rows of norm->n elements: dx = d norm(x) / dx . dy */
typedef struct adm_norm_gradient {
    const adm_norm_args *norm;
    int64_t rows;         /* M */
    const adm_real *dy;   /* [M, n] */
    const adm_real *x;    /* [M, n] */
    const adm_real *mean; /* [M] of the forward pass, as rstd */
    const adm_real *rstd; /* [M] */
    adm_real *dx;         /* [M, n], may be dy */
    adm_norm_grads grads; /* of the parameters: added to */
} adm_norm_gradient;

/* h = dropout(activation(z)), of which relu reads h and others what activation_forward kept: dh becomes dz */
typedef struct adm_activation_gradient {
    adm_activation activation;
    int64_t rows, n; /* M, F */
    int64_t row0;
    adm_dropout dropout;        /* as in the forward pass */
    adm_real *dh;               /* [M, F] */
    const adm_real *derivative; /* [M, F] activation'(z) */
    const adm_real *h;          /* [M, F] */
} adm_activation_gradient;

/* h = dropout(u activation(g)), of which gated_forward kept both derivatives in the place of u and g */
typedef struct adm_gated_gradient {
    int64_t rows, n; /* M, F */
    int64_t row0;
    adm_dropout dropout;        /* as in the forward pass */
    adm_real *dh;               /* [M, F]; becomes that before dropout */
    const adm_real *derivative; /* [M, 2F] activation(g), u activation'(g) */
    adm_real *dz;               /* [M, 2F] du, dg */
} adm_gated_gradient;

/* y = omega r + alpha b + kappa l */
typedef struct adm_residual_sum {
    int64_t rows, n;       /* M, D */
    const adm_real *omega; /* [D] or NULL for 1, as alpha */
    const adm_real *alpha; /* [D] */
    adm_real kappa;
    const adm_real *r; /* [M, D] */
    const adm_real *b; /* [M, D] */
    const adm_real *l; /* [M, D] or NULL */
    adm_real *y;       /* [M, D], may be b */
} adm_residual_sum;

/* The family of Adam on flat buffers:
     g = g grad_scale + l2 w
     m = beta1 m + (1 - beta1) g
     v = beta2 v + (1 - beta2) g^2
     w = w - (rate m / (v_scale sqrt(v) + eps) + decay w) */
typedef struct adm_adam {
    adm_real *w, *m, *v;
    const adm_real *g;
    adm_real grad_scale, l2, decay, rate, v_scale, eps;
    adm_real beta1, beta2, one_minus_beta1, one_minus_beta2;
} adm_adam;

/* A norm whose statistics are given is a linear map of rows: gamma (x - mean(x)) factor + nu. */
typedef struct adm_row_map {
    bool centre;           /* LayerNorm; RMSNorm leaves the mean */
    adm_real factor;       /* rstd of the token */
    const adm_real *gamma; /* [n]; NULL: no norm, the rest is not read */
    const adm_real *nu;    /* [n] or NULL */
} adm_row_map;

/* A token's way through one sub-layer's residual: post(omega pre(x) + kappa layer). */
typedef struct adm_component_step {
    adm_row_map pre, post;
    const adm_real *omega; /* [n] */
    adm_real kappa;
} adm_component_step;

typedef struct adm_cross_entropy {
    int64_t rows, classes; /* M, V */
    adm_real *logits;      /* [M, V]; with gradient they become factor * d loss / d logits */
    const int32_t *labels; /* [M] */
    double smoothing, z_loss;
    bool gradient;
    adm_real factor;
    double *losses; /* [M, 2] the loss and what it is without smoothing and z-loss */
} adm_cross_entropy;

/* Heads side by side, of which the first features are turned in pairs. */
typedef struct adm_rotation {
    int64_t heads, width;
    int64_t rotated;  /* features of each head, even; 0: none */
    bool interleaved; /* pairs are neighbours; or one of each half */
} adm_rotation;

/* A soft cap: cap tanh(factor x). */
typedef struct adm_cap {
    adm_real factor, cap; /* cap 0: there is none */
} adm_cap;

/* A query of all heads against keys, each a row of its own with its values `v` elements behind it. */
typedef struct adm_attend {
    int64_t keys, heads, width;
    const adm_real *q;        /* [heads width] */
    const adm_real *const *k; /* [keys] rows */
    const int64_t *columns;   /* [heads] where in a row the keys lie that a head reads */
    int64_t v;
} adm_attend;

/* How the second matrix of a product lies. */
typedef enum adm_layout {
    ADM_B_ROWS,       /* B [k, ldb] */
    ADM_B_TRANSPOSED, /* B^T [n, ldb] */
    ADM_B_PACKED      /* panels of as many columns as the table's tiles, each [k, columns], by gemm_pack */
} adm_layout;

/* What a product may leave out as far as its tiles allow:
     C    elements but those where i < j + diagonal, in whole ADM_QUERY_STEPs of columns; they stay as they were
     A    its elements are 0 but where i < p + diagonal
     A_T  its elements are 0 but where p < i + diagonal */
typedef enum adm_triangle {
    ADM_TRIANGLE_NONE,
    ADM_TRIANGLE_C,
    ADM_TRIANGLE_A,
    ADM_TRIANGLE_A_T
} adm_triangle;

/* C [m, n] = A B (+ C where accumulate) (+ bias), negative elements 0 where relu. Element (i, p) of A is
   a[i row + p step]: row 1 reads a transposed matrix. k = 0 leaves C alone. */
typedef struct adm_gemm {
    int64_t m, n, k;
    const adm_real *a;
    int64_t row, step; /* one of them is 1 */
    const adm_real *b;
    int64_t ldb;
    adm_layout layout;
    adm_real *c; /* [m, ldc] */
    int64_t ldc;
    const adm_real *bias; /* [n] or NULL */
    bool accumulate, relu;
    bool padded; /* C has room for whole vectors: columns beyond n may be written, with something finite */
    adm_triangle triangle;
    int64_t diagonal;
    /* [ADM_GEMM_SCRATCH] of the calling thread, aligned to ADM_ALIGN; the BLAS library needs none. */
    adm_real *scratch;
} adm_gemm;

#define ADM_PANEL_MAX 64   /* columns of a panel in any table: packed [k, n] has n rounded up to it at most */
#define ADM_GEMM_ROWS 264  /* of op(A) that a product takes at once, at most */
#define ADM_GEMM_DEPTH 256 /* steps of its sums that it takes at once, at most */
/* Elements for copies of ADM_GEMM_ROWS rows of A, with a line for every few of them, and of a panel of B. */
#define ADM_GEMM_SCRATCH (ADM_GEMM_ROWS * (ADM_GEMM_DEPTH + 16) + ADM_GEMM_DEPTH * ADM_PANEL_MAX)

struct adm_kernels {
    const char *name;
    bool by_blas; /* products are the BLAS library's: nothing is packed; how they are cut changes bits */

    /* x *= mask / (1 - p), in place */
    void (*dropout)(adm_real *x, int64_t rows, int64_t n, int64_t row0, const adm_dropout *dropout);
    /* x += bias */
    void (*add_bias)(adm_real *x, const adm_real *bias, int64_t rows, int64_t n);
    /* sums[c] += sum over rows of x[., c] */
    void (*add_column_sums)(const adm_real *x, adm_real *sums, int64_t rows, int64_t n);
    /* h = activation(z); z becomes activation'(z), for the backward pass */
    void (*activation_forward)(adm_activation activation, adm_real *z, adm_real *h, int64_t count);
    void (*activation_backward)(const adm_activation_gradient *gradient);
    /* h [rows, n] = u activation(g) of rows z [rows, 2n] that are u and g; z becomes the derivatives by them */
    void (*gated_forward)(adm_activation activation, adm_real *z, adm_real *h, int64_t rows, int64_t n);
    void (*gated_backward)(const adm_gated_gradient *gradient);

    /* y = norm(x); saves mean and rstd [rows] */
    void (*norm_forward)(const adm_norm_args *norm, const adm_real *x, adm_real *y, adm_real *mean,
                         adm_real *rstd, int64_t rows);
    void (*norm_backward)(const adm_norm_gradient *gradient);

    void (*residual_forward)(const adm_residual_sum *sum);
    /* y = omega x (+ add, may be NULL); omega [n] or NULL for 1 */
    void (*scale_add)(const adm_real *omega, const adm_real *x, const adm_real *add, adm_real *y,
                      int64_t rows, int64_t n);
    /* y = factor x; y may be x */
    void (*multiply)(adm_real factor, const adm_real *x, adm_real *y, int64_t count);
    /* x += factor y */
    void (*axpy)(adm_real factor, const adm_real *y, adm_real *x, int64_t count);
    /* sums[c] += sum over rows of x[., c] y[., c] */
    void (*add_column_dots)(const adm_real *x, const adm_real *y, adm_real *sums, int64_t rows, int64_t n);

    /* x [heads width], in place, by angles: cos [rotated / 2], then sin; or back by them */
    void (*rotate)(const adm_rotation *how, const adm_real *angles, bool back, adm_real *x);
    /* x = cap tanh(factor x), in place; slopes [count], or NULL: its derivative */
    void (*soft_cap)(const adm_cap *how, adm_real *x, adm_real *slopes, int64_t count);
    /* The same of scores; what is not seen may be anything and becomes 0. */
    void (*cap_scores)(const adm_softmax_tile *tile, const adm_cap *how, adm_real *s, adm_real *slopes);
    /* s becomes exp(scale (s - top)), dropped out; what is not seen may be anything and becomes 0. top and sum
       [queries] run over the tiles of keys, -infinity and 0 before the first, of which every query has to see a key;
       factor [queries]: by what to multiply the results of the tiles before. */
    void (*softmax_tile)(const adm_softmax_tile *tile, adm_real *s, adm_real *top, adm_real *sum,
                         adm_real *factor);
    /* After the last tile: lse [queries] = log of the sum of exp(scale s), factor = 1 / sum */
    void (*softmax_end)(const adm_real *top, const adm_real *sum, int64_t queries, adm_real scale,
                        adm_real *lse, adm_real *factor);
    /* s: scores, become dropped probabilities; dp: gradient of those, becomes that of the scores. lse and dot [queries]:
       as above, and the sum of p dp over all keys. */
    void (*softmax_backward)(const adm_softmax_tile *tile, adm_real *s, adm_real *dp, const adm_real *lse,
                             const adm_real *dot);
    /* x [rows, ld], the first n of each row, *= factor [rows] */
    void (*scale_rows)(const adm_real *factor, adm_real *x, int64_t ld, int64_t rows, int64_t n);
    /* dots [rows] = row by row sum of x y, both [rows, ld], of the first n */
    void (*row_dots)(const adm_real *x, const adm_real *y, int64_t ld, int64_t rows, int64_t n,
                     adm_real *dots);

    /* scores [keys, ld] = q k of every head, ld the number of heads rounded up to ADM_QUERY_STEP; columns beyond are 0 */
    void (*attend_scores)(const adm_attend *attend, adm_real *scores);
    /* context [heads width] += p v of every head; p [keys, ld] */
    void (*attend_sums)(const adm_attend *attend, const adm_real *p, adm_real *context);
    /* log of the sum of e^z over a row of n */
    double (*log_sum_exp)(const adm_real *z, int64_t n);
    /* The k largest of a row, the largest first and of equal ones the first first, with their numbers; how many there are,
       since NaN and -infinity are left out. */
    int64_t (*top_of_row)(const adm_real *z, int64_t n, int64_t k, adm_real *values, int32_t *ids);

    /* Label-smoothed cross-entropy of rows of logits, each row's apart, and its gradient in their place */
    void (*cross_entropy)(const adm_cross_entropy *entropy);

    /* *sum += sum of x, *sum2 += sum of x^2, in double */
    void (*add_moments)(const adm_real *x, int64_t count, double *sum, double *sum2);

    /* sum of x^2, in double */
    double (*sum_squares)(const adm_real *x, int64_t count);
    /* Elements [begin, end); returns the sum of the squared changes of w */
    double (*adam)(const adm_adam *adam, int64_t begin, int64_t end);

    int64_t panel; /* columns of a panel, which divide ADM_PANEL_MAX */
    /* packed = panels of B [k, n], which lies as layout says (not packed) */
    void (*gemm_pack)(int64_t n, int64_t k, const adm_real *b, int64_t ldb, adm_layout layout,
                      adm_real *packed);
    void (*gemm)(const adm_gemm *gemm);

    /* Rows are components of one token's vector: y = omega pre(x) + kappa layer, variances[i] += Var(row i of y),
       x = post(y); layer [rows, n] may be NULL */
    void (*components_forward)(const adm_component_step *step, const adm_real *layer, adm_real *x,
                               double *variances, int64_t rows, int64_t n);
    /* of the rows of omega x: sums[0] += variance, sums[1] += mean, sums[2] += mean^2 */
    void (*add_row_variances)(const adm_real *omega, const adm_real *x, int64_t rows, int64_t n,
                              double sums[3]);
    /* *sum += |xhat - yhat|^2 of the standardised rows, (x - mean) / sqrt(var + eps) */
    void (*add_row_changes)(const adm_real *x, const adm_real *y, adm_real eps, int64_t rows, int64_t n,
                            double *sum);
};

/* gemm_blas.c: the same product by the BLAS library that is loaded, in an order of its own: to compare with. */
void adm_gemm_by_blas(const adm_gemm *gemm);
/* The same table with these products. */
adm_kernels adm_kernels_by_blas(const adm_kernels *kernels);

#endif
