#include "model/work.h"

#include <string.h>

adm_worker adm_worker_begin(const adm_model *model, int thread)
{
    const adm_workspace *ws = &model->ws;
    const int64_t size = ADM_KEY_TILE * ADM_QUERY_TILE;
    return (adm_worker){
        .kernels = model->kernels,
        .thread = thread,
        .stop = ws->run.stop,
        .seconds = ws->work + thread * ADM_WORK_STRIDE,
        .since = adm_clock(),
        .scores = ws->scores + 2 * thread * size,
        .dscores = ws->scores + (2 * thread + 1) * size,
        .slopes = ws->slopes == NULL ? NULL : ws->slopes + thread * size,
        .copies = ws->copies + thread * ADM_GEMM_SCRATCH,
    };
}

void adm_work_fold(adm_model *model)
{
    adm_workspace *ws = &model->ws;
    if (ws->work == NULL)
        return;
    adm_model_work_seconds(model, model->work);
    memset(ws->work, 0, (size_t)ws->threads * ADM_WORK_STRIDE * sizeof *ws->work);
}

void adm_model_work_seconds(const adm_model *model, double seconds[ADM_WORK_KINDS])
{
    const adm_workspace *ws = &model->ws;
    for (int kind = 0; kind < ADM_WORK_KINDS; kind++) {
        double sum = model->work[kind];
        for (int thread = 0; ws->work != NULL && thread < ws->threads; thread++)
            sum += ws->work[thread * ADM_WORK_STRIDE + kind];
        seconds[kind] = sum;
    }
}
