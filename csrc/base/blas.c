/* The one place that knows the BLAS library: OpenBLAS, of whoever calls. Nothing needs it; a program may load it to compare
   the kernels' products with, or to compute by. */
#define _GNU_SOURCE /* strdup */
#include "base/base.h"

#include "admin/system.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef ADM_DOUBLE
#define GEMM "cblas_dgemm"
#else
#define GEMM "cblas_sgemm"
#endif

enum { ROW_MAJOR = 101, NOT_TRANSPOSED = 111, TRANSPOSED = 112 }; /* of every <cblas.h> */

typedef void (*any_function)(void);
typedef void (*gemm_function)(int order, int transpose_a, int transpose_b, int m, int n, int k,
                              adm_real alpha, const adm_real *a, int lda, const adm_real *b, int ldb,
                              adm_real beta, adm_real *c, int ldc);

typedef struct blas {
    gemm_function gemm;
    void (*set_num_threads)(int threads);
    const char *config;
    char *file;
} blas;

static blas *loaded; /* written once */
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static const blas *get(void)
{
    return __atomic_load_n(&loaded, __ATOMIC_ACQUIRE);
}

bool adm_blas_is_loaded(void)
{
    return get() != NULL;
}

void adm_blas_one_thread(void)
{
    const blas *library = get();
    if (library != NULL)
        library->set_num_threads(1);
}

const char *adm_system_blas(void)
{
    const blas *library = get();
    return library != NULL ? library->config : "none";
}

const char *adm_system_blas_file(void)
{
    const blas *library = get();
    return library != NULL ? library->file : "";
}

/* A function of the library, whose names carry this prefix; NULL if there is none. */
static any_function find(void *handle, const char *prefix, const char *name)
{
    char whole[64];
    snprintf(whole, sizeof whole, "%s%s", prefix, name);
    any_function function = NULL;
    void *found = dlsym(handle, whole);
    memcpy(&function, &found, sizeof found); /* ISO C converts no pointer to data to one to a function */
    return function;
}

static bool find_all(void *handle, const char *prefix, blas *library)
{
    const char *(*config)(void) = (const char *(*)(void))find(handle, prefix, "openblas_get_config");
    library->gemm = (gemm_function)find(handle, prefix, GEMM);
    library->set_num_threads = (void (*)(int))find(handle, prefix, "openblas_set_num_threads");
    if (config == NULL || library->gemm == NULL || library->set_num_threads == NULL)
        return false;
    library->config = config();
    return true;
}

static adm_status load(const char *file, adm_error *error)
{
    /* What others load stays apart, and it is never unloaded: its threads would be left without code. */
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return adm_fail(error, ADM_ERROR_FILE, "file must be a library, got '%s': %s", file, dlerror());
    blas found = {0};
    if (!find_all(handle, "scipy_", &found) && !find_all(handle, "", &found))
        return adm_fail(error, ADM_ERROR_VALUE, "file must be OpenBLAS, got '%s', which lacks " GEMM, file);
    if (strstr(found.config, "USE64BITINT") != NULL)
        return adm_fail(error, ADM_ERROR_VALUE,
                        "file must be OpenBLAS with 32-bit integers, got '%s' with wider ones", file);
    blas *made = malloc(sizeof *made);
    found.file = strdup(file);
    if (made == NULL || found.file == NULL) {
        free(made);
        free(found.file);
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for the library's name");
    }
    *made = found;
    made->set_num_threads(1);
    __atomic_store_n(&loaded, made, __ATOMIC_RELEASE);
    return ADM_OK;
}

adm_status adm_blas_load(const char *file, adm_error *error)
{
    if (file == NULL)
        return adm_fail(error, ADM_ERROR_VALUE, "file must not be NULL");
    pthread_mutex_lock(&loading);
    const adm_status status = get() != NULL ? ADM_OK : load(file, error);
    pthread_mutex_unlock(&loading);
    return status;
}

void adm_blas_gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, adm_real alpha,
                   const adm_real *a, int64_t lda, const adm_real *b, int64_t ldb, adm_real beta, adm_real *c,
                   int64_t ldc)
{
    if (m == 0 || n == 0)
        return;
    get()->gemm(ROW_MAJOR, transpose_a ? TRANSPOSED : NOT_TRANSPOSED,
                transpose_b ? TRANSPOSED : NOT_TRANSPOSED, (int)m, (int)n, (int)k, alpha, a, (int)lda, b,
                (int)ldb, beta, c, (int)ldc);
}
