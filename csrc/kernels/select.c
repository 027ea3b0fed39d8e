#include "kernels/kernels.h"

#include "base/base.h"
#include "base/processor.h"

#include <stdlib.h>
#include <string.h>

extern const adm_kernels adm_kernels_generic;

/* A table, and whether this processor can run it. */
typedef struct choice {
    const adm_kernels *table;
    bool (*runs)(void);
} choice;

static bool always(void)
{
    return true;
}

#ifdef __x86_64__
extern const adm_kernels adm_kernels_avx2;
extern const adm_kernels adm_kernels_avx512;
#endif

#ifdef __aarch64__
extern const adm_kernels adm_kernels_neon;
#endif

/* The best first. */
static const choice CHOICES[] = {
#if defined(__x86_64__)
    {&adm_kernels_avx512, adm_has_avx512},
    {&adm_kernels_avx2, adm_has_avx2},
#elif defined(__aarch64__)
    {&adm_kernels_neon, always}, /* every such processor has it */
#endif
    {&adm_kernels_generic, always},
};
#define COUNT ((int)(sizeof CHOICES / sizeof *CHOICES))

/* The number of the choice that has this name, or of the best. */
static int choose(const char *wanted)
{
    int best = COUNT - 1;
    for (int i = COUNT - 1; i >= 0; i--) {
        if (!CHOICES[i].runs())
            continue;
        best = i;
        if (wanted != NULL && strcmp(wanted, CHOICES[i].table->name) == 0)
            break;
    }
    return best;
}

adm_kernels adm_kernels_by_blas(const adm_kernels *kernels)
{
    adm_kernels changed = *kernels;
    changed.by_blas = true;
    changed.gemm = adm_gemm_by_blas;
    return changed;
}

/* Constant once the library is loaded. */
static adm_kernels tables_by_blas[COUNT];

__attribute__((constructor)) static void make_tables(void)
{
    for (int i = 0; i < COUNT; i++)
        tables_by_blas[i] = adm_kernels_by_blas(CHOICES[i].table);
}

const adm_kernels *adm_kernels_select(void)
{
    const char *product = getenv("ADMIN_PY_GEMM");
    const bool library = product != NULL && strcmp(product, "openblas") == 0 && adm_blas_is_loaded();
    const int chosen = choose(getenv("ADMIN_PY_CPU"));
    return library ? &tables_by_blas[chosen] : CHOICES[chosen].table;
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
