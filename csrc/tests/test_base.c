/* Memory, random numbers, sums, threads and products of the base. */
#include "base/base.h"
#include "base/sums.h"

#include "openblas.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

static void test_arena(void)
{
    adm_arena arena = {0};
    adm_error error = {0};
    assert(adm_arena_real(&arena, 3) == NULL); /* without a base: measuring only */
    assert(arena.used == ADM_ALIGN);
    assert(adm_arena_reserve(&arena, (size_t)5 << 20, &error) == ADM_OK);
    arena.used = 0;
    adm_real *first = adm_arena_real(&arena, 1);
    double *second = adm_arena_double(&arena, 100);
    assert((uintptr_t)first % ADM_ALIGN == 0 && (uintptr_t)second % ADM_ALIGN == 0);
    assert((char *)second - (char *)first == ADM_ALIGN);
    second[99] = 7; /* all of it is there */
    char *base = arena.base;
    assert(adm_arena_reserve(&arena, 100, &error) == ADM_OK && arena.base == base); /* large enough: kept */
    assert(adm_arena_reserve(&arena, SIZE_MAX / 2, &error) == ADM_ERROR_MEMORY && arena.base == base);
    assert(error.status == ADM_ERROR_MEMORY && strstr(error.message, "memory") != NULL);
    adm_arena_free(&arena);
    assert(adm_alloc(SIZE_MAX) == NULL);
}

/* Mean and variance of uniforms and normals within 5 standard errors; streams differ; elements repeat. */
static void test_random(void)
{
    const int64_t n = 200000;
    const uint64_t key = adm_random_key(1, 2, 3);
    double sum = 0, sum2 = 0, normal = 0, normal2 = 0, normal4 = 0;
    for (int64_t i = 0; i < n; i++) {
        const double u = adm_random_uniform(key, (uint64_t)i), z = adm_random_normal(key, (uint64_t)i);
        assert(u >= 0.0 && u < 1.0 && isfinite(z));
        sum += u;
        sum2 += u * u;
        normal += z;
        normal2 += z * z;
        normal4 += z * z * z * z;
    }
    const double unit = 5.0 / sqrt((double)n);
    assert(fabs(sum / (double)n - 0.5) < unit * sqrt(1.0 / 12.0));
    assert(fabs(sum2 / (double)n - 1.0 / 3.0) < unit * sqrt(4.0 / 45.0));
    assert(fabs(normal / (double)n) < unit);
    assert(fabs(normal2 / (double)n - 1.0) < unit * sqrt(2.0));
    assert(fabs(normal4 / (double)n - 3.0) < unit * sqrt(96.0));
    assert(adm_random_uniform(key, 17) == adm_random_uniform(adm_random_key(1, 2, 3), 17));
    assert(adm_random_key(1, 2, 3) != adm_random_key(2, 1, 3));
    assert(adm_random_key(1, 2, 3) != adm_random_key(1, 3, 2));
    assert(adm_random_key(0, 0, 0) != adm_random_key(0, 0, 1));
}

static void count_task(void *context, int64_t task, int thread)
{
    assert(thread >= 0 && thread < 3);
    ((int *)context)[task]++;
}

static void test_parallel(void)
{
    int counts[100] = {0};
    adm_parallel_for(3, 100, count_task, counts);
    adm_parallel_for(1, 50, count_task, counts);
    adm_parallel_for(3, 0, count_task, counts);
    for (int i = 0; i < 100; i++)
        assert(counts[i] == (i < 50 ? 2 : 1));
}

enum { STEPS = 40, WIDTH = 6 };

typedef struct relay {
    int64_t done[STEPS]; /* tasks of a step */
    int values[STEPS][WIDTH];
} relay;

/* One more than the sum of all values of the step before: each task reads what other threads have just written. */
static void relay_task(void *context, int64_t task, int thread)
{
    relay *r = context;
    const int64_t step = task / WIDTH, i = task % WIDTH;
    (void)thread;
    int sum = 0;
    if (step > 0) {
        adm_wait_for(&r->done[step - 1], WIDTH);
        for (int j = 0; j < WIDTH; j++)
            sum += r->values[step - 1][j];
    }
    r->values[step][i] = (1 + sum) % 1009;
    adm_count_done(&r->done[step]);
}

static void test_waiting(void)
{
    relay one = {0};
    adm_parallel_for(1, STEPS * WIDTH, relay_task, &one);
    for (int threads = 2; threads < 9; threads++) {
        relay many = {0};
        adm_parallel_for(threads, STEPS * WIDTH, relay_task, &many);
        assert(memcmp(&one, &many, sizeof one) == 0);
    }
}

/* Small whole numbers: exact in either precision. */
static void test_gemm(void)
{
    enum { m = 3, n = 4, k = 5 };
    adm_real a[m * k], at[k * m], b[k * n], bt[n * k], c[m * n];
    for (int i = 0; i < m; i++)
        for (int p = 0; p < k; p++)
            a[i * k + p] = at[p * m + i] = (adm_real)(i - 2 * p);
    for (int p = 0; p < k; p++)
        for (int j = 0; j < n; j++)
            b[p * n + j] = bt[j * k + p] = (adm_real)(3 * j - p + 1);
    for (int way = 0; way < 4; way++) {
        const bool turn_a = way % 2 == 1, turn_b = way / 2 == 1;
        for (int i = 0; i < m * n; i++)
            c[i] = 7;
        adm_blas_gemm(turn_a, turn_b, m, n, k, 2, turn_a ? at : a, turn_a ? m : k, turn_b ? bt : b,
                      turn_b ? k : n, 1, c, n);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++) {
                adm_real sum = 0;
                for (int p = 0; p < k; p++)
                    sum += a[i * k + p] * b[p * n + j];
                assert(c[i * n + j] == 2 * sum + 7);
            }
    }
    adm_blas_gemm(false, false, 0, n, k, 1, a, k, b, n, 0, c, n); /* nothing to do, nothing done */
}

/* No file, no library, no OpenBLAS: refused, and nothing changes; the first that is loaded stays. */
static void test_loading(void)
{
    adm_error error;
    assert(!adm_blas_is_loaded() && strcmp(adm_system_blas(), "none") == 0 &&
           *adm_system_blas_file() == '\0');
    adm_blas_one_thread();
    assert(adm_blas_load(NULL, &error) == ADM_ERROR_VALUE && strstr(error.message, "file") != NULL);
    assert(adm_blas_load("/no/such/library.so", &error) == ADM_ERROR_FILE);
    assert(strstr(error.message, "/no/such/library.so") != NULL);
    assert(adm_blas_load("libm.so.6", &error) != ADM_OK && strstr(error.message, "libm.so.6") != NULL);
    assert(adm_blas_load("/no/such/library.so", NULL) == ADM_ERROR_FILE && !adm_blas_is_loaded());
    if (!load_openblas())
        return;
    assert(adm_blas_is_loaded() && strstr(adm_system_blas(), "OpenBLAS") != NULL);
    assert(strcmp(adm_system_blas_file(), getenv("OPENBLAS")) == 0);
    assert(adm_blas_load("/no/such/library.so", &error) == ADM_OK);
    assert(strcmp(adm_system_blas_file(), getenv("OPENBLAS")) == 0);
    test_gemm();
}

static double element(const void *context, int64_t i)
{
    return ((const double *)context)[i];
}

/* To the last bit the sum that it is said to be, wherever it begins and ends. */
static void test_sums(void)
{
    double x[3 * ADM_SUM_LANES + 7];
    const int64_t count = (int64_t)(sizeof x / sizeof *x);
    for (int64_t i = 0; i < count; i++)
        x[i] = adm_random_normal(5, (uint64_t)i);
    for (int64_t begin = 0; begin < 3; begin++)
        for (int64_t end = begin; end <= count; end++) {
            double lanes[ADM_SUM_LANES] = {0};
            for (int64_t i = begin; i < end; i++)
                lanes[(i - begin) % ADM_SUM_LANES] += x[i];
            for (int half = ADM_SUM_LANES / 2; half > 0; half /= 2)
                for (int i = 0; i < half; i++)
                    lanes[i] += lanes[i + half];
            assert(adm_sum_elements(element, x, begin, end) == lanes[0]);
        }
}

int main(void)
{
    assert(adm_system_num_procs() >= 1);
    test_loading();
    test_arena();
    test_random();
    test_sums();
    test_parallel();
    test_waiting();
    return 0;
}
