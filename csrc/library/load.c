/* A model's file is read. Its header is text that anyone may have written: all of it is held against the model before a
   number is read. */
#define _GNU_SOURCE /* pread with -std=c11 */
#include "admin/files.h"
#include "library/json.h"
#include "library/tensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct opened {
    const char *path;
    int descriptor;
    int64_t data, length; /* where the numbers begin, and how many bytes they are */
    char *header;
    int64_t header_length;
    int64_t *begins; /* [count of parameters] of each tensor among the numbers; -1: not found yet */
} opened;

static adm_status damaged(const opened *file, const char *what, adm_error *error)
{
    return adm_fail(error, ADM_ERROR_FILE, "%s: %s", file->path, what);
}

/* All of `count` bytes, from `at` of the file. */
static adm_status read_at(const opened *file, void *bytes, int64_t count, int64_t at, adm_error *error)
{
    char *next = bytes;
    while (count > 0) {
        const ssize_t got =
            pread(file->descriptor, next, (size_t)(count < 1 << 30 ? count : 1 << 30), (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return damaged(file, got < 0 ? strerror(errno) : "cut off", error);
        next += got;
        at += got;
        count -= got;
    }
    return ADM_OK;
}

static adm_status open_file(opened *file, adm_error *error)
{
    struct stat found;
    uint64_t length = 0;
    file->descriptor = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe would keep us waiting */
    if (file->descriptor < 0 || fstat(file->descriptor, &found) != 0)
        return damaged(file, strerror(errno), error);
    if (!S_ISREG(found.st_mode))
        return damaged(file, "not a plain file", error);
    if (found.st_size < (off_t)sizeof length)
        return damaged(file, "cut off, or not a safetensors file", error);
    adm_status status = read_at(file, &length, sizeof length, 0, error);
    if (status != ADM_OK)
        return status;
    if (length > ADM_FILE_HEADER_MOST || length > (uint64_t)found.st_size - sizeof length)
        return damaged(file, "cut off, or not a safetensors file", error);
    file->header_length = (int64_t)length;
    file->data = (int64_t)sizeof length + file->header_length;
    file->length = (int64_t)found.st_size - file->data;
    file->header = malloc((size_t)length + 1);
    if (file->header == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for the header of %s", file->path);
    return read_at(file, file->header, file->header_length, sizeof length, error);
}

/* ---- the header ---- */

/* {"name": "text", ...}, of which format and version are looked at. */
static bool read_metadata(adm_json *json, bool *is_model)
{
    bool format = false, version = false;
    if (!adm_json_take(json, '{'))
        return false;
    if (adm_json_take(json, '}'))
        return true;
    do {
        adm_json_text name, value;
        if (!adm_json_key(json, &name) || !adm_json_string(json, &value))
            return false;
        format |= adm_json_equal(name, "format") && adm_json_equal(value, ADM_FILE_FORMAT);
        version |= adm_json_equal(name, "version") && adm_json_equal(value, ADM_FILE_VERSION);
    } while (adm_json_take(json, ','));
    *is_model = format && version;
    return adm_json_take(json, '}');
}

/* [a, b, ...]: how many, of at most `most`; -1: it is no such list. */
static int read_integers(adm_json *json, int64_t *values, int most)
{
    int count = 0;
    if (!adm_json_take(json, '['))
        return -1;
    if (adm_json_take(json, ']'))
        return 0;
    do
        if (count == most || !adm_json_integer(json, &values[count++]))
            return -1;
    while (adm_json_take(json, ','));
    return adm_json_take(json, ']') ? count : -1;
}

typedef struct tensor {
    adm_json_text dtype;
    int64_t shape[2], offsets[2];
    int ndim;
} tensor;

/* {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, each once, in any order. */
static bool read_tensor(adm_json *json, tensor *entry)
{
    bool dtype = false, shape = false, offsets = false;
    if (!adm_json_take(json, '{'))
        return false;
    do {
        adm_json_text name;
        if (!adm_json_key(json, &name))
            return false;
        if (!dtype && adm_json_equal(name, "dtype"))
            dtype = adm_json_string(json, &entry->dtype);
        else if (!shape && adm_json_equal(name, "shape"))
            shape = (entry->ndim = read_integers(json, entry->shape, 2)) >= 0;
        else if (!offsets && adm_json_equal(name, "data_offsets"))
            offsets = read_integers(json, entry->offsets, 2) == 2;
        else
            return false;
    } while (adm_json_take(json, ','));
    return dtype && shape && offsets && adm_json_take(json, '}');
}

static int64_t find(const adm_param_table *params, adm_json_text name)
{
    for (int64_t p = 0; p < params->count; p++)
        if (adm_json_equal(name, params->items[p].name))
            return p;
    return -1;
}

/* Holds an entry against its parameter. */
static adm_status take_tensor(opened *file, const adm_param_table *params, adm_json_text name,
                              const tensor *entry, adm_error *error)
{
    const int64_t p = find(params, name),
                  bytes = p < 0 ? 0 : params->items[p].size * (int64_t)sizeof(adm_real);
    const int shown = (int)(name.length < ADM_NAME_LENGTH ? name.length : ADM_NAME_LENGTH);
    const char *wrong = NULL;
    if (p < 0)
        wrong = "is no parameter of the model";
    else if (file->begins[p] >= 0)
        wrong = "is there twice";
    else if (!adm_json_equal(entry->dtype, ADM_FILE_TYPE))
        wrong = "must be of " ADM_DTYPE_NAME;
    else if (entry->ndim != params->items[p].ndim || entry->shape[0] != params->items[p].shape[0] ||
             (entry->ndim == 2 && entry->shape[1] != params->items[p].shape[1]))
        wrong = "has another shape than the model's";
    else if (entry->offsets[0] > file->length - bytes || entry->offsets[1] - entry->offsets[0] != bytes)
        wrong = "does not lie within the file";
    if (wrong != NULL)
        return adm_fail(error, ADM_ERROR_FILE, "%s: %.*s %s", file->path, shown, name.begin, wrong);
    file->begins[p] = entry->offsets[0];
    return ADM_OK;
}

static adm_status read_header(opened *file, const adm_param_table *params, adm_error *error)
{
    adm_json json = {file->header, file->header + file->header_length};
    bool is_model = false;
    int64_t bytes = 0;
    if (!adm_json_take(&json, '{'))
        return damaged(file, "not a safetensors file", error);
    do {
        adm_json_text name;
        tensor entry = {.ndim = -1};
        if (!adm_json_key(&json, &name))
            return damaged(file, "its header is damaged", error);
        if (adm_json_equal(name, ADM_FILE_METADATA)) {
            if (!read_metadata(&json, &is_model))
                return damaged(file, "its header is damaged", error);
            continue;
        }
        if (!read_tensor(&json, &entry))
            return damaged(file, "its header is damaged", error);
        const adm_status status = take_tensor(file, params, name, &entry, error);
        if (status != ADM_OK)
            return status;
        bytes += entry.offsets[1] - entry.offsets[0];
    } while (adm_json_take(&json, ','));
    if (!adm_json_take(&json, '}') || !adm_json_ended(&json))
        return damaged(file, "its header is damaged", error);
    if (!is_model)
        return damaged(file, "not a model's file, or of another version", error);
    for (int64_t p = 0; p < params->count; p++)
        if (file->begins[p] < 0)
            return adm_fail(error, ADM_ERROR_FILE, "%s: %s is missing", file->path, params->items[p].name);
    return bytes == file->length ? ADM_OK : damaged(file, "it holds more than its tensors", error);
}

static adm_status load(opened *file, adm_model *model, adm_error *error)
{
    const adm_param_table *params = adm_model_params(model);
    adm_real *weights = adm_model_weights(model);
    file->begins = malloc((size_t)(params->count + 1) * sizeof *file->begins);
    if (file->begins == NULL)
        return adm_fail(error, ADM_ERROR_MEMORY, "no memory for the header of %s", file->path);
    for (int64_t p = 0; p < params->count; p++)
        file->begins[p] = -1;
    adm_status status = open_file(file, error);
    if (status == ADM_OK)
        status = read_header(file, params, error);
    for (int64_t p = 0; p < params->count && status == ADM_OK; p++)
        status =
            read_at(file, weights + params->items[p].offset, params->items[p].size * (int64_t)sizeof *weights,
                    file->data + file->begins[p], error);
    return status;
}

adm_status adm_model_load(adm_model *model, const char *path, adm_error *error)
{
    if (path == NULL)
        return adm_fail(error, ADM_ERROR_VALUE, "path must not be NULL");
    if (adm_model_weights(model) == NULL)
        return adm_fail(error, ADM_ERROR_STATE, "an outline has no weights to load");
    opened file = {.path = path, .descriptor = -1};
    const adm_status status = load(&file, model, error);
    if (file.descriptor >= 0)
        (void)close(file.descriptor);
    free(file.header);
    free(file.begins);
    return status;
}
