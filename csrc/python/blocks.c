/* Sums over flat arrays, for trainings that several processes share. */
#include "base/base.h"
#include "python/arguments.h"
#include "python/arrays.h"
#include "python/errors.h"
#include "python/module.h"

const char pyadm_norm2_doc[] =
    "norm2($module, array, /)\n--\n\n"
    "Euclidean norm of all elements, summed in double in an order that does not depend on threads."
    "\n\nParameters\n----------\narray : ndarray\n    Of the module's dtype, C-contiguous.";

PyObject *pyadm_norm2(PyObject *module, PyObject *value)
{
    PyArrayObject *array = pyadm_array_check_flat(value, "array", PYADM_REAL);
    if (array == NULL)
        return NULL;
    const adm_real *data = PyArray_DATA(array);
    const int64_t size = PyArray_SIZE(array);
    const int threads = pyadm_state_of_module(module)->threads;
    const adm_kernels *kernels = adm_kernels_select();
    double norm;
    PYADM_WITHOUT_GIL(norm = adm_norm2(kernels, data, size, threads))
    return PyFloat_FromDouble(norm);
}

const char pyadm_block_length_doc[] = "block_length($module, n, /)\n--\n\n"
                                      "Elements of the blocks over which sums of so many elements are made.";

PyObject *pyadm_block_length(PyObject *module, PyObject *value)
{
    int64_t n;
    (void)module;
    return pyadm_read_int64(value, "n", 0, ((int64_t)1 << 53), &n) < 0
               ? NULL
               : PyLong_FromLongLong((long long)adm_block_length(n));
}

const char pyadm_block_squares_doc[] =
    "block_squares($module, array, block, /)\n--\n\n"
    "Sums of squares of blocks of so many elements: the root of their sum, made in their order, is "
    "`norm2`.\n\n"
    "Parameters\n----------\n"
    "array : ndarray\n    Of the module's dtype, C-contiguous.\n"
    "block : int\n    `block_length` of the whole, of which `array` may be some blocks.\n\n"
    "Returns\n-------\nndarray of float64";

PyObject *pyadm_block_squares(PyObject *module, PyObject *args)
{
    PyObject *value, *length;
    int64_t block;
    if (!PyArg_ParseTuple(args, "OO:block_squares", &value, &length) ||
        pyadm_read_int64(length, "block", 1, ((int64_t)1 << 53), &block) < 0)
        return NULL;
    PyArrayObject *array = pyadm_array_check_flat(value, "array", PYADM_REAL);
    if (array == NULL)
        return NULL;
    const int64_t n = PyArray_SIZE(array), count = adm_pieces(n, block);
    if (block < adm_block_length(n)) {
        PyErr_Format(PyExc_ValueError, "block must be at least %lld for %lld elements, got %lld",
                     (long long)adm_block_length(n), (long long)n, (long long)block);
        return NULL;
    }
    PyObject *squares = pyadm_array_new(NPY_FLOAT64, 1, &count);
    if (squares == NULL)
        return NULL;
    const adm_real *data = PyArray_DATA(array);
    double *sums = pyadm_array_data(squares);
    const int threads = pyadm_state_of_module(module)->threads;
    const adm_kernels *kernels = adm_kernels_select();
    PYADM_WITHOUT_GIL(adm_block_squares(kernels, data, n, block, sums, threads))
    return squares;
}

const char pyadm_add_doc[] =
    "add($module, total, array, /)\n--\n\n"
    "Add an array to another one of the same size, in place.\n\n"
    "Parameters\n----------\n"
    "total, array : ndarray\n    Of the module's dtype, C-contiguous; `total` writable.";

PyObject *pyadm_add(PyObject *module, PyObject *args)
{
    PyObject *total_value, *value;
    if (!PyArg_ParseTuple(args, "OO:add", &total_value, &value))
        return NULL;
    PyArrayObject *total = pyadm_array_check_flat(total_value, "total", PYADM_REAL);
    PyArrayObject *array = total == NULL ? NULL : pyadm_array_check_flat(value, "array", PYADM_REAL);
    if (array == NULL || PyArray_FailUnlessWriteable(total, "total") < 0)
        return NULL;
    const int64_t n = PyArray_SIZE(total);
    if (PyArray_SIZE(array) != n) {
        PyErr_Format(PyExc_ValueError, "array must have the size of total, %lld, got %lld", (long long)n,
                     (long long)PyArray_SIZE(array));
        return NULL;
    }
    adm_real *sums = PyArray_DATA(total);
    const adm_real *data = PyArray_DATA(array);
    if (sums < data + n && data < sums + n) {
        PyErr_SetString(PyExc_ValueError, "array must share no memory with total");
        return NULL;
    }
    const int threads = pyadm_state_of_module(module)->threads;
    PYADM_WITHOUT_GIL(adm_add(sums, data, n, threads))
    Py_RETURN_NONE;
}
