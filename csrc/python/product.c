/* The core's product of two matrices, for what Python computes of a pass: the bits of the pass, on every machine. */
#include "python/arrays.h"
#include "python/errors.h"

const char pyadm_product_doc[] =
    "product($module, a, b, /)\n--\n\n"
    "The product of a and the transpose of b, each element summed in the order of a pass.\n\n"
    "Parameters\n----------\n"
    "a, b : ndarray, [M, K] and [N, K]\n    Of the module's dtype, C-contiguous; K is at least 1.\n\n"
    "Returns\n-------\nndarray, [M, N]";

PyObject *pyadm_product(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *a_value, *b_value;
    if (!PyArg_ParseTuple(args, "OO:product", &a_value, &b_value))
        return NULL;
    PyArrayObject *a = pyadm_array_check(a_value, "a", PYADM_REAL, 2, (int64_t[]){PYADM_ANY, PYADM_ANY});
    if (a == NULL)
        return NULL;
    const int64_t k = PyArray_DIM(a, 1);
    if (k < 1)
        return PyErr_Format(PyExc_ValueError, "a must have at least one column, got none");
    PyArrayObject *b = pyadm_array_check(b_value, "b", PYADM_REAL, 2, (int64_t[]){PYADM_ANY, k});
    if (b == NULL)
        return NULL;
    const int64_t shape[] = {PyArray_DIM(a, 0), PyArray_DIM(b, 0)};
    PyObject *c = pyadm_array_new(PYADM_REAL, 2, shape);
    if (c == NULL)
        return NULL;
    const adm_product product = {shape[0],        shape[1],        k,
                                 PyArray_DATA(a), PyArray_DATA(b), pyadm_array_data(c)};
    const adm_kernels *kernels = adm_kernels_select();
    adm_error error;
    adm_status status;
    PYADM_WITHOUT_GIL(status = adm_product_compute(kernels, &product, &error))
    if (status == ADM_OK)
        return c;
    Py_DECREF(c);
    return pyadm_raise(&error);
}
