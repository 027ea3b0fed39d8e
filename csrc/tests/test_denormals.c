/* Denormal numbers are zero in regions, on every thread, and nowhere else; moments decay to zero, and gradients are
   zero or normal. */
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

/* A second moment of a tensor is denormal, or 0 where the caller flushes: it is 0 in either case. */
static void test_moments_of_tensors(void)
{
    adm_param whole = {.size = 1, .offset = 0, .trained = true};
    const adm_param_table table = {.count = 1, .items = &whole, .length = 1, .trained_length = 1};
    const adm_optim_config config = {.kind = ADM_OPTIM_NOVOGRAD, .beta1 = 0.9, .beta2 = 0.5, .eps = 1e-8};
    const adm_real g[1] = {(adm_real)sqrt((double)ADM_REAL_MIN / 4)};
    adm_real w[1] = {1}, m[1] = {0}, v[1] = {1};
    adm_optim_state state = {.step = 0, .m = m, .v = v};
    const adm_optim_input input = {adm_kernels_select(), &table, w, g, 1, 1e-3, 1};
    assert(adm_optim_step(&config, &input, &state, NULL, NULL) == ADM_OK);
    assert(fpclassify(v[0]) == FP_ZERO);
}

enum { V = 7, D = 48, TOKENS = 192, SEQUENCES = 4 };

/* One decoder layer with a norm at the end, whose gradient is a sum over chunks. */
static adm_model *make_model(void)
{
    const adm_sublayer_config one = {
        .norm_post = ADM_NORM_LAYER, .input_scale = 1, .gains = {1, 1, 1, 1, 1, 1}};
    adm_sublayer_config sublayers[] = {one, one};
    const adm_config config = {
        .vocab_size = V,
        .d_model = D,
        .heads = 1,
        .d_ff = D,
        .max_length = TOKENS,
        .norm_eps = 1e-5,
        .share_embeddings = ADM_SHARE_ALL,
        .decoder = {.layers = 1,
                    .causal = true,
                    .norm_final = ADM_NORM_LAYER,
                    .embedding_gain = 1,
                    .sublayers = sublayers},
    };
    adm_model *model = NULL;
    assert(adm_model_create(&config, adm_kernels_select(), &model, NULL) == ADM_OK);
    assert(adm_model_init_weights(model, 1, 1, NULL, NULL) == ADM_OK);
    return model;
}

/* However small the loss's factor, no gradient is denormal. */
static void test_gradients(void)
{
    static const int64_t offsets[SEQUENCES + 1] = {0, 49, 98, 147, TOKENS};
    int32_t tokens[TOKENS];
    for (int i = 0; i < TOKENS; i++)
        tokens[i] = i * i % V;
    adm_model *model = make_model();
    const adm_batch batch = {.source = {tokens, offsets, SEQUENCES}};
    const int64_t length = adm_model_params(model)->length;
    adm_loss loss;
    for (double factor = 1; factor < 1e6; factor *= 4) {
        const adm_run run = {.threads = 2, .scale = factor * (double)ADM_REAL_MIN};
        assert(adm_model_backward(model, &batch, &run, &loss, NULL) == ADM_OK);
        for (int64_t i = 0; i < length; i++)
            assert(fpclassify(adm_model_gradients(model)[i]) != FP_SUBNORMAL);
    }
    adm_model_free(model);
}

/* A product that rounds to the smallest normal number from below. x86 rounds first and keeps it, 64-bit Arm looks first
   and has 0, unless it can be told to do as x86: nothing else is computed otherwise there. */
static void test_what_rounds_to_the_smallest(void)
{
    const adm_real epsilon = sizeof(adm_real) == sizeof(float) ? (adm_real)0x1p-23 : (adm_real)0x1p-52;
    volatile adm_real above = ADM_REAL_MIN * (1 + epsilon), below_one = 1 - epsilon;
    volatile adm_real outside = above * below_one;
    const adm_flushing outer = adm_flush_begin();
    volatile adm_real inside = above * below_one;
    adm_flush_end(outer);
    assert(outside == ADM_REAL_MIN);
    assert(inside == (adm_flush_rounds_first() ? ADM_REAL_MIN : 0));
#ifdef __x86_64__
    assert(adm_flush_rounds_first());
#endif
}

int main(void)
{
    for (int threads = 1; threads <= 4; threads++)
        test_regions(threads);
    test_asking();
    test_the_callers_mode_stays();
    test_what_rounds_to_the_smallest();
    for (int kind = ADM_OPTIM_SGD; FLUSHES && kind <= ADM_OPTIM_NOVOGRAD; kind++)
        test_moments_decay_to_zero((adm_optim_kind)kind);
    if (FLUSHES) {
        test_moments_of_tensors();
        test_gradients();
    }
    return 0;
}
