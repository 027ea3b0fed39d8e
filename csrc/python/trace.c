/* The core's events as an array. */
#include "base/trace.h"
#include "python/arguments.h"
#include "python/arrays.h"

#include <stdlib.h>
#include <string.h>

#define MAX_EVENTS ((int64_t)1 << 26)
#define COLUMNS ((int64_t)(sizeof(adm_event) / sizeof(double)))

const char pyadm_trace_begin_doc[] =
    "trace_begin($module, capacity, /)\n--\n\n"
    "Keep what this module does in the calling thread from now on, up to so many events.\n\n"
    "Meanwhile that thread computes alone, with the tasks that its number of threads would have.";

PyObject *pyadm_trace_begin(PyObject *module, PyObject *value)
{
    int64_t capacity = 0;
    (void)module;
    if (pyadm_read_int64(value, "capacity", 1, MAX_EVENTS, &capacity) < 0)
        return NULL;
    if (!adm_trace_begin(capacity))
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

const char pyadm_trace_end_doc[] =
    "trace_end($module, /)\n--\n\n"
    "What was done since trace_begin: [n, 4] seconds, kind, subject, value (csrc/base/trace.h).\n\n"
    "Raises\n------\nRuntimeError\n    There were more events than were to be kept.";

PyObject *pyadm_trace_end(PyObject *module, PyObject *ignored)
{
    int64_t count = 0, capacity = 0;
    (void)module;
    (void)ignored;
    adm_event *events = adm_trace_end(&count, &capacity);
    PyObject *result = NULL;
    if (count > capacity)
        PyErr_Format(PyExc_RuntimeError, "there were %lld events, and %lld were to be kept", (long long)count,
                     (long long)capacity);
    else
        result = pyadm_array_new(NPY_DOUBLE, 2, (int64_t[]){count, COLUMNS});
    if (result != NULL && count > 0)
        memcpy(pyadm_array_data(result), events, (size_t)count * sizeof *events);
    free(events);
    return result;
}
