/* What a call answers: a status, and a message for the person who made the call. */
#ifndef ADMIN_STATUS_H
#define ADMIN_STATUS_H

#include "admin/types.h"

ADM_BEGIN

typedef enum adm_status {
    ADM_OK = 0,
    ADM_ERROR_MEMORY, /* an allocation failed */
    ADM_ERROR_VALUE,  /* an argument has a value that it may not have */
    ADM_ERROR_INDEX,  /* a token id or an index is out of range */
    ADM_ERROR_STATE,  /* the call came at the wrong moment */
    ADM_STOPPED,      /* who made the call has ended it: adm_stop */
    ADM_ERROR_FILE    /* a file cannot be read or written, or is damaged */
} adm_status;

#define ADM_MESSAGE_LENGTH 320

typedef struct adm_error {
    adm_status status;
    char message[ADM_MESSAGE_LENGTH];
} adm_error;

/* Fills *error (may be NULL) and returns status, so that `return adm_fail(...)` reads well. */
ADM_API adm_status adm_fail(adm_error *error, adm_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

ADM_END

#endif
