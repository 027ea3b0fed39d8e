/* Strict reading of single arguments: each function converts one value or sets an error that names the argument,
   what was given and what was expected. They return 0, or -1 with an exception. */
#ifndef ADM_PYTHON_ARGUMENTS_H
#define ADM_PYTHON_ARGUMENTS_H

#include "python/module.h"

/* repr(value), cut where it is long, or its type where repr fails. A new reference. */
PyObject *pyadm_words_of(PyObject *value);
/* Sets "NAME must be EXPECTED, got VALUE"; returns -1. */
int pyadm_refuse(PyObject *exception, const char *name, const char *expected, PyObject *value);

/* An integer in [low, high]; bool is not one. */
int pyadm_read_int64(PyObject *value, const char *name, int64_t low, int64_t high, int64_t *result);
/* An integer in [0, 2^64). */
int pyadm_read_uint64(PyObject *value, const char *name, uint64_t *result);
/* True or False, Python's or NumPy's. */
int pyadm_read_bool(PyObject *value, const char *name, bool *result);
/* A finite real number in [low, high]; bool is not one. */
int pyadm_read_real(PyObject *value, const char *name, double low, double high, double *result);
/* One of the names that a NULL-terminated list holds: its index. */
int pyadm_read_choice(PyObject *value, const char *name, const char *const *choices, int *result);

/* For optional arguments: leave *result as it is where value is NULL. */
int pyadm_read_optional_bool(PyObject *value, const char *name, bool *result);
int pyadm_read_optional_uint64(PyObject *value, const char *name, uint64_t *result);
int pyadm_read_optional_real(PyObject *value, const char *name, double low, double high, double *result);

#endif
