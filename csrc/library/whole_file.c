#define _GNU_SOURCE /* realpath, fchmod and more, with -std=c11 */
#include "library/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ATTEMPTS 100 /* to find a name aside that nobody has */
#define END_LENGTH 64

static adm_status fail(const adm_whole_file *file, const char *what, adm_error *error)
{
    return adm_fail(error, ADM_ERROR_FILE, "%s: cannot %s: %s", file->target, what, strerror(errno));
}

static void release(adm_whole_file *file)
{
    free(file->target);
    free(file->aside);
    *file = (adm_whole_file){.descriptor = -1};
}

/* The file aside, with the permissions of the one that it replaces. */
static adm_status open_aside(adm_whole_file *file, adm_error *error)
{
    struct stat there;
    const bool replaces = stat(file->target, &there) == 0;
    if (replaces && !S_ISREG(there.st_mode))
        return adm_fail(error, ADM_ERROR_FILE, "%s: not a plain file", file->target);
    const size_t room = strlen(file->target) + END_LENGTH;
    file->aside = malloc(room);
    if (file->aside == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for a file's name");
    for (int attempt = 0; attempt < ATTEMPTS && file->descriptor < 0; attempt++) {
        snprintf(file->aside, room, "%s.%ld.%d.part", file->target, (long)getpid(), attempt);
        file->descriptor = open(file->aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file->descriptor < 0 && errno != EEXIST)
            break;
    }
    if (file->descriptor < 0)
        return fail(file, "make a file beside it", error);
    if (replaces)
        (void)fchmod(file->descriptor, there.st_mode & 0777); /* file systems without permissions refuse */
    return ADM_OK;
}

adm_status adm_whole_file_begin(adm_whole_file *file, const char *path, adm_error *error)
{
    *file = (adm_whole_file){.descriptor = -1};
    if (path == NULL || *path == '\0')
        return adm_fail(error, ADM_ERROR_VALUE, "path must not be empty");
    file->target = realpath(path, NULL); /* of a link the file that it leads to */
    if (file->target == NULL)
        file->target = strdup(path);
    if (file->target == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for a file's name");
    const adm_status status = open_aside(file, error);
    if (status != ADM_OK)
        release(file);
    return status;
}

adm_status adm_whole_file_write(adm_whole_file *file, const void *bytes, size_t count, adm_error *error)
{
    const char *at = bytes;
    while (count > 0) {
        const ssize_t written = write(file->descriptor, at, count < (1u << 30) ? count : 1u << 30);
        if (written < 0 && errno != EINTR)
            return fail(file, "write it", error);
        if (written > 0) {
            at += written;
            count -= (size_t)written;
        }
    }
    return ADM_OK;
}

/* So that the new name outlasts a loss of power; file systems that cannot are left to themselves. */
static void flush_folder(const char *target)
{
    char *folder = strdup(target);
    if (folder == NULL)
        return;
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        slash[slash == folder] = '\0';
    const int descriptor = open(slash == NULL ? "." : folder, O_RDONLY | O_CLOEXEC);
    if (descriptor >= 0) {
        (void)fsync(descriptor);
        (void)close(descriptor);
    }
    free(folder);
}

adm_status adm_whole_file_end(adm_whole_file *file, adm_status status, adm_error *error)
{
    if (status == ADM_OK && fsync(file->descriptor) != 0 && errno != EINVAL)
        status = fail(file, "flush it", error);
    if (close(file->descriptor) != 0 && status == ADM_OK)
        status = fail(file, "close it", error);
    if (status == ADM_OK && rename(file->aside, file->target) != 0)
        status = fail(file, "put it in its place", error);
    if (status == ADM_OK)
        flush_folder(file->target);
    else
        (void)unlink(file->aside);
    release(file);
    return status;
}
