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

adm_event *adm_trace_end(int64_t *count, int64_t *capacity)
{
    adm_event *events = trace.events;
    *count = events == NULL ? 0 : trace.count;
    *capacity = trace.capacity;
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

double adm_trace_place(const void *address)
{
    Dl_info found;
    const uintptr_t base = dladdr(address, &found) != 0 ? (uintptr_t)found.dli_fbase : 0;
    return (double)((uintptr_t)address - base);
}
