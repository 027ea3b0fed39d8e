/* How long each kind of work takes: every task notes its parts in its thread's own cache line, some tens of nanoseconds
   a part. */
#include "model/model_internal.h"

#include <string.h>

void adm_work_fold(adm_model *model)
{
    adm_workspace *ws = &model->ws;
    if (ws->work == NULL)
        return;
    adm_model_work_seconds(model, model->work);
    memset(ws->work, 0, (size_t)ws->work_threads * ADM_WORK_STRIDE * sizeof *ws->work);
}

void adm_work_note(adm_model *model, adm_work kind, int thread, double *since)
{
    const double now = adm_clock();
    model->ws.work[thread * ADM_WORK_STRIDE + (int)kind] += now - *since;
    *since = now;
}

void adm_model_work_seconds(const adm_model *model, double seconds[ADM_WORK_KINDS])
{
    const adm_workspace *ws = &model->ws;
    for (int kind = 0; kind < ADM_WORK_KINDS; kind++) {
        double sum = model->work[kind];
        for (int thread = 0; ws->work != NULL && thread < ws->work_threads; thread++)
            sum += ws->work[thread * ADM_WORK_STRIDE + kind];
        seconds[kind] = sum;
    }
}
