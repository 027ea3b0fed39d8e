/* Arrays in and out. Nothing is converted: an array that is not exactly what the core reads is an error. */
#ifndef ADM_PYTHON_ARRAYS_H
#define ADM_PYTHON_ARRAYS_H

#include "python/module.h"

#define PYADM_ANY (-1) /* of an extent: whatever the array has */

/* The array that argument `name` must be: dtype exactly `type` in native order, `ndim` dimensions with the given
   extents (PYADM_ANY: free), C-contiguous. Borrowed; NULL with an exception. */
PyArrayObject *pyadm_array_check(PyObject *value, const char *name, int type, int ndim, const int64_t *shape);

/* The array that argument `name` must be, of any number of dimensions. */
PyArrayObject *pyadm_array_check_flat(PyObject *value, const char *name, int type);

/* A view of data whose base is owner, which keeps the memory alive. */
PyObject *pyadm_array_view(PyObject *owner, int type, int ndim, const int64_t *shape, void *data,
                           bool writable);

/* A new array of at most three dimensions, not initialised. */
PyObject *pyadm_array_new(int type, int ndim, const int64_t *shape);

static inline void *pyadm_array_data(PyObject *array)
{
    return PyArray_DATA((PyArrayObject *)array);
}

/* Stores value under key, taking the reference to value (which may be NULL: an exception is set). 0 or -1. */
int pyadm_dict_put(PyObject *dict, const char *key, PyObject *value);
/* The value under key, borrowed; NULL without an exception where there is none, and with one where it was not found out. */
PyObject *pyadm_dict_get(PyObject *dict, const char *key);

#endif
