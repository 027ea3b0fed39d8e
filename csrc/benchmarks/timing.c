#define _GNU_SOURCE
#include "benchmarks/timing.h"

#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TURNS 7
#define TURN_SECONDS 4e-3 /* of a side, at least: long beside the clock's grain and an interrupt */

adm_real *bench_filled(int64_t count)
{
    adm_real *x = adm_alloc((size_t)count * sizeof *x);
    if (x == NULL) {
        fprintf(stderr, "no memory for %lld elements\n", (long long)count);
        exit(EXIT_FAILURE);
    }
    const uint64_t key = adm_random_key((uint64_t)count, 0, 0);
    for (int64_t i = 0; i < count; i++)
        x[i] = (adm_real)(adm_random_uniform(key, (uint64_t)i) - 0.5);
    return x;
}

void bench_release(adm_real *x, int64_t count)
{
    adm_release(x, (size_t)count * sizeof *x);
}

/* Seconds of a call, of `calls` in a row. */
static double seconds_of(const bench_side *side, int calls)
{
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < calls; i++)
        side->call(side->work);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return ((double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec)) / calls;
}

/* Calls that fill a turn, found while the side warms up. */
static int calls_of_turn(const bench_side *side)
{
    int calls = 1;
    side->call(side->work);
    for (;;) {
        const double seconds = seconds_of(side, calls) * calls;
        if (seconds >= TURN_SECONDS / 2)
            return 1 + (int)(calls * TURN_SECONDS / seconds);
        calls *= 2;
    }
}

void bench_time(const bench_subject *subject)
{
    double seconds[SIDES_MAX][TURNS];
    int calls[SIDES_MAX];
    for (int s = 0; s < subject->num_sides; s++)
        calls[s] = calls_of_turn(&subject->sides[s]);
    for (int turn = 0; turn < TURNS; turn++)
        for (int s = 0; s < subject->num_sides; s++)
            seconds[s][turn] = seconds_of(&subject->sides[s], calls[s]);

    printf("{\"name\": \"%s\", \"group\": \"%s\", \"flops\": %.0f, \"bytes\": %.0f, \"elements\": %.0f, "
           "\"working_set\": %.0f, \"seconds\": {",
           subject->name, subject->group, subject->flops, subject->bytes, subject->elements,
           subject->working_set);
    for (int s = 0; s < subject->num_sides; s++) {
        printf("%s\"%s\": [", s > 0 ? ", " : "", subject->sides[s].name);
        for (int turn = 0; turn < TURNS; turn++)
            printf("%s%.4g", turn > 0 ? ", " : "", seconds[s][turn]);
        printf("]");
    }
    printf("}}\n");
    fflush(stdout);
}
