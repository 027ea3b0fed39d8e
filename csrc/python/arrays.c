#include "python/arrays.h"

/* "(?, 8)" */
static PyObject *shape_text(int ndim, const int64_t *shape)
{
    PyObject *text = PyUnicode_FromString("(");
    for (int i = 0; text != NULL && i < ndim; i++) {
        const char *comma = i > 0 ? ", " : "";
        const char *end = ndim == 1 ? "," : "";
        PyObject *longer = shape[i] == PYADM_ANY
                               ? PyUnicode_FromFormat("%U%s?%s", text, comma, end)
                               : PyUnicode_FromFormat("%U%s%lld%s", text, comma, (long long)shape[i], end);
        Py_SETREF(text, longer);
    }
    if (text != NULL)
        Py_SETREF(text, PyUnicode_FromFormat("%U)", text));
    return text;
}

static PyArrayObject *wrong_shape(PyArrayObject *array, const char *name, int ndim, const int64_t *shape)
{
    int64_t given_shape[NPY_MAXDIMS];
    for (int i = 0; i < PyArray_NDIM(array); i++)
        given_shape[i] = PyArray_DIM(array, i);
    PyObject *given = shape_text(PyArray_NDIM(array), given_shape);
    PyObject *expected = given == NULL ? NULL : shape_text(ndim, shape);
    if (expected != NULL)
        PyErr_Format(PyExc_ValueError, "%s must have shape %U, got %U", name, expected, given);
    Py_XDECREF(given);
    Py_XDECREF(expected);
    return NULL;
}

static PyArrayObject *check_layout(PyArrayObject *array, const char *name)
{
    if (PyArray_IS_C_CONTIGUOUS(array) && PyArray_ISALIGNED(array))
        return array;
    PyErr_Format(PyExc_ValueError,
                 "%s must be a C-contiguous array, got one that is not (see numpy.ascontiguousarray)", name);
    return NULL;
}

static PyArrayObject *check_dtype(PyObject *value, const char *name, int type)
{
    PyArray_Descr *expected = PyArray_DescrFromType(type);
    if (expected == NULL)
        return NULL;
    PyArrayObject *array = NULL;
    if (!PyArray_Check(value))
        PyErr_Format(PyExc_TypeError, "%s must be a NumPy array of %S, got an object of type %s", name,
                     (PyObject *)expected, Py_TYPE(value)->tp_name);
    else if (!PyArray_EquivTypes(PyArray_DESCR((PyArrayObject *)value), expected))
        PyErr_Format(PyExc_TypeError, "%s must have dtype %S, got %S", name, (PyObject *)expected,
                     (PyObject *)PyArray_DESCR((PyArrayObject *)value));
    else
        array = (PyArrayObject *)value;
    Py_DECREF(expected);
    return array;
}

PyArrayObject *pyadm_array_check(PyObject *value, const char *name, int type, int ndim, const int64_t *shape)
{
    PyArrayObject *array = check_dtype(value, name, type);
    if (array == NULL)
        return NULL;
    bool same = PyArray_NDIM(array) == ndim;
    for (int i = 0; same && i < ndim; i++)
        same = shape[i] == PYADM_ANY || shape[i] == PyArray_DIM(array, i);
    return same ? check_layout(array, name) : wrong_shape(array, name, ndim, shape);
}

PyArrayObject *pyadm_array_check_flat(PyObject *value, const char *name, int type)
{
    PyArrayObject *array = check_dtype(value, name, type);
    return array == NULL ? NULL : check_layout(array, name);
}

PyObject *pyadm_array_view(PyObject *owner, int type, int ndim, const int64_t *shape, void *data,
                           bool writable)
{
    npy_intp extents[2] = {0, 0};
    for (int i = 0; i < ndim; i++)
        extents[i] = (npy_intp)shape[i];
    PyObject *array = PyArray_New(&PyArray_Type, ndim, extents, type, NULL, data, 0,
                                  writable ? NPY_ARRAY_CARRAY : NPY_ARRAY_CARRAY_RO, NULL);
    if (array == NULL)
        return NULL;
    Py_INCREF(owner);
    if (PyArray_SetBaseObject((PyArrayObject *)array, owner) < 0) { /* takes the reference, even so */
        Py_DECREF(array);
        return NULL;
    }
    return array;
}

PyObject *pyadm_array_new(int type, int ndim, const int64_t *shape)
{
    npy_intp extents[3] = {0, 0, 0};
    for (int i = 0; i < ndim; i++)
        extents[i] = (npy_intp)shape[i];
    return PyArray_SimpleNew(ndim, extents, type);
}

int pyadm_dict_put(PyObject *dict, const char *key, PyObject *value)
{
    if (value == NULL)
        return -1;
    /* PyDict_SetItemString would intern the names of parameters, each time anew */
    PyObject *name = PyUnicode_FromString(key);
    const int status = name == NULL ? -1 : PyDict_SetItem(dict, name, value);
    Py_XDECREF(name);
    Py_DECREF(value);
    return status;
}

PyObject *pyadm_dict_get(PyObject *dict, const char *key)
{
    PyObject *name = PyUnicode_FromString(key);
    PyObject *value = name == NULL ? NULL : PyDict_GetItemWithError(dict, name);
    Py_XDECREF(name);
    return value;
}
