/* The product of two matrices, for what is computed of a pass outside the core. */
#ifndef ADMIN_PRODUCT_H
#define ADMIN_PRODUCT_H

#include "admin/config.h"
#include "admin/status.h"
#include "admin/system.h"

/* c = a b^T, each element summed in the order of a pass; k is at least 1. */
typedef struct adm_product {
    int64_t m, n, k;
    const adm_real *a; /* [m, k] */
    const adm_real *b; /* [n, k] */
    adm_real *c;       /* [m, n] */
} adm_product;

adm_status adm_product_compute(const adm_kernels *kernels, const adm_product *product, adm_error *error);

#endif
