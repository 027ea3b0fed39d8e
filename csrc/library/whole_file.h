/* A file that is there whole or not at all: written aside, in the same folder, flushed, and renamed. */
#ifndef ADM_LIBRARY_WHOLE_FILE_H
#define ADM_LIBRARY_WHOLE_FILE_H

#include "admin/status.h"

typedef struct adm_whole_file {
    int descriptor;
    char *target, *aside; /* paths */
} adm_whole_file;

/* After ADM_OK follow writes, and an end: of the file, or of the attempt. */
adm_status adm_whole_file_begin(adm_whole_file *file, const char *path, adm_error *error);
adm_status adm_whole_file_write(adm_whole_file *file, const void *bytes, size_t count, adm_error *error);
/* Puts the file in its place, or removes it if `status` is not ADM_OK; returns the first failure. */
adm_status adm_whole_file_end(adm_whole_file *file, adm_status status, adm_error *error);

#endif
