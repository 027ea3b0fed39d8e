/* Norms of parameters against sums worked out one by one, and the same bits for any number of threads. */
#undef NDEBUG
#include "admin/admin.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define COUNT 5
#define LENGTH 100064

/* Of one element, of exactly one block, of a few, empty gaps between them, and one behind that is not trained. */
static adm_param items[COUNT] = {{.size = 1, .offset = 0, .trained = true},
                                 {.size = 16384, .offset = 16, .trained = true},
                                 {.size = 70001, .offset = 16400, .trained = true},
                                 {.size = 16385 - 13000, .offset = 86416, .trained = true},
                                 {.size = 64, .offset = 100000, .trained = false}};
static const adm_param_table table = {
    .count = COUNT, .items = items, .length = LENGTH, .trained_length = 99968};

static adm_real values[LENGTH], before[LENGTH];

static void fill(void)
{
    for (int64_t i = 0; i < LENGTH; i++) {
        values[i] = (adm_real)sin(0.37 * (double)i + 1);
        before[i] = (adm_real)(0.5 * cos(0.11 * (double)i));
    }
}

/* Sums in another order than the code's, so a few roundings of a double apart. */
static void assert_near(double value, double expected)
{
    assert(fabs(value - expected) <= 1e-13 * expected);
}

static void test_norms(void)
{
    double norms[COUNT], changes[COUNT];
    adm_error error;
    assert(adm_model_norms(&table, values, NULL, norms, 1, &error) == ADM_OK);
    assert(adm_model_norms(&table, values, before, changes, 1, &error) == ADM_OK);
    for (int64_t p = 0; p < COUNT; p++) {
        double sum = 0, change = 0;
        for (int64_t i = items[p].offset; i < items[p].offset + items[p].size; i++) {
            const double difference = (double)values[i] - (double)before[i];
            sum += (double)values[i] * (double)values[i];
            change += difference * difference;
        }
        assert_near(norms[p], sqrt(sum));
        assert_near(changes[p], sqrt(change));
    }
}

static void test_threads_change_no_bit(void)
{
    double one[COUNT], many[COUNT];
    adm_error error;
    assert(adm_model_norms(&table, values, before, one, 1, &error) == ADM_OK);
    for (int threads = 2; threads <= 3; threads++) {
        assert(adm_model_norms(&table, values, before, many, threads, &error) == ADM_OK);
        for (int64_t p = 0; p < COUNT; p++)
            assert(one[p] == many[p]);
    }
}

static void test_what_is_not_finite_stays_in_its_parameter(void)
{
    double norms[COUNT];
    adm_error error;
    values[20] = (adm_real)NAN;
    values[16500] = (adm_real)-INFINITY;
    assert(adm_model_norms(&table, values, NULL, norms, 1, &error) == ADM_OK);
    assert(isnan(norms[1]) && norms[2] == INFINITY && isfinite(norms[0]) && isfinite(norms[3]));
    const adm_kernels *kernels = adm_kernels_select();
    assert(adm_norm2(kernels, values + 16400, 70001, 1) == INFINITY);
    assert(isnan(adm_norm2(kernels, values, LENGTH, 1)));
    assert(adm_model_norms(&table, values, before, norms, 1, &error) == ADM_OK);
    assert(isnan(norms[1]) && norms[2] == INFINITY);
    before[16500] = values[16500]; /* a difference that is no number */
    assert(adm_model_norms(&table, values, before, norms, 1, &error) == ADM_OK);
    assert(isnan(norms[2]));
}

int main(void)
{
    fill();
    test_norms();
    test_threads_change_no_bit();
    test_what_is_not_finite_stays_in_its_parameter();
    return 0;
}
