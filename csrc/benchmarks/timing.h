/* Times kernels on one thread and prints a line of JSON for each. */
#ifndef ADM_BENCHMARKS_TIMING_H
#define ADM_BENCHMARKS_TIMING_H

#include "kernels/kernels.h"

#define SIDES_MAX 4
#define NAME_SIZE 64

/* One way to do a kernel's work. */
typedef struct bench_side {
    const char *name; /* "core", "openblas", "openblas, whole", "multiply-adds" or "a += b" */
    void (*call)(const void *work);
    const void *work;
} bench_side;

/* A kernel: what a call of its sides has to do, and the sides. */
typedef struct bench_subject {
    const char *name;
    const char *group;
    double flops;       /* useful ones: those of matrix products that no other way could leave out */
    double bytes;       /* read and written, every element once */
    double elements;    /* of the array that rows are counted by */
    double working_set; /* bytes of all arrays */
    int num_sides;
    bench_side sides[SIDES_MAX];
} bench_subject;

/* Numbers in (-0.5, 0.5), on huge pages where they are to be had. Ends the program if there is no memory. */
adm_real *bench_filled(int64_t count);
void bench_release(adm_real *x, int64_t count);

/* The sides take turns, so that a machine whose speed drifts slows all alike; each is warm before the first turn.
   Prints the seconds of a call of each side in each turn. */
void bench_time(const bench_subject *subject);

/* ---- peak.c: multiply-adds in registers, what bounds products; and the FLOPs of a call of them ---- */
bench_side bench_peak(const adm_kernels *kernels);
double bench_peak_flops(void);

/* ---- products.c, attention.c, rows.c: all subjects of a group ---- */
void bench_products(const adm_kernels *kernels);
void bench_attention(const adm_kernels *kernels);
void bench_rows(const adm_kernels *kernels);

#endif
