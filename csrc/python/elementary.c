/* The core's elementary functions of arrays, for what Python computes and a training depends on. */
#include "base/base.h"
#include "python/arguments.h"
#include "python/arrays.h"

#include <float.h>

typedef double (*function_of_two)(double x, double y);

/* fn(x, y) of every x of an array of float64, in a new array of one dimension. */
static PyObject *map(function_of_two fn, PyArrayObject *array, double y)
{
    const int64_t size = PyArray_SIZE(array);
    PyObject *result = pyadm_array_new(NPY_DOUBLE, 1, &size);
    if (result == NULL)
        return NULL;
    const double *x = PyArray_DATA(array);
    double *out = pyadm_array_data(result);
    for (int64_t i = 0; i < size; i++)
        out[i] = fn(x[i], y);
    return result;
}

/* The array of float64 that argument `name` must be, all between low and high. Borrowed; NULL with an exception. */
static PyArrayObject *read_within(PyObject *value, const char *name, double low, double high)
{
    PyArrayObject *array = pyadm_array_check_flat(value, name, NPY_DOUBLE);
    if (array == NULL)
        return NULL;
    const double *x = PyArray_DATA(array);
    for (int64_t i = 0; i < PyArray_SIZE(array); i++) {
        if (!(x[i] >= low && x[i] <= high)) {
            PyErr_Format(PyExc_ValueError, "%s must be numbers from %d to %d", name, (int)low, (int)high);
            return NULL;
        }
    }
    return array;
}

static double exp_of(double x, double y)
{
    (void)y;
    return adm_exp(x);
}

static double tanh_of(double x, double y)
{
    (void)y;
    return adm_tanh(x);
}

static double log_of(double x, double y)
{
    (void)y;
    return adm_log(x);
}

static double cos_turns_of(double x, double y)
{
    (void)y;
    return adm_cos_turns(x);
}

const char pyadm_exp_doc[] = "exp($module, x, /)\n--\n\n"
                             "e^x by IEEE arithmetic alone, of a flat array of float64.";

PyObject *pyadm_exp(PyObject *module, PyObject *value)
{
    (void)module;
    PyArrayObject *x = pyadm_array_check_flat(value, "x", NPY_DOUBLE);
    return x == NULL ? NULL : map(exp_of, x, 0);
}

const char pyadm_tanh_doc[] = "tanh($module, x, /)\n--\n\n"
                              "The hyperbolic tangent by IEEE arithmetic alone, of a flat array of float64.";

PyObject *pyadm_tanh(PyObject *module, PyObject *value)
{
    (void)module;
    PyArrayObject *x = pyadm_array_check_flat(value, "x", NPY_DOUBLE);
    return x == NULL ? NULL : map(tanh_of, x, 0);
}

const char pyadm_log_doc[] = "log($module, x, /)\n--\n\n"
                             "The natural logarithm by IEEE arithmetic alone, of a flat array of float64.";

PyObject *pyadm_log(PyObject *module, PyObject *value)
{
    (void)module;
    PyArrayObject *x = pyadm_array_check_flat(value, "x", NPY_DOUBLE);
    return x == NULL ? NULL : map(log_of, x, 0);
}

const char pyadm_cos_turns_doc[] =
    "cos_turns($module, turns, /)\n--\n\n"
    "cos(2 pi turns) by IEEE arithmetic alone, of a flat array of float64, each "
    "from -1 to 1.";

PyObject *pyadm_cos_turns(PyObject *module, PyObject *value)
{
    (void)module;
    PyArrayObject *turns = read_within(value, "turns", -1, 1);
    return turns == NULL ? NULL : map(cos_turns_of, turns, 0);
}

const char pyadm_power_doc[] =
    "power($module, x, exponent, /)\n--\n\n"
    "x^exponent by IEEE arithmetic alone, of a flat array of float64, each from 0 to 1; "
    "exponent is not negative.";

PyObject *pyadm_power(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *value, *exponent;
    double y;
    if (!PyArg_ParseTuple(args, "OO:power", &value, &exponent) ||
        pyadm_read_real(exponent, "exponent", 0, DBL_MAX, &y) < 0)
        return NULL;
    PyArrayObject *x = read_within(value, "x", 0, 1);
    return x == NULL ? NULL : map(adm_power, x, y);
}
