/* Asks now and then whether a long call is to be ended. */
#include "base/base.h"

#define INTERVAL 0.1 /* seconds: soon for a person, seldom beside the work */

/* What is asked may do as it likes: fork, or call the core for another model. */
static _Thread_local bool asking;

void adm_stop_begin(adm_stop *stop)
{
    stop->next = adm_clock() + INTERVAL;
}

bool adm_stop_is_asking(void)
{
    return asking;
}

bool adm_stopped(const adm_stop *stop)
{
    return stop != NULL && __atomic_load_n(&stop->stopped, __ATOMIC_RELAXED);
}

adm_status adm_stop_status(const adm_stop *stop, adm_error *error)
{
    return adm_stopped(stop) ? adm_fail(error, ADM_STOPPED, "the call was ended by who made it") : ADM_OK;
}

bool adm_stop_asked(adm_stop *stop, int thread)
{
    if (stop == NULL || adm_stopped(stop))
        return stop != NULL;
    if (thread != 0)
        return false;
    const double now = adm_clock();
    if (now < stop->next)
        return false;
    const bool outer = asking;
    asking = true;
    const uint64_t flushing = adm_flush_pause();
    if (stop->asked(stop->context))
        __atomic_store_n(&stop->stopped, 1, __ATOMIC_RELAXED);
    adm_flush_resume(flushing);
    asking = outer;
    stop->next = adm_clock() + INTERVAL;
    return adm_stopped(stop);
}
