/* Denormal numbers are zero in regions, on every thread, and nowhere else; moments decay to zero. */
#undef NDEBUG
#include "admin/admin.h"
#include "base/base.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#if defined(__x86_64__) || defined(__aarch64__)
#define FLUSHES true
#else
#define FLUSHES false
#endif

static volatile adm_real smallest = ADM_REAL_MIN, half = (adm_real)0.5;

/* Whether results and operands that are denormal become zero here. */
static bool flushes(void)
{
    volatile adm_real denormal = ADM_REAL_MIN / 4, one = 1;
    const bool results = smallest * half == 0, operands = denormal * one == 0;
    assert(results == operands);
    return results;
}

#define TASKS 64

static void note(void *context, int64_t task, int thread)
{
    (void)thread;
    ((bool *)context)[task] = flushes();
}

static void test_regions(int threads)
{
    bool seen[TASKS];
    assert(!flushes());
    adm_parallel_for(threads, TASKS, note, seen);
    for (int i = 0; i < TASKS; i++)
        assert(seen[i] == FLUSHES);
    assert(!flushes());
}

static int asked;

/* As a signal's handler: not in the mode of the region, but it may begin one. */
static bool ask(void *context)
{
    asked++;
    assert(!flushes());
    test_regions(1);
    (void)context;
    return false;
}

static void ask_in_task(void *stop, int64_t task, int thread)
{
    (void)task;
    ((adm_stop *)stop)->next = 0;
    assert(flushes() == FLUSHES);
    (void)adm_stop_asked(stop, thread);
    assert(flushes() == FLUSHES);
}

static void test_asking(void)
{
    adm_stop stop = {.asked = ask};
    adm_parallel_for_until(&stop, 1, 3, ask_in_task, &stop);
    assert(asked == 3 && !flushes());
    assert(!adm_stop_asked(&stop, 0)); /* outside of regions */
}

/* A caller that flushes goes on so. */
static void test_the_callers_mode_stays(void)
{
    const adm_flushing outer = adm_flush_begin();
    bool seen[TASKS];
    adm_parallel_for(2, TASKS, note, seen);
    assert(flushes() == FLUSHES);
    adm_flush_end(outer);
    assert(!flushes());
}

static void test_moments_decay_to_zero(adm_optim_kind kind)
{
    enum { n = 40 };
    adm_param whole = {.size = n, .offset = 0, .trained = true};
    const adm_param_table table = {.count = 1, .items = &whole, .length = n, .trained_length = n};
    const adm_optim_config config = {.kind = kind, .beta1 = 0.9, .beta2 = 0.9, .eps = 1e-8};
    adm_real w[n], g[n] = {0}, m[n], v[n];
    for (int i = 0; i < n; i++) {
        w[i] = 1;
        m[i] = v[i] = ADM_REAL_MIN / 2 * (adm_real)(1 + i % 3);
    }
    adm_optim_state state = {.step = 10, .m = m, .v = kind == ADM_OPTIM_SGD ? NULL : v};
    const adm_optim_input input = {adm_kernels_select(), &table, w, g, 1, 1e-3, 2};
    for (int t = 0; t < 20; t++)
        adm_optim_step(&config, &input, &state, NULL, NULL);
    for (int i = 0; i < n; i++)
        assert(m[i] == 0 && (kind == ADM_OPTIM_SGD || kind == ADM_OPTIM_NOVOGRAD || v[i] == 0) && w[i] == 1);
}

int main(void)
{
    for (int threads = 1; threads <= 4; threads++)
        test_regions(threads);
    test_asking();
    test_the_callers_mode_stays();
    for (int kind = ADM_OPTIM_SGD; FLUSHES && kind <= ADM_OPTIM_NOVOGRAD; kind++)
        test_moments_decay_to_zero((adm_optim_kind)kind);
    return 0;
}
