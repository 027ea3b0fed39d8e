/* Times single kernels on one thread, in groups: `kernels_benchmark [products] [attention] [rows]`, all by default.
   The first line names the kernel table and says how many FLOPs a call of the multiply-adds is, each further one is a kernel; all are JSON. */
#include "benchmarks/timing.h"

#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct group {
    const char *name;
    void (*time_all)(const adm_kernels *kernels);
} GROUPS[] = {{"products", bench_products}, {"attention", bench_attention}, {"rows", bench_rows}};
#define NUM_GROUPS (sizeof GROUPS / sizeof *GROUPS)

static const struct group *find_group(const char *name)
{
    for (size_t g = 0; g < NUM_GROUPS; g++)
        if (strcmp(GROUPS[g].name, name) == 0)
            return &GROUPS[g];
    fprintf(stderr, "unknown group '%s': expected products, attention or rows\n", name);
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        find_group(argv[i]);
    adm_error error;
    const char *file = getenv("OPENBLAS");
    if (adm_blas_load(file != NULL ? file : "", &error) != ADM_OK) {
        fprintf(stderr, "OPENBLAS in the environment: %s\n", error.message);
        return EXIT_FAILURE;
    }
    const adm_kernels *kernels = adm_kernels_select();
    printf("{\"kernels\": \"%s\", \"blas\": \"%s\", \"peak_flops\": %.0f}\n", kernels->name,
           adm_system_blas(), bench_peak_flops());
    fflush(stdout);
    for (size_t g = 0; argc == 1 && g < NUM_GROUPS; g++)
        GROUPS[g].time_all(kernels);
    for (int i = 1; i < argc; i++)
        find_group(argv[i])->time_all(kernels);
    return EXIT_SUCCESS;
}
