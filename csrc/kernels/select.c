#include "kernels/kernels.h"

#include "base/base.h"

#include <stdlib.h>
#include <string.h>

extern const adm_kernels adm_kernels_generic;
#ifdef __x86_64__
extern const adm_kernels adm_kernels_avx2;
extern const adm_kernels adm_kernels_avx512;
#endif

/* The same with the BLAS library's products; constant once the library is loaded. */
static adm_kernels generic_by_blas;
#ifdef __x86_64__
static adm_kernels avx2_by_blas, avx512_by_blas;
#endif

adm_kernels adm_kernels_by_blas(const adm_kernels *kernels)
{
    adm_kernels changed = *kernels;
    changed.by_blas = true;
    changed.gemm = adm_gemm_by_blas;
    return changed;
}

__attribute__((constructor)) static void make_tables(void)
{
    generic_by_blas = adm_kernels_by_blas(&adm_kernels_generic);
#ifdef __x86_64__
    avx2_by_blas = adm_kernels_by_blas(&adm_kernels_avx2);
    avx512_by_blas = adm_kernels_by_blas(&adm_kernels_avx512);
#endif
}

const adm_kernels *adm_kernels_select(void)
{
    const char *wanted = getenv("ADMIN_PY_CPU"), *product = getenv("ADMIN_PY_GEMM");
    const bool library = product != NULL && strcmp(product, "openblas") == 0;
    const adm_kernels *generic = library ? &generic_by_blas : &adm_kernels_generic;
    if (wanted != NULL && strcmp(wanted, "generic") == 0)
        return generic;
#ifdef __x86_64__
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    if (avx512 && (wanted == NULL || strcmp(wanted, "avx2") != 0))
        return library ? &avx512_by_blas : &adm_kernels_avx512;
    if (avx2)
        return library ? &avx2_by_blas : &adm_kernels_avx2;
#endif
    return generic;
}

const char *adm_kernels_name(const adm_kernels *kernels)
{
    return kernels->name;
}

adm_dropout adm_dropout_make(double p, bool training, uint64_t seed, uint64_t step, uint64_t site)
{
    if (!training || p <= 0.0)
        return (adm_dropout){.scale = 1};
    return (adm_dropout){
        .key = adm_random_key(seed, step, site),
        .threshold = (uint32_t)(p * 0x1p32),
        .scale = (adm_real)(1.0 / (1.0 - p)),
    };
}
