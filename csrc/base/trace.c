#define _GNU_SOURCE
#include "base/trace.h"

#include "base/base.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static _Thread_local struct {
    adm_event *events; /* NULL: it is not on */
    int64_t capacity, count;
} trace;

/* Of the thread, so that what else the machine does is not in it. */
static double thread_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

bool adm_trace_begin(int64_t capacity)
{
    free(trace.events);
    trace.events = malloc((size_t)capacity * sizeof *trace.events);
    trace.capacity = capacity;
    trace.count = 0;
    return trace.events != NULL;
}

/* Where something lies in the library that it is of, or in memory. */
static double place_of(double address)
{
    Dl_info found;
    const uintptr_t at = (uintptr_t)address;
    return dladdr((const void *)at, &found) != 0 ? (double)(at - (uintptr_t)found.dli_fbase) : address;
}

adm_event *adm_trace_end(int64_t *count, int64_t *capacity)
{
    adm_event *events = trace.events;
    *count = events == NULL ? 0 : trace.count;
    *capacity = trace.capacity;
    for (int64_t i = 0; i < adm_min(*count, *capacity); i++)
        if (events[i].kind == ADM_EVENT_REGION)
            events[i].subject = place_of(events[i].subject);
    trace.events = NULL;
    return events;
}

bool adm_tracing(void)
{
    return trace.events != NULL;
}

void adm_trace(adm_event_kind kind, double subject, double value)
{
    if (trace.events == NULL)
        return;
    if (trace.count < trace.capacity)
        trace.events[trace.count] = (adm_event){thread_seconds(), kind, subject, value};
    trace.count++;
}
