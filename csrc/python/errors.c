#include "python/errors.h"

#include <string.h>

static PyObject *exception_of(adm_status status)
{
    switch (status) {
    case ADM_ERROR_MEMORY:
        return PyExc_MemoryError;
    case ADM_ERROR_VALUE:
        return PyExc_ValueError;
    case ADM_ERROR_INDEX:
        return PyExc_IndexError;
    case ADM_ERROR_STATE:
        return PyExc_RuntimeError;
    case ADM_ERROR_FILE:
        return PyExc_OSError;
    case ADM_STOPPED: /* by an exception, see pyadm_raise */
    case ADM_OK:
        break;
    }
    return PyExc_SystemError;
}

PyObject *pyadm_raise(const adm_error *error)
{
    if (error->status == ADM_STOPPED && PyErr_Occurred())
        return NULL; /* that of the handler which has stopped the call */
    /* A message that was cut may end inside a character. */
    PyObject *message = PyUnicode_DecodeUTF8(error->message, (Py_ssize_t)strlen(error->message), "replace");
    if (message != NULL) {
        PyErr_SetObject(exception_of(error->status), message);
        Py_DECREF(message);
    }
    return NULL;
}
