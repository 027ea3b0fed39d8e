/* Methods of Transformer that follow its residual stream: where a sum comes from, how far it moves. */
#include "python/arguments.h"
#include "python/arrays.h"
#include "python/errors.h"
#include "python/module.h"

#define MAX_MEMORY ((int64_t)128 << 20) /* bytes of components, about, unless the caller says otherwise */

static const char *const STACKS[] = {"encoder", "decoder"};

static int64_t num_sublayers(const adm_model *model, int stack)
{
    const adm_config *config = adm_model_config(model);
    return adm_stack_num_sublayers(stack == 0 ? &config->encoder : &config->decoder);
}

/* Tokens that a stack reads of a batch that was checked. */
static int64_t num_tokens(const adm_model *model, int stack, const adm_batch *batch)
{
    if (stack == 1)
        return adm_model_num_outputs(model, batch);
    return batch->source.offsets[batch->source.count] - batch->source.offsets[0];
}

/* The batch, checked against the model; NULL with an exception. */
static const adm_batch *read_batch(pyadm_model *self, const pyadm_state *state, PyObject *value)
{
    const adm_batch *batch = state == NULL ? NULL : pyadm_batch_get(state, value, "batch");
    adm_error error;
    if (batch == NULL || adm_model_check_batch(self->model, batch, &error) == ADM_OK)
        return batch;
    pyadm_raise(&error);
    return NULL;
}

/* Puts a new float64 array into dict and points *data into it; 0 or -1. */
static int put_array(PyObject *dict, const char *name, int ndim, const int64_t *shape, double **data)
{
    PyObject *array = pyadm_array_new(NPY_FLOAT64, ndim, shape);
    if (array != NULL)
        *data = pyadm_array_data(array);
    return pyadm_dict_put(dict, name, array);
}

/* ---- dependency ---- */

const char pyadm_transformer_dependency_doc[] =
    "dependency($self, batch, *, max_memory=134217728, components=False)\n--\n\n"
    "What the sum of every sub-layer is made of, in one forward pass without dropout.\n\n"
    "Parameters\n----------\n"
    "batch : Batch\n    What is read.\n"
    "max_memory : int\n    Bytes for components, about; at least those of one sequence are needed.\n"
    "components : bool\n    Whether to return the components of the last sub-layer themselves.\n\n"
    "Returns\n-------\n"
    "dict\n    For each stack a dict of `variances` [R, R + 2], the mean over tokens of the variance over\n"
    "    features of component j of y_i: column 0 for x_0, j for branch j, R + 1 for biases of norms; "
    "`sums`\n"
    "    [R], the same of y_i; `predicted` [R], float64; `num_tokens`; with components also `last`\n"
    "    [M, R + 2, D], the components of y_R.\n\n"
    "Raises\n------\nValueError\n    A norm on the way of the residual is not linear (DyT).";

static PyObject *dependency_new(const adm_model *model, int stack, const adm_batch *batch, bool components,
                                adm_dependency *result)
{
    const int64_t r = num_sublayers(model, stack), shape[] = {r, r + 2};
    const int64_t last_shape[] = {num_tokens(model, stack, batch), r + 2, adm_model_config(model)->d_model};
    PyObject *dict = PyDict_New();
    if (dict == NULL || put_array(dict, "variances", 2, shape, &result->variances) < 0 ||
        put_array(dict, "sums", 1, shape, &result->sums) < 0 ||
        put_array(dict, "predicted", 1, shape, &result->predicted) < 0 ||
        pyadm_dict_put(dict, "num_tokens", PyLong_FromLongLong(last_shape[0])) < 0)
        Py_CLEAR(dict);
    if (dict == NULL || !components)
        return dict;
    PyObject *last = pyadm_array_new(PYADM_REAL, 3, last_shape);
    if (last != NULL)
        result->last = pyadm_array_data(last);
    if (pyadm_dict_put(dict, "last", last) < 0)
        Py_CLEAR(dict);
    return dict;
}

PyObject *pyadm_transformer_dependency(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"batch", "max_memory", "components", NULL};
    pyadm_model *self = (pyadm_model *)object;
    PyObject *value, *memory_value = NULL, *components_value = NULL;
    int64_t max_memory = MAX_MEMORY;
    bool components = false;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|$OO:dependency", names, &value, &memory_value,
                                     &components_value) ||
        (memory_value != NULL &&
         pyadm_read_int64(memory_value, "max_memory", 1, INT64_MAX, &max_memory) < 0) ||
        pyadm_read_optional_bool(components_value, "components", &components) < 0)
        return NULL;
    const pyadm_state *state = pyadm_state_of(Py_TYPE(object));
    const adm_batch *batch = read_batch(self, state, value);
    if (batch == NULL)
        return NULL;
    adm_run run = {.threads = state->threads, .scale = 1.0};
    adm_dependency results[2] = {0};
    PyObject *result = PyDict_New();
    for (int stack = 0; result != NULL && stack < 2; stack++)
        if (num_sublayers(self->model, stack) > 0 &&
            pyadm_dict_put(result, STACKS[stack],
                           dependency_new(self->model, stack, batch, components, &results[stack])) < 0)
            Py_CLEAR(result);
    if (result == NULL || pyadm_enter(&self->user, object) < 0) {
        Py_XDECREF(result);
        return NULL;
    }
    adm_error error;
    adm_status status;
    PYADM_INTERRUPTIBLE(&run, status = adm_model_dependency(self->model, batch, &run, max_memory, &results[0],
                                                            &results[1], &error));
    pyadm_leave(&self->user);
    if (status == ADM_OK)
        return result;
    Py_DECREF(result);
    return pyadm_raise(&error);
}

/* ---- output change ---- */

const char pyadm_transformer_output_change_doc[] =
    "output_change($self, other, batch)\n--\n\n"
    "How far the sums of every sub-layer of another model are from this one's, without dropout.\n\n"
    "Parameters\n----------\n"
    "other : Transformer\n    Another model of the same depths and width, such as one with other weights.\n"
    "batch : Batch\n    What both read.\n\n"
    "Returns\n-------\n"
    "dict\n    For each stack a dict of `change` [R], the mean over tokens of the squared distance of the\n"
    "    sums y_i, standardised over features; `var_branch` and `var_sum` [R], the mean over tokens of the\n"
    "    variance over features of this model's branches as they are added and of its y_i, float64;\n"
    "    `input_change`, as change, of x_0.\n\n"
    "Raises\n------\nValueError\n    The other model is this one, or of other sizes.";

static PyObject *change_new(const adm_model *model, int stack, adm_output_change *result)
{
    const int64_t r = num_sublayers(model, stack);
    PyObject *dict = PyDict_New();
    if (dict != NULL && (put_array(dict, "change", 1, &r, &result->change) < 0 ||
                         put_array(dict, "var_branch", 1, &r, &result->var_branch) < 0 ||
                         put_array(dict, "var_sum", 1, &r, &result->var_sum) < 0))
        Py_CLEAR(dict);
    return dict;
}

/* The other model of the pair; NULL with an exception. */
static pyadm_model *read_other(const pyadm_state *state, PyObject *self, PyObject *value)
{
    if (!PyObject_TypeCheck(value, state->transformer)) {
        PyErr_Format(PyExc_TypeError,
                     "other must be a Transformer of the same module, got an object of type %s",
                     Py_TYPE(value)->tp_name);
        return NULL;
    }
    if (value != self)
        return (pyadm_model *)value;
    PyErr_SetString(PyExc_ValueError, "other must be another model, got the model itself");
    return NULL;
}

PyObject *pyadm_transformer_output_change(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"other", "batch", NULL};
    pyadm_model *self = (pyadm_model *)object;
    PyObject *other_value, *value;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO:output_change", names, &other_value, &value))
        return NULL;
    const pyadm_state *state = pyadm_state_of(Py_TYPE(object));
    pyadm_model *other = state == NULL ? NULL : read_other(state, object, other_value);
    const adm_batch *batch = other == NULL ? NULL : read_batch(self, state, value);
    if (batch == NULL)
        return NULL;
    adm_run run = {.threads = state->threads, .scale = 1.0};
    adm_output_change results[2] = {{0}};
    PyObject *result = PyDict_New();
    for (int stack = 0; result != NULL && stack < 2; stack++)
        if (num_sublayers(self->model, stack) > 0 &&
            pyadm_dict_put(result, STACKS[stack], change_new(self->model, stack, &results[stack])) < 0)
            Py_CLEAR(result);
    if (result == NULL || pyadm_enter(&self->user, object) < 0) {
        Py_XDECREF(result);
        return NULL;
    }
    if (pyadm_enter(&other->user, other_value) < 0) {
        pyadm_leave(&self->user);
        Py_DECREF(result);
        return NULL;
    }
    adm_error error;
    adm_status status;
    PYADM_INTERRUPTIBLE(&run, status = adm_models_output_change(self->model, other->model, batch, &run,
                                                                &results[0], &results[1], &error));
    pyadm_leave(&self->user);
    pyadm_leave(&other->user);
    if (status != ADM_OK) {
        Py_DECREF(result);
        return pyadm_raise(&error);
    }
    for (int stack = 0; stack < 2; stack++) {
        PyObject *table = pyadm_dict_get(result, STACKS[stack]);
        if (table != NULL)
            pyadm_dict_put(table, "input_change", PyFloat_FromDouble(results[stack].input_change));
        if (PyErr_Occurred()) {
            Py_DECREF(result);
            return NULL;
        }
    }
    return result;
}
