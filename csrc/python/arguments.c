#include "python/arguments.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define MAX_WORDS 100 /* characters of an object that a message shows */

PyObject *pyadm_words_of(PyObject *value)
{
    PyObject *repr = PyObject_Repr(value);
    if (repr == NULL && PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear();
        repr = PyUnicode_FromFormat("an object of type %s", Py_TYPE(value)->tp_name);
    }
    if (repr == NULL || PyUnicode_GET_LENGTH(repr) <= MAX_WORDS)
        return repr;
    PyObject *start = PyUnicode_Substring(repr, 0, MAX_WORDS);
    Py_DECREF(repr);
    if (start != NULL)
        Py_SETREF(start, PyUnicode_FromFormat("%U...", start));
    return start;
}

int pyadm_refuse(PyObject *exception, const char *name, const char *expected, PyObject *value)
{
    PyObject *words = pyadm_words_of(value);
    if (words == NULL)
        return -1;
    if (exception == PyExc_TypeError)
        PyErr_Format(exception, "%s must be %s, got %U of type %s", name, expected, words,
                     Py_TYPE(value)->tp_name);
    else
        PyErr_Format(exception, "%s must be %s, got %U", name, expected, words);
    Py_DECREF(words);
    return -1;
}

static int wrong_type(PyObject *value, const char *name, const char *expected)
{
    return pyadm_refuse(PyExc_TypeError, name, expected, value);
}

static bool is_bool(PyObject *value)
{
    return PyBool_Check(value) || PyArray_IsScalar(value, Bool);
}

/* The value as a Python int; NULL with a TypeError. */
static PyObject *read_integer(PyObject *value, const char *name)
{
    if (is_bool(value) || !PyIndex_Check(value) || PyArray_Check(value)) {
        wrong_type(value, name, "an integer");
        return NULL;
    }
    return PyNumber_Index(value);
}

int pyadm_read_int64(PyObject *value, const char *name, int64_t low, int64_t high, int64_t *result)
{
    PyObject *integer = read_integer(value, name);
    if (integer == NULL)
        return -1;
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(integer, &overflow);
    int status = -1;
    if (overflow != 0 || number < low || number > high) {
        char expected[MAX_WORDS];
        snprintf(expected, sizeof expected, "an integer from %lld to %lld", (long long)low, (long long)high);
        pyadm_refuse(PyExc_ValueError, name, expected, integer);
    } else if (!(number == -1 && PyErr_Occurred())) {
        *result = number;
        status = 0;
    }
    Py_DECREF(integer);
    return status;
}

int pyadm_read_uint64(PyObject *value, const char *name, uint64_t *result)
{
    PyObject *integer = read_integer(value, name);
    if (integer == NULL)
        return -1;
    const unsigned long long number = PyLong_AsUnsignedLongLong(integer);
    int status = 0;
    if (number == (unsigned long long)-1 && PyErr_Occurred()) {
        status = -1;
        if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
            PyErr_Clear();
            pyadm_refuse(PyExc_ValueError, name, "an integer from 0 to 2**64 - 1", integer);
        }
    } else
        *result = number;
    Py_DECREF(integer);
    return status;
}

int pyadm_read_bool(PyObject *value, const char *name, bool *result)
{
    if (!is_bool(value))
        return wrong_type(value, name, "True or False");
    const int truth = PyObject_IsTrue(value);
    if (truth < 0)
        return -1;
    *result = truth == 1;
    return 0;
}

int pyadm_read_real(PyObject *value, const char *name, double low, double high, double *result)
{
    if (is_bool(value) || PyArray_Check(value) ||
        !(PyFloat_Check(value) || PyIndex_Check(value) || PyArray_IsScalar(value, Floating)))
        return wrong_type(value, name, "a real number");
    const double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError))
            return -1;
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s must be a finite number, got an integer too large for one", name);
        return -1;
    }
    if (!isfinite(number))
        return pyadm_refuse(PyExc_ValueError, name, "a finite number", value);
    if (number < low || number > high) {
        char expected[MAX_WORDS];
        if (high >= DBL_MAX)
            snprintf(expected, sizeof expected, "a number of at least %g", low);
        else
            snprintf(expected, sizeof expected, "a number from %g to %g", low, high);
        return pyadm_refuse(PyExc_ValueError, name, expected, value);
    }
    *result = number;
    return 0;
}

/* "a", "b" or "c" */
static PyObject *list_of(const char *const *choices)
{
    PyObject *list = PyUnicode_FromString("");
    for (int i = 0; list != NULL && choices[i] != NULL; i++) {
        const char *before = i == 0 ? "" : choices[i + 1] == NULL ? " or " : ", ";
        PyObject *longer = PyUnicode_FromFormat("%U%s\"%s\"", list, before, choices[i]);
        Py_SETREF(list, longer);
    }
    return list;
}

int pyadm_read_choice(PyObject *value, const char *name, const char *const *choices, int *result)
{
    if (!PyUnicode_Check(value))
        return wrong_type(value, name, "a string");
    for (int i = 0; choices[i] != NULL; i++)
        if (PyUnicode_CompareWithASCIIString(value, choices[i]) == 0) {
            *result = i;
            return 0;
        }
    PyObject *list = list_of(choices);
    const char *expected = list == NULL ? NULL : PyUnicode_AsUTF8(list);
    if (expected != NULL)
        pyadm_refuse(PyExc_ValueError, name, expected, value);
    Py_XDECREF(list);
    return -1;
}

int pyadm_read_optional_bool(PyObject *value, const char *name, bool *result)
{
    return value == NULL ? 0 : pyadm_read_bool(value, name, result);
}

int pyadm_read_optional_uint64(PyObject *value, const char *name, uint64_t *result)
{
    return value == NULL ? 0 : pyadm_read_uint64(value, name, result);
}

int pyadm_read_optional_real(PyObject *value, const char *name, double low, double high, double *result)
{
    return value == NULL ? 0 : pyadm_read_real(value, name, low, high, result);
}
