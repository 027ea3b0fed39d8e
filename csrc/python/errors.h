/* From the core's errors to Python's exceptions. */
#ifndef ADM_PYTHON_ERRORS_H
#define ADM_PYTHON_ERRORS_H

#include "python/module.h"

/* Sets the exception that a failed core call stands for. Returns NULL, so that `return pyadm_raise(&error)` does. */
PyObject *pyadm_raise(const adm_error *error);

#endif
