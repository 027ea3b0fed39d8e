/* The one place that knows the BLAS library. It is a private copy of OpenBLAS whose symbols carry a prefix,
   or the system's without one, or there is none: the kernels have products of their own. */
#define _GNU_SOURCE /* dladdr */
#include "base/base.h"

#ifdef ADM_NO_BLAS

void adm_blas_setup(void)
{
}

const char *adm_system_blas(void)
{
    return "none";
}

const char *adm_system_blas_file(void)
{
    return "";
}

#else

#include <cblas.h>
#include <dlfcn.h>

#define JOIN_NAMES(a, b) a##b
#define JOIN(a, b) JOIN_NAMES(a, b)
#ifdef ADM_BLAS_PREFIX
#define BLAS(name) JOIN(ADM_BLAS_PREFIX, name)
#else
#define BLAS(name) name
#endif

#ifdef ADM_DOUBLE
#define GEMM BLAS(cblas_dgemm)
#else
#define GEMM BLAS(cblas_sgemm)
#endif

void adm_blas_setup(void)
{
    BLAS(openblas_set_num_threads)(1);
}

const char *adm_system_blas(void)
{
    return BLAS(openblas_get_config)();
}

const char *adm_system_blas_file(void)
{
    /* Asked of a function's address, so it is the library that calls do end in, whatever was preloaded. */
    Dl_info found;
    const void *function = (const void *)(uintptr_t)BLAS(openblas_get_config);
    return dladdr(function, &found) && found.dli_fname ? found.dli_fname : "";
}

void adm_blas_gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, adm_real alpha,
                   const adm_real *a, int64_t lda, const adm_real *b, int64_t ldb, adm_real beta, adm_real *c,
                   int64_t ldc)
{
    if (m == 0 || n == 0)
        return;
    GEMM(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
         (blasint)m, (blasint)n, (blasint)k, alpha, a, (blasint)lda, b, (blasint)ldb, beta, c, (blasint)ldc);
}

#endif
