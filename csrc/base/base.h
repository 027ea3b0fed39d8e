/* What everything above stands on: arena, random numbers, threads, matrix products. */
#ifndef ADM_BASE_H
#define ADM_BASE_H

#include "admin/status.h"
#include "admin/stop.h"
#include "admin/system.h"

#define ADM_ALIGN 64 /* bytes: a cache line, and one AVX-512 register */

static inline int64_t adm_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t adm_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* How many pieces a size is cut into, the last of which may be smaller. */
static inline int64_t adm_pieces(int64_t size, int64_t piece)
{
    return (size + piece - 1) / piece;
}

/* The smallest multiple of unit that is no smaller than size. */
static inline int64_t adm_round_up(int64_t size, int64_t unit)
{
    return adm_pieces(size, unit) * unit;
}

/* ---- memory.c: aligned buffers, and an arena that grows and is reused ---- */

/* Zeroed, aligned, on huge pages where they are to be had; NULL if there is no memory. */
void *adm_alloc(size_t bytes);
void adm_release(void *memory, size_t bytes);
/* Zeroed again, at once however much it is: the system takes the pages and gives others with the next use. */
void adm_clear(void *memory, size_t bytes);

/* A plan is laid out twice by the same function: once to measure (base NULL), once to hand out. */
typedef struct adm_arena {
    char *base;
    size_t capacity; /* bytes allocated */
    size_t used;
    bool too_large; /* more was asked for than size_t can say; what did not fit is not in used */
} adm_arena;

adm_real *adm_arena_real(adm_arena *arena, int64_t count);
double *adm_arena_double(adm_arena *arena, int64_t count);
int64_t *adm_arena_int64(adm_arena *arena, int64_t count);
/* Makes room for bytes; contents are lost when it grows. */
adm_status adm_arena_reserve(adm_arena *arena, size_t bytes, adm_error *error);
void adm_arena_free(adm_arena *arena);

/* ---- random.c: numbers from a counter, no state ---- */

/* The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
static inline uint64_t adm_random_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}
/* A key for one stream: (seed, step, site). */
uint64_t adm_random_key(uint64_t seed, uint64_t step, uint64_t site);
/* Element index of the stream: uniform in [0, 1), 53 bits. */
double adm_random_uniform(uint64_t key, uint64_t index);
/* Element index of the stream: standard normal. */
double adm_random_normal(uint64_t key, uint64_t index);

/* ---- elementary.c: functions that are the same bits everywhere, within two units in the last place, tanh within three ---- */

double adm_exp(double x);
double adm_tanh(double x);
double adm_log(double x);
/* x^y for x from 0 to 1 and finite y from 0 on */
double adm_power(double x, double y);
/* Of angles up to 2^20, and of 2 pi times so many turns. */
double adm_sin(double x);
double adm_cos(double x);
double adm_cos_turns(double turns);

/* ---- norm.c ---- */

/* Frobenius norm of x [n], with before [n] not NULL of x - before, where the sum of the squares is more than a double
   holds: of elements divided by the largest; infinite where an element is. */
double adm_large_norm(const adm_real *x, const adm_real *before, int64_t n);

/* ---- denormals.c: numbers below the smallest normal one are zero in regions ---- */

typedef struct adm_flushing {
    bool inside;     /* of a region */
    uint64_t before; /* the thread's mode outside of it */
} adm_flushing;

/* Around what a thread computes; the end takes what the beginning gave. */
adm_flushing adm_flush_begin(void);
void adm_flush_end(adm_flushing outer);
/* Whether what rounds to the smallest normal number from below is that number; else it is zero. */
bool adm_flush_rounds_first(void);
/* Around what is not the core's: the thread's own mode meanwhile. */
uint64_t adm_flush_pause(void);
void adm_flush_resume(uint64_t now);

/* ---- clock.c ---- */

/* Seconds of a clock that never goes back. */
double adm_clock(void);

/* ---- parallel.c: the one thread pool ---- */

typedef void (*adm_task_fn)(void *context, int64_t task, int thread);
/* Runs fn(context, task, thread) for task in [0, count), each once, on up to `threads` threads. Tasks begin in their
   order; which thread takes which is open: a task's result must depend on its number alone. A task calls no
   adm_parallel_for, and does not fork. It may wait for tasks before it, never for later ones. */
void adm_parallel_for(int threads, int64_t count, adm_task_fn fn, void *context);
/* The same; while the calling thread, number 0, waits for the others it asks whether they are to stop. The tasks ask by
   themselves, and are all called. `stop` may be NULL. */
void adm_parallel_for_until(adm_stop *stop, int threads, int64_t count, adm_task_fn fn, void *context);

/* Around a fork: from the first on no region begins until the last, which the child does not call. A fork waits by itself,
   too, but those who hold a lock that a region may want let go of it while they await the end of the others. */
bool adm_fork_begin(void); /* whether there is a region to await */
void adm_fork_await(void);
void adm_fork_end(void);
/* Whether this process was forked from what a region's thread asked and has none of the region's others: that region
   cannot end here, but others can begin. */
bool adm_fork_lost_threads(void);

/* The core's two builds, one for each precision, tell each other their adm_inside_region. */
void adm_region_know(bool (*inside)(void));
/* Once in a process where the system did not let a region have the threads that it wanted: how many it had. Else 0. */
int adm_threads_missing(void);

/* values [length] = 0 by all threads, which ask in between: the first use of much memory takes seconds. */
void adm_zero(adm_real *values, int64_t length, int threads, adm_stop *stop);

/* A task counts what it has done; what it wrote is seen by those that have waited for the count. */
void adm_count_done(int64_t *count);
void adm_wait_for(const int64_t *count, int64_t value);

/* ---- stop.c: the end of long calls ---- */

/* Whether a call is to be ended, asked by a thread of a region, or by the calling one as number 0. */
bool adm_stop_asked(adm_stop *stop, int thread);
/* Whether it was found to be ended; NULL: no. */
bool adm_stopped(const adm_stop *stop);
/* The same as what a call returns. */
adm_status adm_stop_status(const adm_stop *stop, adm_error *error);
/* Whether this thread is asking: what runs now is not the core's. */
bool adm_stop_is_asking(void);

/* ---- blas.c: the one place that knows the BLAS library, if one is loaded (adm_blas_load) ---- */

bool adm_blas_is_loaded(void);

/* C [m, n] = op(A) op(B) * alpha + C * beta, row major; op transposes where the flag says so. By the library, which is
   loaded. */
void adm_blas_gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, adm_real alpha,
                   const adm_real *a, int64_t lda, const adm_real *b, int64_t ldb, adm_real beta, adm_real *c,
                   int64_t ldc);
/* Turns the library's threads off: as a region begins, since others may have given it its threads back. */
void adm_blas_one_thread(void);

#endif
