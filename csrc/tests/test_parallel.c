/* Threads: whole training steps on several of them, by several masters at once and after a fork, give the bits of
   one thread. Thread sanitizer runs this, too. */
#define _GNU_SOURCE
#include "admin/admin.h"
#include "base/base.h"
#include "tests/threads.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define V 31
#define B 32
#define LONG 80 /* length of the first sequence; the others have 2 to 7 */
#define STEPS 2

typedef struct pairs {
    int64_t offsets[B + 1];
    int32_t tokens[LONG + 7 * B];
} pairs;

static void fill(pairs *p, uint64_t seed)
{
    const uint64_t key = adm_random_key(seed, 0, 0);
    for (int i = 0; i < B; i++)
        p->offsets[i + 1] = p->offsets[i] + (i == 0 ? LONG : 2 + (int64_t)(adm_random_uniform(key, i) * 6));
    for (int64_t i = 0; i < p->offsets[B]; i++)
        p->tokens[i] = (int32_t)(adm_random_uniform(key, (uint64_t)i + B) * V);
}

static adm_model *make_model(uint64_t seed)
{
    adm_sublayer_config rows[3];
    for (int i = 0; i < 3; i++)
        rows[i] = (adm_sublayer_config){
            .norm_post = ADM_NORM_LAYER,
            .input_scale = 1.0,
            .omega = {ADM_SCALE_VECTOR, true, false, 1.2},
            .alpha = {ADM_SCALE_NONE, false, false, 1.0},
            .qkv_fused_init = true,
            .gains = {1, 1, 1, 1, 1, 1},
        };
    const adm_config config = {
        .vocab_size = V,
        .d_model = 32,
        .heads = 4,
        .d_ff = 48,
        .max_length = LONG,
        .activation = ADM_ACTIVATION_GELU,
        .positions = ADM_POSITIONS_SINUSOIDAL,
        .share_embeddings = ADM_SHARE_ALL,
        .dropout = 0.2,
        .attention_dropout = 0.1,
        .activation_dropout = 0.1,
        .norm_eps = 1e-5,
        .encoder = {1, false, false, ADM_NORM_NONE, ADM_NORM_NONE, ADM_SCALE_NONE, 1.0, rows},
        .decoder = {1, true, true, ADM_NORM_NONE, ADM_NORM_LAYER, ADM_SCALE_NONE, 1.0, rows},
    };
    adm_model *model = NULL;
    adm_error error = {0};
    assert(adm_model_create(&config, adm_kernels_select(), &model, &error) == ADM_OK);
    assert(adm_model_init_weights(model, seed, 1, NULL, NULL) == ADM_OK);
    return model;
}

typedef struct training {
    uint64_t seed;
    int threads;
    int64_t length;
    adm_real *weights; /* [length] after the last step */
} training;

/* Forward, backward, clipping and Adam, STEPS times. */
static void *train(void *context)
{
    training *t = context;
    static const adm_optim_config adam = {.kind = ADM_OPTIM_ADAM, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-8};
    adm_model *model = make_model(t->seed);
    const adm_param_table *params = adm_model_params(model);
    const size_t trained = (size_t)params->trained_length;
    adm_optim_state state = {.m = calloc(trained, sizeof(adm_real)), .v = calloc(trained, sizeof(adm_real))};
    assert(state.m != NULL && state.v != NULL);
    for (uint64_t step = 0; step < STEPS; step++) {
        pairs source = {0}, target = {0};
        fill(&source, 10 * t->seed + step);
        fill(&target, 10 * t->seed + step + 5);
        const adm_batch batch = {{source.tokens, source.offsets, B}, {target.tokens, target.offsets, B}};
        const adm_run run = {.training = true,
                             .seed = t->seed,
                             .step = step,
                             .threads = t->threads,
                             .label_smoothing = 0.1,
                             .scale = 1.0,
                             .observe = step == 1};
        adm_loss loss;
        adm_error error;
        double moved;
        if (adm_model_backward(model, &batch, &run, &loss, &error) != ADM_OK) {
            fprintf(stderr, "%s\n", error.message);
            abort();
        }
        const double norm = adm_norm2(adm_model_kernels(model), adm_model_gradients(model),
                                      params->trained_length, t->threads);
        const adm_optim_input input = {.kernels = adm_model_kernels(model),
                                       .params = params,
                                       .weights = adm_model_weights(model),
                                       .gradients = adm_model_gradients(model),
                                       .grad_scale = 0.5 / norm,
                                       .lr = 0.01,
                                       .threads = t->threads};
        adm_optim_step(&adam, &input, &state, &moved, NULL);
        assert(loss.loss > 0 && norm > 0 && moved > 0);
    }
    t->length = params->length;
    t->weights = malloc((size_t)t->length * sizeof(adm_real));
    assert(t->weights != NULL);
    memcpy(t->weights, adm_model_weights(model), (size_t)t->length * sizeof(adm_real));
    free(state.m);
    free(state.v);
    adm_model_free(model);
    return NULL;
}

static training trained(uint64_t seed, int threads)
{
    training t = {.seed = seed, .threads = threads};
    train(&t);
    return t;
}

static bool equal(const training *a, const training *b)
{
    return a->length == b->length &&
           memcmp(a->weights, b->weights, (size_t)a->length * sizeof(adm_real)) == 0;
}

static void test_number_of_threads(void)
{
    const int numbers[] = {2, 3, 7};
    training one = trained(1, 1), other = trained(2, 1);
    assert(!equal(&one, &other));
    for (int i = 0; i < 3; i++) {
        training many = trained(1, numbers[i]);
        assert(equal(&one, &many));
        free(many.weights);
    }
    free(one.weights);
    free(other.weights);
}

static void test_masters_at_once(void)
{
    enum { masters = 2 };
    pthread_t threads[masters];
    training at_once[masters];
    for (int i = 0; i < masters; i++) {
        at_once[i] = (training){.seed = (uint64_t)i, .threads = 3};
        assert(pthread_create(&threads[i], NULL, train, &at_once[i]) == 0);
    }
    for (int i = 0; i < masters; i++)
        assert(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < masters; i++) {
        training alone = trained((uint64_t)i, 1);
        assert(equal(&alone, &at_once[i]));
        free(alone.weights);
        free(at_once[i].weights);
    }
}

#ifndef THREAD_SANITIZER
/* The child is killed by the alarm if it hangs. */
static void fork_and_train(const training *expected)
{
    const pid_t child = fork();
    assert(child >= 0);
    if (child == 0) {
        alarm(LONGEST);
        const training again = trained(expected->seed, 3);
        (void)raise(equal(expected, &again) ? SIGKILL : SIGABRT);
    }
    assert(ended_well(child));
}

static void test_forks(void)
{
    pthread_t thread;
    training expected = trained(4, 3), beside = {.seed = 5, .threads = 3};
    fork_and_train(&expected);
    assert(pthread_create(&thread, NULL, train, &beside) == 0);
    for (int i = 0; i < 3; i++) /* while another thread computes, or just after */
        fork_and_train(&expected);
    assert(pthread_join(thread, NULL) == 0);
    training again = trained(4, 3), alone = trained(5, 1);
    assert(equal(&expected, &again) && equal(&alone, &beside));
    free(expected.weights);
    free(beside.weights);
    free(again.weights);
    free(alone.weights);
}
#endif

/* ---- how many threads there are ---- */

static void test_limits(void)
{
    assert(threads_used(1000) <= 256);
    assert(threads_used(0) == 1 && threads_used(-1) == 1);
}

/* ---- threads that the system does not make ---- */

static _Atomic int creations;    /* of threads, so far; several make some at once */
static _Atomic int allowed = -1; /* of them at a time; negative: all */
static _Atomic int living;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                          void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                          void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                          void *context)
{
    creations++;
    if (allowed >= 0 && living++ >= allowed)
        return EAGAIN;
    return __real_pthread_create(thread, attributes, start, context);
}

/* In a thread that has begun no region, so that all threads have to be made. */
static void *use_fewer(void *ignored)
{
    (void)ignored;
    allowed = 3; /* of 5 */
    living = 0;
    assert(threads_used(6) <= 4);
    const int tried = creations;
    assert(threads_used(6) <= 4 && creations == tried); /* not again */
    assert(adm_threads_missing() == 4 && adm_threads_missing() == 0);
    assert(threads_used(9) <= 4 && adm_threads_missing() == 0);
    training none = trained(7, 9);
    allowed = -1;
    training all = trained(7, 4);
    assert(equal(&none, &all));
    free(none.weights);
    free(all.weights);
    return NULL;
}

static void test_threads_that_cannot_be_made(void)
{
    pthread_t thread;
    assert(pthread_create(&thread, NULL, use_fewer, NULL) == 0 && pthread_join(thread, NULL) == 0);
}

/* ---- regions of all numbers of threads in turn ---- */

/* Threads that a region of `count` tasks, which wait for each other, really has. */
typedef struct meeting {
    int64_t arrived, count;
    int highest;
} meeting;

static void meet(void *context, int64_t task, int thread)
{
    meeting *all = context;
    (void)task;
    if (thread >= all->count)
        __atomic_store_n(&all->highest, thread, __ATOMIC_SEQ_CST);
    adm_count_done(&all->arrived);
    adm_wait_for(&all->arrived, all->count);
}

/* As many threads as tasks, or they would wait for ever; none with a number beyond. */
static void all_meet(int threads)
{
    meeting all = {.count = threads};
    adm_parallel_for(threads, threads, meet, &all);
    assert(all.arrived == threads && all.highest == 0);
}

/* A thread is made once and used again, however the numbers change. */
static void *change_numbers(void *ignored)
{
    (void)ignored;
    const int numbers[] = {3, 2, 5, 1, 4, 16, 2, 5}, before = creations;
    int most = 1;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        all_meet(numbers[i]);
        most = numbers[i] > most ? numbers[i] : most;
        assert(creations == before + most - 1);
    }
    return NULL;
}

static int used_within; /* threads of the region amid another one; 0: there was none yet */

static bool compute_amid_region(void *context)
{
    (void)context;
    __atomic_store_n(&used_within, threads_used(3), __ATOMIC_SEQ_CST);
    return false;
}

static void await_use(void *stop, int64_t task, int thread)
{
    (void)task;
    (void)adm_stop_asked(stop, thread);
    while (__atomic_load_n(&used_within, __ATOMIC_SEQ_CST) == 0)
        sched_yield();
}

/* What a region's thread asks computes on that thread alone, since the others are at work; the region and those after it
   have theirs as before. */
static void *compute_within(void *ignored)
{
    (void)ignored;
    for (int outer = 1; outer <= 4; outer++) {
        adm_stop stop = {.asked = compute_amid_region};
        used_within = 0;
        adm_parallel_for_until(&stop, outer, 6, await_use, &stop);
        assert(used_within <= (outer == 1 ? 3 : 1));
        all_meet(outer);
        all_meet(6);
    }
    return NULL;
}

static void *ask_again(void *ignored)
{
    (void)ignored;
    allowed = 1;
    living = 0;
    assert(threads_used(4) <= 2);
    allowed = -1;
    for (int i = 0; i < 1000; i++)
        assert(threads_used(4) <= 2);
    all_meet(4);
    return NULL;
}

/* In threads of their own, which begin without others, and end them. */
static void test_numbers_that_change(void)
{
    void *(*const tests[])(void *) = {change_numbers, compute_within, ask_again};
    pthread_t thread;
    for (int i = 0; i < 3; i++)
        assert(pthread_create(&thread, NULL, tests[i], NULL) == 0 && pthread_join(thread, NULL) == 0);
}

int main(void)
{
#ifndef THREAD_SANITIZER
    test_forks();
#endif
    test_number_of_threads();
    test_masters_at_once();
    test_numbers_that_change();
    test_threads_that_cannot_be_made();
    test_limits();
    return 0;
}
