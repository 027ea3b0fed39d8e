/* Every update rule against values worked out by hand from its formula, and the same bits for any number of
   threads. */
#undef NDEBUG
#include "admin/admin.h"
#include "base/base.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELATIVE (sizeof(adm_real) == 8 ? 1e-13 : 1e-6) /* a few roundings of adm_real */

static void assert_near(double value, double expected)
{
    if (fabs(value - expected) > RELATIVE * fmax(1.0, fabs(expected))) {
        fprintf(stderr, "got %.17g, expected %.17g\n", value, expected);
        abort();
    }
}

/* Two trained tensors of 2 and 1 elements with a gap of one between them, and a fixed one behind. */
static adm_param items[3] = {{.size = 2, .offset = 0, .trained = true},
                             {.size = 1, .offset = 3, .trained = true},
                             {.size = 1, .offset = 4, .trained = false}};
static const adm_param_table table = {.count = 3, .items = items, .length = 5, .trained_length = 4};

typedef struct run {
    adm_real w[5], g[5], m[4], v[4];
    adm_optim_state state;
    double norm;
} run;

static run start(void)
{
    return (run){.w = {1, -2, 0, 3, 7}, .g = {0.5, -1, 0, 2, 9}};
}

static void step(run *r, adm_optim_config config, double grad_scale, double lr)
{
    r->state.m = adm_optim_size_m(&config, &table) > 0 ? r->m : NULL;
    r->state.v = adm_optim_size_v(&config, &table) > 0 ? r->v : NULL;
    const adm_optim_input input = {adm_kernels_select(), &table, r->w, r->g, grad_scale, lr, 1};
    adm_optim_step(&config, &input, &r->state, &r->norm, NULL);
    assert(r->w[2] == 0 && r->w[4] == 7); /* neither the gap nor the fixed tensor moves */
}

static void test_sizes(void)
{
    adm_optim_config config = {.kind = ADM_OPTIM_SGD};
    assert(adm_optim_size_m(&config, &table) == 0 && adm_optim_size_v(&config, &table) == 0);
    config.beta1 = 0.9;
    assert(adm_optim_size_m(&config, &table) == 4 && adm_optim_size_v(&config, &table) == 0);
    config.kind = ADM_OPTIM_ADAM;
    assert(adm_optim_size_m(&config, &table) == 4 && adm_optim_size_v(&config, &table) == 4);
    config.kind = ADM_OPTIM_NOVOGRAD;
    assert(adm_optim_size_m(&config, &table) == 4 && adm_optim_size_v(&config, &table) == 3);
}

static void test_sgd(void)
{
    run r = start();
    step(&r, (adm_optim_config){.kind = ADM_OPTIM_SGD}, 0.5, 0.1);
    assert_near(r.w[0], 1 - 0.1 * 0.25);
    assert_near(r.w[1], -2 + 0.1 * 0.5);
    assert_near(r.w[3], 3 - 0.1 * 1.0);
    assert_near(r.norm, 0.1 * sqrt(0.25 * 0.25 + 0.5 * 0.5 + 1.0));
    assert(r.state.step == 1);
}

static void test_sgd_momentum(void)
{
    const adm_optim_config plain = {.kind = ADM_OPTIM_SGD, .beta1 = 0.9, .weight_decay = 0.01};
    run r = start();
    step(&r, plain, 1.0, 0.1);
    const double g1 = 0.5 + 0.01 * 1, w1 = 1 - 0.1 * g1;
    assert_near(r.w[0], w1);
    step(&r, plain, 1.0, 0.1);
    const double g2 = 0.5 + 0.01 * w1;
    assert_near(r.w[0], w1 - 0.1 * (0.9 * g1 + g2));

    adm_optim_config nesterov = plain;
    nesterov.nesterov = true;
    r = start();
    step(&r, nesterov, 1.0, 0.1);
    assert_near(r.w[0], 1 - 0.1 * (g1 + 0.9 * g1));
}

/* The first update of Adam moves every weight by lr g / (|g| + eps). */
static void test_adam(void)
{
    const adm_optim_config config = {.kind = ADM_OPTIM_ADAM, .beta1 = 0.9, .beta2 = 0.98, .eps = 0.25};
    run r = start();
    step(&r, config, 1.0, 0.1);
    assert_near(r.w[0], 1 - 0.1 * 0.5 / (0.5 + 0.25));
    assert_near(r.w[1], -2 + 0.1 * 1.0 / (1.0 + 0.25));
    assert_near(r.m[0], 0.1 * 0.5);
    assert_near(r.v[3], 0.02 * 4);

    const double w1 = r.w[0], m1 = 0.05, v1 = 0.005;
    r.g[0] = -1;
    step(&r, config, 1.0, 0.2);
    const double m2 = 0.9 * m1 - 0.1, v2 = 0.98 * v1 + 0.02;
    const double m_hat = m2 / (1 - 0.81), v_hat = v2 / (1 - 0.98 * 0.98);
    assert_near(r.w[0], w1 - 0.2 * m_hat / (sqrt(v_hat) + 0.25));
}

static void test_weight_decay_coupled_and_not(void)
{
    adm_optim_config config = {
        .kind = ADM_OPTIM_ADAM, .beta1 = 0.9, .beta2 = 0.98, .eps = 0.25, .weight_decay = 0.1};
    run r = start();
    step(&r, config, 1.0, 0.1);
    assert_near(r.w[0], 1 - 0.1 * 0.6 / (0.6 + 0.25)); /* g + 0.1 w = 0.6 */
    config.kind = ADM_OPTIM_ADAMW;
    r = start();
    step(&r, config, 1.0, 0.1);
    assert_near(r.w[0], 1 * (1 - 0.1 * 0.1) - 0.1 * 0.5 / (0.5 + 0.25));
}

/* With beta2 = 0.98, rho reaches 5 at the sixth update: rho_5 = 4.9..., rho_6 = 5.9.... */
static void test_radam(void)
{
    const adm_optim_config config = {
        .kind = ADM_OPTIM_RADAM, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-3, .weight_decay = 0.1};
    run r = start();
    double m = 0, v = 0;
    for (int t = 1; t <= 5; t++) {
        step(&r, config, 1.0, 0.1);
        m = 0.9 * m + 0.1 * 0.5;
        v = 0.98 * v + 0.02 * 0.25;
        assert(r.w[0] == 1 && r.w[1] == -2 && r.w[3] == 3 && r.norm == 0); /* exactly still */
        assert_near(r.m[0], m);
        assert_near(r.v[0], v);
    }
    step(&r, config, 1.0, 0.1);
    m = 0.9 * m + 0.1 * 0.5;
    v = 0.98 * v + 0.02 * 0.25;
    const double beta2_6 = pow(0.98, 6), rho_inf = 99, rho = rho_inf - 12 * beta2_6 / (1 - beta2_6);
    assert(rho >= 5);
    const double r2 = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho);
    const double rate = 0.1 * sqrt(r2 * (1 - beta2_6)) / (1 - pow(0.9, 6));
    assert_near(r.w[0], 1 * (1 - 0.1 * 0.1) - rate * m / (sqrt(v) + 1e-3));
}

static void test_novograd(void)
{
    const adm_optim_config config = {
        .kind = ADM_OPTIM_NOVOGRAD, .beta1 = 0.9, .beta2 = 0.5, .eps = 0.25, .weight_decay = 0.1};
    run r = start();
    step(&r, config, 2.0, 0.1); /* |g|^2 = 1 + 4 = 5 in the first tensor, 16 in the second */
    assert_near(r.v[0], 5);
    assert_near(r.v[1], 16);
    const double m1 = 1 / (sqrt(5) + 0.25) + 0.1 * 1;
    assert_near(r.w[0], 1 - 0.1 * m1);
    assert_near(r.w[3], 3 - 0.1 * (4 / (4 + 0.25) + 0.1 * 3));
    r.g[0] = 1, r.g[1] = 0;
    const double w1 = r.w[0];
    step(&r, config, 1.0, 0.1);
    const double v2 = 0.5 * 5 + 0.5 * 1;
    assert_near(r.w[0], w1 - 0.1 * (0.9 * m1 + 1 / (sqrt(v2) + 0.25) + 0.1 * w1));
}

static int regions;
void __real_adm_parallel_for(int threads, int64_t count, adm_task_fn fn, void *context);
void __wrap_adm_parallel_for(int threads, int64_t count, adm_task_fn fn, void *context);
void __wrap_adm_parallel_for(int threads, int64_t count, adm_task_fn fn, void *context)
{
    regions++;
    __real_adm_parallel_for(threads, count, fn, context);
}

/* Many small tensors share two regions, however many there are. */
static void test_novograd_of_many_tensors(void)
{
    enum { many = 400, size = 3, stride = 4 };
    static adm_param params[many];
    static adm_real w[many * stride], g[many * stride], m[many * stride], v[many];
    const adm_optim_config config = {.kind = ADM_OPTIM_NOVOGRAD, .beta1 = 0.9, .beta2 = 0.5, .eps = 0.25};
    for (int p = 0; p < many; p++) {
        params[p] = (adm_param){.size = size, .offset = p * stride, .trained = true};
        for (int i = 0; i < size; i++)
            g[p * stride + i] = (adm_real)(p % 7 + 1);
    }
    for (int count = 40; count <= many; count += many - 40) {
        const adm_param_table all = {
            .count = count, .items = params, .length = count * stride, .trained_length = count * stride};
        adm_optim_state state = {.m = m, .v = v};
        const adm_optim_input input = {adm_kernels_select(), &all, w, g, 1.0, 0.1, 2};
        memset(w, 0, sizeof w);
        memset(m, 0, sizeof m);
        regions = 0;
        adm_optim_step(&config, &input, &state, NULL, NULL);
        assert(regions == 2);
        for (int p = 0; p < count; p++) {
            const double each = p % 7 + 1, norm = sqrt(size * each * each);
            assert_near(v[p], norm * norm);
            for (int i = 0; i < size; i++)
                assert_near(w[p * stride + i], -0.1 * each / (norm + 0.25));
            assert(w[p * stride + size] == 0);
        }
    }
}

enum { tensors = 7, longest = 26000, all_elements = tensors * longest };
static adm_real many_w[2][all_elements], many_g[all_elements], many_m[2][all_elements],
    many_v[2][all_elements];

/* The update of parts, each with moments of its own, is that of all; their sums add up to the same norm. */
static void check_parts(const adm_optim_config *config, const adm_param_table *all, const int64_t *bounds,
                        int parts)
{
    const int64_t block = adm_block_length(all->trained_length);
    double norm, sum = 0.0;
    static double squares[2][1024 + tensors], changes[1024];
    adm_error error;
    memset(many_m, 0, sizeof many_m);
    memset(many_v, 0, sizeof many_v);
    for (int i = 0; i < all_elements; i++)
        many_w[0][i] = many_w[1][i] = (adm_real)(i % 13) / 7;
    for (int round = 0; round < 6; round++) {
        adm_optim_input input = {adm_kernels_select(), all, many_w[0], many_g, 0.5, 0.1, 2};
        adm_optim_state state = {.step = round, .m = many_m[0], .v = many_v[0]};
        assert(adm_optim_step(config, &input, &state, &norm, &error) == ADM_OK);
        memset(squares[0], 0, sizeof squares[0]);
        for (int i = 0; i < parts; i++) {
            const adm_optim_part part = {.begin = bounds[i], .end = bounds[i + 1]};
            assert(adm_part_squares(&input, &part, squares[1], &error) == ADM_OK);
            for (int64_t j = 0; j < adm_num_squares(all); j++)
                squares[0][j] += squares[1][j];
        }
        input.weights = many_w[1];
        sum = 0.0;
        for (int i = 0; i < parts; i++) {
            const adm_optim_part part = {bounds[i], bounds[i + 1], squares[0], changes};
            const bool per_tensor = config->kind == ADM_OPTIM_NOVOGRAD;
            static adm_real v[tensors]; /* as before the step: every part makes the same of them */
            if (per_tensor && i == 0)
                memcpy(v, many_v[1], sizeof v);
            if (per_tensor)
                memcpy(many_v[1], v, sizeof v);
            adm_optim_state own = {
                .step = round, .m = many_m[1] + part.begin, .v = many_v[1] + (per_tensor ? 0 : part.begin)};
            assert(adm_optim_step_part(config, &input, &part, &own, &error) == ADM_OK);
            for (int64_t j = 0; j < adm_pieces(part.end - part.begin, block); j++)
                sum += changes[j];
        }
        assert(memcmp(many_w[0], many_w[1], sizeof many_w[0]) == 0);
        assert(memcmp(many_m[0], many_m[1], sizeof many_m[0]) == 0);
        assert(memcmp(many_v[0], many_v[1], sizeof many_v[0]) == 0);
        assert(sqrt(sum) == norm);
    }
}

static void test_parts(void)
{
    static adm_param params[tensors + 1];
    int64_t next = 0;
    for (int p = 0; p < tensors; p++) {
        const int64_t size = p % 2 == 0 ? longest - 11 * p : 5 + p;
        params[p] = (adm_param){.size = size, .offset = next, .trained = true};
        next = adm_round_up(next + size, 16);
    }
    const int64_t length = params[tensors - 1].offset + params[tensors - 1].size;
    const adm_param_table all = {
        .count = tensors, .items = params, .length = length, .trained_length = length};
    for (int p = 0; p < tensors; p++)
        for (int64_t i = 0; i < params[p].size; i++)
            many_g[params[p].offset + i] = (adm_real)((i * 7 + p) % 31 - 15) / 9;
    const int64_t block = adm_block_length(length);
    const int64_t bounds[][5] = {{0, length}, {0, 3 * block, length}, {0, block, block, 5 * block, length}};
    for (int kind = ADM_OPTIM_SGD; kind <= ADM_OPTIM_NOVOGRAD; kind++) {
        const adm_optim_config config = {
            .kind = (adm_optim_kind)kind, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-6, .weight_decay = 0.01};
        for (int cut = 0; cut < 3; cut++)
            check_parts(&config, &all, bounds[cut], cut == 2 ? 4 : cut + 1);
    }
    const adm_optim_config adam = {.kind = ADM_OPTIM_ADAM, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-6};
    const adm_optim_config novograd = {.kind = ADM_OPTIM_NOVOGRAD, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-6};
    const adm_optim_input input = {adm_kernels_select(), &all, many_w[0], many_g, 0.5, 0.1, 2};
    adm_optim_state state = {.m = many_m[0], .v = many_v[0]};
    const adm_optim_part wrong[] = {{.begin = 1, .end = length},
                                    {.end = length + 1},
                                    {.begin = block, .end = 0},
                                    {.begin = -block, .end = block}};
    for (int i = 0; i < 4; i++)
        assert(adm_optim_step_part(&adam, &input, &wrong[i], &state, NULL) == ADM_ERROR_VALUE);
    assert(adm_optim_step_part(&novograd, &input, &(adm_optim_part){.end = length}, &state, NULL) ==
           ADM_ERROR_VALUE);
    assert(state.step == 0);
}

static void test_add(void)
{
    for (int i = 0; i < all_elements; i++)
        many_w[0][i] = (adm_real)i, many_w[1][i] = (adm_real)(2 * i);
    adm_add(many_w[0], many_w[1], all_elements, 2);
    for (int i = 0; i < all_elements; i++)
        assert(many_w[0][i] == (adm_real)i + (adm_real)(2 * i));
}

static void test_norm2(void)
{
    const adm_real x[2] = {3, -4};
    assert(adm_norm2(adm_kernels_select(), x, 2, 1) == 5);
    assert(adm_norm2(adm_kernels_select(), x, 0, 1) == 0);
}

static void test_find_nonfinite(void)
{
    adm_real values[5] = {1, 2, 3, 4, 5};
    assert(adm_find_nonfinite(&table, values) == -1);
    values[2] = NAN; /* the gap is no parameter */
    assert(adm_find_nonfinite(&table, values) == -1);
    values[4] = (adm_real)-INFINITY;
    assert(adm_find_nonfinite(&table, values) == 2);
    values[1] = NAN;
    assert(adm_find_nonfinite(&table, values) == 0);
}

/* Long enough for several blocks, and not a multiple of them. */
static void test_threads_same_bits(adm_optim_kind kind)
{
    enum { N = 100003 };
    adm_param whole = {.size = N, .offset = 0, .trained = true};
    const adm_param_table one = {.count = 1, .items = &whole, .length = N, .trained_length = N};
    const adm_optim_config config = {
        .kind = kind, .beta1 = 0.9, .beta2 = 0.9, .eps = 1e-8, .weight_decay = 0.01};
    adm_real *w[2], *g = calloc(N, sizeof *g), *m, *v;
    double norms[2], sizes[2];
    assert(g != NULL);
    for (int k = 0; k < 2; k++) {
        w[k] = calloc(N, sizeof *g), m = calloc(N, sizeof *g), v = calloc(N, sizeof *g);
        assert(w[k] != NULL && m != NULL && v != NULL);
        for (int i = 0; i < N; i++) {
            w[k][i] = (adm_real)(i % 17) - 8;
            g[i] = (adm_real)sin(i);
        }
        adm_optim_state state = {.m = m, .v = v};
        const adm_optim_input input = {adm_kernels_select(), &one, w[k], g, 0.7, 0.01, k == 0 ? 1 : 3};
        for (int t = 0; t < 12; t++) /* RAdam moves from the sixth on */
            adm_optim_step(&config, &input, &state, &norms[k], NULL);
        sizes[k] = adm_norm2(adm_kernels_select(), g, N, k == 0 ? 1 : 3);
        free(m), free(v);
    }
    assert(memcmp(w[0], w[1], N * sizeof *g) == 0);
    assert(norms[0] == norms[1] && norms[0] > 0);
    assert(sizes[0] == sizes[1]);
    assert(fabs(sizes[0] / sqrt(N / 2.0) - 1.0) < 1e-4); /* the mean of sin^2 is 1/2 */
    free(w[0]), free(w[1]), free(g);
}

/* A step from a rate that adm_real cannot hold: what belongs to a parameter may be lost, the gap stays zero. */
static void test_gaps_never_hold_nan(void)
{
    const adm_optim_kind kinds[] = {ADM_OPTIM_SGD, ADM_OPTIM_ADAM, ADM_OPTIM_ADAMW, ADM_OPTIM_RADAM};
    for (int k = 0; k < 4; k++) {
        run r = start();
        const adm_optim_config config = {
            .kind = kinds[k], .beta1 = 0.9, .beta2 = 0.9, .eps = 1e-8, .weight_decay = 0.1};
        for (int t = 0; t < 8; t++) /* RAdam moves from the sixth on */
            step(&r, config, 1.0, sizeof(adm_real) == 8 ? 1e308 * 10 : 1e60);
        assert(isnan(r.norm));
        assert(r.w[2] == 0 && r.m[2] == 0 && (kinds[k] == ADM_OPTIM_SGD || r.v[2] == 0));
    }
}

static void refuse(adm_optim_config config, const char *name)
{
    adm_error error = {0};
    assert(adm_optim_check(&config, &error) == ADM_ERROR_VALUE);
    assert(strncmp(error.message, name, strlen(name)) == 0);
}

static void test_configurations_that_cannot_be(void)
{
    const bool small = sizeof(adm_real) == 4;
    const adm_optim_config good = {.kind = ADM_OPTIM_RADAM, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-8};
    adm_optim_config config = good;
    adm_error error;
    assert(adm_optim_check(&config, &error) == ADM_OK);
    config.eps = 1e-37;
    assert(adm_optim_check(&config, &error) == ADM_OK);
    const double eps[] = {0, -1, NAN, INFINITY, 1e-310, small ? 1e-50 : 1e-320};
    for (size_t i = 0; i < sizeof eps / sizeof *eps; i++) {
        config.eps = eps[i];
        refuse(config, "eps ");
    }
    const double betas[] = {-0.1, 1, NAN, small ? 1 - 1e-9 : 1 + 1e-15};
    for (size_t i = 0; i < sizeof betas / sizeof *betas; i++) {
        config = good, config.beta1 = betas[i];
        refuse(config, "beta1 ");
        config = good, config.beta2 = betas[i];
        refuse(config, "beta2 ");
    }
    config = good, config.beta2 = 0.66;
    refuse(config, "beta2 must be above 2/3");
    config = good, config.weight_decay = small ? 1e39 : INFINITY;
    refuse(config, "weight_decay ");
    config = good, config.nesterov = true;
    refuse(config, "nesterov ");
    config = good, config.kind = 9;
    refuse(config, "kind ");
}

int main(void)
{
    test_sizes();
    test_sgd();
    test_sgd_momentum();
    test_adam();
    test_weight_decay_coupled_and_not();
    test_radam();
    test_novograd();
    test_novograd_of_many_tensors();
    test_gaps_never_hold_nan();
    test_configurations_that_cannot_be();
    test_parts();
    test_add();
    test_norm2();
    test_find_nonfinite();
    for (int kind = ADM_OPTIM_SGD; kind <= ADM_OPTIM_NOVOGRAD; kind++)
        test_threads_same_bits((adm_optim_kind)kind);
    return 0;
}
