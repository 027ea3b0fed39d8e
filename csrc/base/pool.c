/* A team of threads for every thread that begins regions: made when they are first wanted, kept until that thread ends,
   asleep between regions. Who waits looks for a short while, since regions follow each other closely, and then sleeps, so
   that who else wants the processor has it. A worker that has not come when the others have done all is not waited for:
   where processors are busy, regions of little work are done by those threads that run. */
#define _GNU_SOURCE
#include "base/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "base/portable.h"

#define STACK ((size_t)4 << 20) /* bytes, whatever ulimit says: BLAS and sanitizers need more than the core */
#define RESERVE ((size_t)32 << 20) /* bytes of address space that new threads leave to all else */
#define LOOKS 1000                 /* before who waits sleeps: 20 to 50 microseconds, ... */
#define LOOKS_CROWDED 10           /* ... and where there are more threads than processors */
#define PATIENCE 1000              /* regions after which a system that refused threads is asked again */

/* What a worker is at. It waits for a change of IDLE, the owner for one of WORKING. */
enum { IDLE, CALLED, WORKING, ENDING };

typedef struct worker {
    _Alignas(ADM_ALIGN) atomic_uint state;
    atomic_bool asleep, owner_asleep; /* waiting for a change of state */
    int number;                       /* from 1 */
    adm_team *team;
    pthread_t thread;
} worker;

struct adm_team {
    adm_body_fn body;
    void *context;
    int size;         /* threads, the owner among them */
    int processors;   /* as many as there were when the team grew */
    int patience;     /* regions for which the system, which refused threads, is not asked again */
    atomic_int looks; /* before who waits sleeps */
    worker workers[ADM_TEAM_MAX]; /* the first stands for the owner */
};

static void rest(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Returns when the state of a worker is another one; *asleep is the flag of who waits. */
static void await_change(worker *of, unsigned int seen, atomic_bool *asleep)
{
    const int looks = atomic_load_explicit(&of->team->looks, memory_order_relaxed);
    for (int i = 0; i < looks; i++) {
        if (atomic_load_explicit(&of->state, memory_order_acquire) != seen)
            return;
        rest();
    }
    atomic_store(asleep, true);
    while (atomic_load(&of->state) == seen)
        adm_sleep_while(&of->state, seen);
    atomic_store(asleep, false);
}

/* Changes a worker's state and wakes who waits for that. */
static void change(worker *of, unsigned int state, atomic_bool *asleep)
{
    atomic_store(&of->state, state);
    if (atomic_load(asleep))
        adm_wake_one(&of->state);
}

static void *work(void *context)
{
    worker *self = context;
    const adm_team *team = self->team;
    for (;;) {
        await_change(self, IDLE, &self->asleep);
        unsigned int state = CALLED;
        if (atomic_compare_exchange_strong(&self->state, &state, WORKING)) {
            team->body(team->context, self->number);
            change(self, IDLE, &self->owner_asleep);
        } else if (state == ENDING) {
            return NULL;
        }
    }
}

adm_team *adm_team_new(void)
{
    adm_team *team = aligned_alloc(ADM_ALIGN, sizeof *team);
    if (team != NULL) {
        team->size = 1;
        team->patience = 0;
        atomic_init(&team->looks, LOOKS);
    }
    return team;
}

int adm_team_grow(adm_team *team, int wanted)
{
    pthread_attr_t attributes;
    if (wanted <= team->size)
        return wanted;
    if (team->patience > 0 || pthread_attr_init(&attributes) != 0) {
        team->patience--;
        return team->size;
    }
    (void)pthread_attr_setstacksize(&attributes, STACK);
    void *reserve = mmap(NULL, RESERVE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    team->processors = adm_system_num_procs();
    for (; reserve != MAP_FAILED && team->size < wanted; team->size++) {
        worker *next = &team->workers[team->size];
        *next = (worker){.number = team->size, .team = team};
        if (pthread_create(&next->thread, &attributes, work, next) != 0)
            break;
    }
    team->patience = team->size < wanted ? PATIENCE : 0;
    if (reserve != MAP_FAILED)
        (void)munmap(reserve, RESERVE);
    (void)pthread_attr_destroy(&attributes);
    return team->size;
}

void adm_team_run(adm_team *team, int threads, adm_body_fn body, void *context)
{
    team->body = body;
    team->context = context;
    atomic_store_explicit(&team->looks, threads > team->processors ? LOOKS_CROWDED : LOOKS,
                          memory_order_relaxed);
    for (int i = 1; i < threads; i++)
        change(&team->workers[i], CALLED, &team->workers[i].asleep);
    body(context, 0);
    for (int i = 1; i < threads; i++) {
        worker *other = &team->workers[i];
        unsigned int state = CALLED;
        if (!atomic_compare_exchange_strong(&other->state, &state, IDLE) && state == WORKING)
            await_change(other, WORKING, &other->owner_asleep);
    }
}

void adm_team_end(adm_team *team)
{
    for (int i = 1; i < team->size; i++)
        change(&team->workers[i], ENDING, &team->workers[i].asleep);
    for (int i = 1; i < team->size; i++)
        (void)pthread_join(team->workers[i].thread, NULL);
    free(team);
}

void adm_team_forget(adm_team *team)
{
    team->size = 1;
    team->patience = 0;
}
