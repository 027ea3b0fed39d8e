#include "admin/product.h"

#include "base/base.h"
#include "kernels/kernels.h"

#include <assert.h>

#define SCRATCH_BYTES (ADM_GEMM_SCRATCH * sizeof(adm_real))

typedef struct product_call {
    const adm_kernels *kernels;
    const adm_product *product;
    adm_real *scratch; /* [ADM_GEMM_SCRATCH] */
} product_call;

/* A product is one task, so that denormal numbers are zero as in a pass. */
static void run_product(void *context, int64_t task, int thread)
{
    (void)task;
    (void)thread;
    const product_call *call = context;
    const adm_product *product = call->product;
    call->kernels->gemm(&(adm_gemm){
        .m = product->m,
        .n = product->n,
        .k = product->k,
        .a = product->a,
        .row = product->k,
        .step = 1,
        .b = product->b,
        .ldb = product->k,
        .layout = ADM_B_TRANSPOSED,
        .c = product->c,
        .ldc = product->n,
        .scratch = call->scratch,
    });
}

adm_status adm_product_compute(const adm_kernels *kernels, const adm_product *product, adm_error *error)
{
    assert(product->k >= 1);
    if (product->m == 0 || product->n == 0)
        return ADM_OK;
    product_call call = {kernels, product, adm_alloc(SCRATCH_BYTES)};
    if (call.scratch == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for a product");
    adm_parallel_for(1, 1, run_product, &call);
    adm_release(call.scratch, SCRATCH_BYTES);
    return ADM_OK;
}
