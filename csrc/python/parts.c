/* Methods of Optimizer for trainings that several processes share: updates of parts. */
#include "base/base.h"
#include "python/arguments.h"
#include "python/arrays.h"
#include "python/errors.h"
#include "python/optimizer.h"

static int read_part(PyObject *begin, PyObject *end, adm_optim_part *part)
{
    *part = (adm_optim_part){0};
    return pyadm_read_int64(begin, "begin", 0, INT64_MAX, &part->begin) < 0 ||
                   pyadm_read_int64(end, "end", 0, INT64_MAX, &part->end) < 0
               ? -1
               : 0;
}

const char pyadm_part_squares_doc[] =
    "part_squares($self, model, begin, end)\n--\n\n"
    "What `step_part` of NovoGrad needs to know of all parts: their sum, element by element.\n\n"
    "Parameters\n----------\n"
    "model : Transformer, EncoderLayer or DecoderLayer\n"
    "begin, end : int\n    Of the part, as for `step_part`.\n\n"
    "Returns\n-------\nndarray of float64\n    Squared norms of what each tensor has in each block.";

static PyObject *squares_of(const step_call *call, const adm_optim_part *part)
{
    adm_optim_input input = call->input;
    input.kernels = adm_model_kernels(call->model->model);
    input.params = adm_model_params(call->model->model);
    input.gradients = adm_model_gradients(call->model->model);
    if (input.gradients == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "model must have gradients: call backward first");
        return NULL;
    }
    const int64_t count = adm_num_squares(input.params);
    PyObject *found = pyadm_array_new(NPY_FLOAT64, 1, &count);
    adm_status status = ADM_OK;
    adm_error error;
    if (found == NULL)
        return NULL;
    PYADM_WITHOUT_GIL(status = adm_part_squares(&input, part, pyadm_array_data(found), &error))
    if (status == ADM_OK)
        return found;
    Py_DECREF(found);
    return pyadm_raise(&error);
}

PyObject *pyadm_optimizer_part_squares(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"model", "begin", "end", NULL};
    optimizer *self = (optimizer *)object;
    PyObject *value, *begin, *end;
    step_call call;
    adm_optim_part part;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOO:part_squares", names, &value, &begin, &end) ||
        read_part(begin, end, &part) < 0 || pyadm_step_begin(self, value, NULL, NULL, &call) < 0)
        return NULL;
    PyObject *found = squares_of(&call, &part);
    pyadm_step_end(self, &call);
    return found;
}

const char pyadm_step_part_doc[] =
    "step_part($self, model, lr, grad_scale, bounds, squares=None)\n--\n\n"
    "The part of a step that one of several processes makes; the moments are those of the part.\n\n"
    "Parameters\n----------\n"
    "model, lr, grad_scale\n    As for `step`.\n"
    "bounds : tuple of int\n    Where ranges of the flat buffers begin and end, in their order: from 1 to 8 "
    "ranges of "
    "multiples of\n    ``block_length`` of what is trained, or its end.\n"
    "squares : ndarray of float64, optional\n    Of NovoGrad: `part_squares` of all parts, added."
    "\n\nReturns\n-------\nndarray of float64\n    Squared norms of the change, of each block.\n\n"
    "Raises\n------\n"
    "ValueError\n    The bounds are no blocks', or the state belongs to another part.\n"
    "RuntimeError\n    The model has no gradients, or another thread is using it.";

#define MAX_RANGES 8

typedef struct ranges {
    adm_optim_part parts[MAX_RANGES];
    int count;
} ranges;

static int read_ranges(PyObject *bounds, ranges *found)
{
    if (!PyTuple_Check(bounds))
        return pyadm_refuse(PyExc_TypeError, "bounds", "a tuple of int", bounds);
    const Py_ssize_t length = PyTuple_GET_SIZE(bounds);
    if (length == 0 || length % 2 != 0 || length > 2 * MAX_RANGES)
        return pyadm_refuse(PyExc_ValueError, "bounds", "from 1 to 8 pairs, one after the other", bounds);
    found->count = (int)(length / 2);
    for (int i = 0; i < found->count; i++)
        if (read_part(PyTuple_GET_ITEM(bounds, 2 * i), PyTuple_GET_ITEM(bounds, 2 * i + 1),
                      &found->parts[i]) < 0)
            return -1;
    return 0;
}

/* Ranges in order, of whole blocks of the model; how many blocks they have, -1 with an exception. */
static int64_t check_ranges(const ranges *found, const adm_param_table *params)
{
    const int64_t block = adm_block_length(params->trained_length);
    int64_t end = 0, blocks = 0;
    adm_error error;
    for (int i = 0; i < found->count; i++) {
        const adm_optim_part *part = &found->parts[i];
        if (adm_part_check(params, part, &error) != ADM_OK) {
            pyadm_raise(&error);
            return -1;
        }
        if (part->begin < end) {
            PyErr_Format(PyExc_ValueError, "bounds must be in order, got a range from %lld after one to %lld",
                         (long long)part->begin, (long long)end);
            return -1;
        }
        end = part->end;
        blocks += adm_pieces(part->end - part->begin, block);
    }
    return blocks;
}

/* The squares of all parts, checked against the model; NULL without an exception where there are none. */
static const double *read_squares(PyObject *value, const pyadm_model *model)
{
    const int64_t count = adm_num_squares(adm_model_params(model->model));
    if (value == NULL || value == Py_None)
        return NULL;
    PyArrayObject *array = pyadm_array_check(value, "squares", NPY_FLOAT64, 1, &count);
    return array == NULL ? NULL : PyArray_DATA(array);
}

static PyObject *step_part(optimizer *self, step_call *call, ranges *found, PyObject *squares)
{
    const adm_param_table *params = adm_model_params(call->model->model);
    const double *of_all = read_squares(squares, call->model);
    if (PyErr_Occurred())
        return NULL;
    const int64_t block = adm_block_length(params->trained_length), count = check_ranges(found, params);
    PyObject *changes = count < 0 ? NULL : pyadm_array_new(NPY_FLOAT64, 1, &count);
    if (changes == NULL)
        return NULL;
    double *place = pyadm_array_data(changes);
    for (int i = 0; i < found->count; i++) {
        adm_optim_part *part = &found->parts[i];
        part->squares = of_all;
        part->changes = place;
        place += adm_pieces(part->end - part->begin, block);
    }
    if (pyadm_step(self, call, found->parts, found->count, NULL) == 0)
        return changes;
    Py_DECREF(changes);
    return NULL;
}

PyObject *pyadm_optimizer_step_part(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"model", "lr", "grad_scale", "bounds", "squares", NULL};
    optimizer *self = (optimizer *)object;
    PyObject *value, *lr, *scale, *bounds, *squares = NULL;
    step_call call;
    ranges found;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOOO|O:step_part", names, &value, &lr, &scale, &bounds,
                                     &squares) ||
        read_ranges(bounds, &found) < 0 || pyadm_step_begin(self, value, lr, scale, &call) < 0)
        return NULL;
    PyObject *changes = step_part(self, &call, &found, squares);
    pyadm_step_end(self, &call);
    return changes;
}
