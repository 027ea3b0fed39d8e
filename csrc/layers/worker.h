/* What one thread has while it computes: scratch of its own, and a clock for its kinds of work. */
#ifndef ADM_LAYERS_WORKER_H
#define ADM_LAYERS_WORKER_H

#include "admin/work.h"
#include "base/base.h"
#include "kernels/kernels.h"

typedef struct adm_worker {
    const adm_kernels *kernels;
    int thread;
    int team;                            /* threads that a product may begin a region with; 0 within one */
    adm_stop *stop;                      /* of the pass, or NULL */
    double *seconds;                     /* [ADM_WORK_KINDS] of this thread */
    double since;                        /* when the work at hand began */
    adm_real *scores, *dscores, *slopes; /* [ADM_KEY_TILE, ADM_QUERY_TILE] of attention */
    adm_real *copies; /* [ADM_GEMM_SCRATCH] of products; a team's threads have theirs behind it */
} adm_worker;

/* What was done since the last note was work of a kind: some tens of nanoseconds a note. */
static inline void adm_work_note(adm_worker *worker, adm_work kind)
{
    const double now = adm_clock();
    worker->seconds[kind] += now - worker->since;
    worker->since = now;
}

static inline bool adm_worker_stopped(const adm_worker *worker)
{
    return adm_stop_asked(worker->stop, worker->thread);
}

#endif
