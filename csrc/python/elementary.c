/* The core's elementary functions of arrays, for what Python computes and a training depends on. */
#include "base/base.h"
#include "python/arguments.h"
#include "python/arrays.h"

#include <float.h>
#include <math.h>

/* A function of numbers from low to high, and of an exponent that those of one number do not read. */
typedef struct function {
    const char *argument;
    double low, high;
    double (*of_one)(double x);
    double (*of_two)(double x, double y); /* where of_one is NULL */
} function;

static const function EXP = {"x", -INFINITY, INFINITY, adm_exp, NULL};
static const function TANH = {"x", -INFINITY, INFINITY, adm_tanh, NULL};
static const function LOG = {"x", -INFINITY, INFINITY, adm_log, NULL};
static const function COS_TURNS = {"turns", -1, 1, adm_cos_turns, NULL};
static const function POWER = {"x", 0, 1, NULL, adm_power};

/* Whether all numbers may be given to the function; false with an exception. NaN is within no bounds. */
static bool all_within(const function *fn, const double *x, int64_t size)
{
    for (int64_t i = 0; i < size && isfinite(fn->high); i++) {
        if (!(x[i] >= fn->low && x[i] <= fn->high)) {
            PyErr_Format(PyExc_ValueError, "%s must be numbers from %d to %d", fn->argument, (int)fn->low,
                         (int)fn->high);
            return false;
        }
    }
    return true;
}

/* The function of every number of an array of float64, in a new array of one dimension. */
static PyObject *map(const function *fn, PyObject *value, double y)
{
    PyArrayObject *array = pyadm_array_check_flat(value, fn->argument, NPY_DOUBLE);
    if (array == NULL)
        return NULL;
    const int64_t size = PyArray_SIZE(array);
    const double *x = PyArray_DATA(array);
    PyObject *result = all_within(fn, x, size) ? pyadm_array_new(NPY_DOUBLE, 1, &size) : NULL;
    if (result == NULL)
        return NULL;
    double *results = pyadm_array_data(result);
    for (int64_t i = 0; i < size; i++)
        results[i] = fn->of_one != NULL ? fn->of_one(x[i]) : fn->of_two(x[i], y);
    return result;
}

const char pyadm_exp_doc[] = "exp($module, x, /)\n--\n\n"
                             "e^x by IEEE arithmetic alone, of a flat array of float64.";

PyObject *pyadm_exp(PyObject *module, PyObject *value)
{
    (void)module;
    return map(&EXP, value, 0);
}

const char pyadm_tanh_doc[] = "tanh($module, x, /)\n--\n\n"
                              "The hyperbolic tangent by IEEE arithmetic alone, of a flat array of float64.";

PyObject *pyadm_tanh(PyObject *module, PyObject *value)
{
    (void)module;
    return map(&TANH, value, 0);
}

const char pyadm_log_doc[] = "log($module, x, /)\n--\n\n"
                             "The natural logarithm by IEEE arithmetic alone, of a flat array of float64.";

PyObject *pyadm_log(PyObject *module, PyObject *value)
{
    (void)module;
    return map(&LOG, value, 0);
}

const char pyadm_cos_turns_doc[] =
    "cos_turns($module, turns, /)\n--\n\n"
    "cos(2 pi turns) by IEEE arithmetic alone, of a flat array of float64, each "
    "from -1 to 1.";

PyObject *pyadm_cos_turns(PyObject *module, PyObject *value)
{
    (void)module;
    return map(&COS_TURNS, value, 0);
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
    return map(&POWER, value, y);
}
