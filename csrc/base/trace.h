/* What regions of threads do, for whoever wants to see it: a list of events, each with its time. Where it is not on, an
   event costs the look at one number of the thread. */
#ifndef ADM_BASE_TRACE_H
#define ADM_BASE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum adm_event_kind {
    ADM_EVENT_REGION = 0, /* subject: where its function lies in the library; value: its tasks */
    ADM_EVENT_REGION_END,
    ADM_EVENT_TASK, /* subject: its number */
    ADM_EVENT_TASK_END,
    ADM_EVENT_WAIT, /* subject: a count; value: what it has to reach */
    ADM_EVENT_DONE  /* subject: a count that is one more */
} adm_event_kind;

typedef struct adm_event {
    double seconds; /* that the thread has computed */
    double kind, subject, value;
} adm_event;

/* From now on the regions that this thread begins run on it alone, and up to `capacity` events are kept; false: there is no
   memory for them. */
bool adm_trace_begin(int64_t capacity);
/* No longer. The events are the caller's, to be freed; of *count that there were *capacity at most are kept. */
adm_event *adm_trace_end(int64_t *count, int64_t *capacity);

bool adm_tracing(void);
void adm_trace(adm_event_kind kind, double subject, double value);

#endif
