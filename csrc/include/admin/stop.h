/* How a long call is ended before it is done: whoever made it is asked now and then. */
#ifndef ADMIN_STOP_H
#define ADMIN_STOP_H

#include "admin/types.h"

ADM_BEGIN

/* One call's. It is asked in the thread that made the call, between two sub-layers of a chunk and while that thread
   waits for others, which may be inside of a region of threads. */
typedef struct adm_stop {
    bool (*asked)(void *context); /* whether to end it; not asked again after that */
    void *context;
    double next; /* when to ask again, seconds of the core's clock */
    int stopped; /* it was to be ended; of all threads */
} adm_stop;

/* First asked after a while. */
ADM_API void adm_stop_begin(adm_stop *stop);

/* Whether this thread has begun a region of threads, of this precision, that has not ended: what it asks runs amid that. */
ADM_API bool adm_inside_region(void);

ADM_END

#endif
