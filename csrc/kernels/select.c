#include "kernels/kernels.h"

#include "admin/system.h"
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

extern const adm_kernels adm_kernels_generic;
#ifdef __x86_64__
extern const adm_kernels adm_kernels_avx2;
extern const adm_kernels adm_kernels_avx512;
#endif

static const adm_kernels *table_for(const char *wanted)
{
    if (wanted != NULL && strcmp(wanted, "generic") == 0)
        return &adm_kernels_generic;
#ifdef __x86_64__
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    if (avx512 && (wanted == NULL || strcmp(wanted, "avx2") != 0))
        return &adm_kernels_avx512;
    if (avx2)
        return &adm_kernels_avx2;
#endif
    return &adm_kernels_generic;
}

adm_kernels adm_kernels_select(void)
{
    adm_kernels kernels = *table_for(getenv("ADMIN_PY_CPU"));
    const char *product = getenv("ADMIN_PY_GEMM");
    if (product != NULL && strcmp(product, "openblas") == 0) {
        kernels.panel = 0;
        kernels.gemm = adm_gemm_by_blas;
    }
    return kernels;
}

const char *adm_system_kernels(void)
{
    return table_for(getenv("ADMIN_PY_CPU"))->name;
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
