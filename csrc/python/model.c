/* Model: what Transformer, EncoderLayer and DecoderLayer have in common - the parameters and their gradients. */
#include "python/arguments.h"
#include "python/arrays.h"
#include "python/errors.h"
#include "python/module.h"

static const char HANDLE_NAME[] = "admin_py.model";

static void free_model(PyObject *handle)
{
    adm_model_free(PyCapsule_GetPointer(handle, HANDLE_NAME));
}

/* seed NULL: nothing is drawn, all weights are 0 */
static adm_status make_model(const adm_config *config, const adm_kernels *kernels, const uint64_t *seed,
                             const adm_run *run, adm_model **model, adm_error *error)
{
    adm_status status = adm_model_create(config, kernels, model, error);
    if (status == ADM_OK && seed != NULL)
        status = adm_model_init_weights(*model, *seed, run->threads, run->stop, error);
    if (status != ADM_OK) {
        adm_model_free(*model);
        *model = NULL;
    }
    return status;
}

PyObject *pyadm_model_new(PyTypeObject *type, const adm_config *config, uint64_t seed, bool draw)
{
    const pyadm_state *state = pyadm_state_of(type);
    if (state == NULL)
        return NULL;
    adm_run run = {.threads = state->threads};
    const adm_kernels *kernels = adm_kernels_select();
    adm_model *model = NULL;
    adm_error error;
    adm_status status;
    PYADM_INTERRUPTIBLE(&run,
                        status = make_model(config, kernels, draw ? &seed : NULL, &run, &model, &error));
    if (status != ADM_OK)
        return pyadm_raise(&error);
    PyObject *handle = PyCapsule_New(model, HANDLE_NAME, free_model);
    if (handle == NULL) {
        adm_model_free(model);
        return NULL;
    }
    pyadm_model *self = (pyadm_model *)type->tp_alloc(type, 0);
    if (self == NULL) {
        Py_DECREF(handle);
        return NULL;
    }
    self->handle = handle;
    self->model = model;
    self->seed = seed;
    return (PyObject *)self;
}

static PyObject *model_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    (void)args;
    (void)keywords;
    PyErr_Format(PyExc_TypeError, "%s is made as a Transformer, an EncoderLayer or a DecoderLayer",
                 type->tp_name);
    return NULL;
}

static int model_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self)); /* the handle refers to nothing */
    return 0;
}

static void model_dealloc(PyObject *object)
{
    pyadm_model *self = (pyadm_model *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(object);
    Py_CLEAR(self->handle);
    type->tp_free(object);
    Py_DECREF(type);
}

/* ---- parameters ---- */

static PyObject *views_of(pyadm_model *self, adm_real *values)
{
    const adm_param_table *params = adm_model_params(self->model);
    PyObject *views = PyDict_New();
    for (int64_t i = 0; views != NULL && i < params->count; i++) {
        const adm_param *param = &params->items[i];
        PyObject *view = pyadm_array_view(self->handle, PYADM_REAL, param->ndim, param->shape,
                                          values + param->offset, true);
        if (pyadm_dict_put(views, param->name, view) < 0)
            Py_CLEAR(views);
    }
    return views;
}

/* The gradients, allocated now if need be; NULL with an exception. */
static adm_real *need_gradients(pyadm_model *self)
{
    if (pyadm_enter(&self->user, (PyObject *)self) < 0)
        return NULL;
    adm_error error;
    const adm_status status = adm_model_need_gradients(self->model, &error);
    pyadm_leave(&self->user);
    if (status == ADM_OK)
        return adm_model_gradients(self->model);
    pyadm_raise(&error);
    return NULL;
}

static PyObject *flat_view(pyadm_model *self, adm_real *values)
{
    return pyadm_array_view(self->handle, PYADM_REAL, 1, &adm_model_params(self->model)->length, values,
                            true);
}

static PyObject *model_parameters(PyObject *object, void *ignored)
{
    (void)ignored;
    pyadm_model *self = (pyadm_model *)object;
    return views_of(self, adm_model_weights(self->model));
}

static PyObject *model_gradients(PyObject *object, void *ignored)
{
    (void)ignored;
    adm_real *gradients = need_gradients((pyadm_model *)object);
    return gradients == NULL ? NULL : views_of((pyadm_model *)object, gradients);
}

static PyObject *model_weights(PyObject *object, void *ignored)
{
    (void)ignored;
    return flat_view((pyadm_model *)object, adm_model_weights(((pyadm_model *)object)->model));
}

static PyObject *model_gradient_buffer(PyObject *object, void *ignored)
{
    (void)ignored;
    adm_real *gradients = need_gradients((pyadm_model *)object);
    return gradients == NULL ? NULL : flat_view((pyadm_model *)object, gradients);
}

static PyObject *model_trained(PyObject *object, void *ignored)
{
    (void)ignored;
    const adm_param_table *params = adm_model_params(((pyadm_model *)object)->model);
    int64_t count = 0;
    for (int64_t i = 0; i < params->count; i++)
        count += params->items[i].trained;
    PyObject *names = PyTuple_New((Py_ssize_t)count);
    Py_ssize_t position = 0;
    for (int64_t i = 0; names != NULL && i < params->count; i++) {
        if (!params->items[i].trained)
            continue;
        PyObject *name = PyUnicode_FromString(params->items[i].name);
        if (name == NULL)
            Py_CLEAR(names);
        else
            PyTuple_SET_ITEM(names, position++, name);
    }
    return names;
}

static PyObject *model_trained_length(PyObject *object, void *ignored)
{
    (void)ignored;
    return PyLong_FromLongLong(adm_model_params(((pyadm_model *)object)->model)->trained_length);
}

static PyObject *model_num_parameters(PyObject *object, void *ignored)
{
    (void)ignored;
    return PyLong_FromLongLong(adm_model_params(((pyadm_model *)object)->model)->num_parameters);
}

static PyObject *model_memory(PyObject *object, void *ignored)
{
    (void)ignored;
    const adm_memory memory = adm_model_memory(((pyadm_model *)object)->model);
    return Py_BuildValue("{s:n,s:n,s:n}", "weights", (Py_ssize_t)memory.weights, "gradients",
                         (Py_ssize_t)memory.gradients, "activations", (Py_ssize_t)memory.activations);
}

static PyObject *model_timings(PyObject *object, void *ignored)
{
    (void)ignored;
    pyadm_model *self = (pyadm_model *)object;
    double seconds[ADM_WORK_KINDS];
    if (pyadm_enter(&self->user, object) < 0)
        return NULL;
    adm_model_work_seconds(self->model, seconds); /* some lie in the arena, which a pass may replace */
    pyadm_leave(&self->user);
    return Py_BuildValue("{s:d,s:d,s:d,s:d}", "products", seconds[ADM_WORK_PRODUCTS], "attention",
                         seconds[ADM_WORK_ATTENTION], "rows", seconds[ADM_WORK_ROWS], "loss",
                         seconds[ADM_WORK_LOSS]);
}

static PyObject *model_get_seed(PyObject *object, void *ignored)
{
    (void)ignored;
    return PyLong_FromUnsignedLongLong(((pyadm_model *)object)->seed);
}

static int model_set_seed(PyObject *object, PyObject *value, void *ignored)
{
    (void)ignored;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "seed cannot be deleted");
        return -1;
    }
    return pyadm_read_uint64(value, "seed", &((pyadm_model *)object)->seed);
}

static PyObject *model_repr(PyObject *object)
{
    const adm_param_table *params = adm_model_params(((pyadm_model *)object)->model);
    return PyUnicode_FromFormat("<%s of %lld parameters, " ADM_DTYPE_NAME ">", Py_TYPE(object)->tp_name,
                                (long long)params->num_parameters);
}

/* ---- methods ---- */

PyDoc_STRVAR(init_weights_doc,
             "init_weights($self, seed, /)\n--\n\n"
             "Draw all weights anew. A signal whose handler raises ends it: some are drawn then.\n\n"
             "Parameters\n----------\nseed : int\n    From 0 to 2**64 - 1.");

static PyObject *model_init_weights(PyObject *object, PyObject *value)
{
    pyadm_model *self = (pyadm_model *)object;
    uint64_t seed = 0;
    const pyadm_state *state = pyadm_state_of(Py_TYPE(object));
    if (state == NULL || pyadm_read_uint64(value, "seed", &seed) < 0 || pyadm_enter(&self->user, object) < 0)
        return NULL;
    adm_run run = {.threads = state->threads};
    adm_error error;
    adm_status status;
    PYADM_INTERRUPTIBLE(&run,
                        status = adm_model_init_weights(self->model, seed, run.threads, run.stop, &error));
    pyadm_leave(&self->user);
    if (status != ADM_OK)
        return pyadm_raise(&error);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(find_nonfinite_doc,
             "find_nonfinite($self, which, /)\n--\n\n"
             "Name of the first parameter with an element that is not finite, or None.\n\n"
             "Parameters\n----------\nwhich : {\"weights\", \"gradients\"}\n    Where to look.\n\n"
             "Raises\n------\nRuntimeError\n    There are no gradients yet.");

static PyObject *model_find_nonfinite(PyObject *object, PyObject *value)
{
    static const char *const choices[] = {"weights", "gradients", NULL};
    pyadm_model *self = (pyadm_model *)object;
    int which = 0;
    if (pyadm_read_choice(value, "which", choices, &which) < 0)
        return NULL;
    const adm_real *values = which == 0 ? adm_model_weights(self->model) : adm_model_gradients(self->model);
    if (values == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "there are no gradients yet: they come with the first backward pass");
        return NULL;
    }
    if (pyadm_enter(&self->user, object) < 0)
        return NULL;
    const adm_param_table *params = adm_model_params(self->model);
    int64_t index;
    PYADM_WITHOUT_GIL(index = adm_find_nonfinite(params, values))
    pyadm_leave(&self->user);
    if (index < 0)
        Py_RETURN_NONE;
    return PyUnicode_FromString(params->items[index].name);
}

static PyMethodDef model_methods[] = {
    {"init_weights", model_init_weights, METH_O, init_weights_doc},
    {"find_nonfinite", model_find_nonfinite, METH_O, find_nonfinite_doc},
    {"observations", pyadm_model_observations, METH_NOARGS, pyadm_model_observations_doc},
    PYADM_KEYWORD_METHOD("activation", pyadm_model_activation, pyadm_model_activation_doc),
    PYADM_KEYWORD_METHOD("norms", pyadm_model_norms, pyadm_model_norms_doc),
    PYADM_REDUCE_METHOD,
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef model_attributes[] = {
    {"parameters", model_parameters, NULL,
     "All parameters by name, in the table's order: views that write through.", NULL},
    {"gradients", model_gradients, NULL, "Gradients by name: views, allocated at first use.", NULL},
    {"weights", model_weights, NULL, "All parameters as one flat view [length], trained ones first.", NULL},
    {"gradient_buffer", model_gradient_buffer, NULL, "All gradients as one flat view [length].", NULL},
    {"trained", model_trained, NULL, "Names of the trained parameters.", NULL},
    {"trained_length", model_trained_length, NULL, "Elements of the flat views that are trained, with gaps.",
     NULL},
    {"num_parameters", model_num_parameters, NULL, "Number of trained elements.", NULL},
    {"memory", model_memory, NULL, "Bytes held: a dict of weights, gradients and activations.", NULL},
    {"timings", model_timings, NULL,
     "Seconds that all threads together spent on each kind of work, in all passes so far: a dict of "
     "products,\n"
     "attention, rows and loss.",
     NULL},
    {"seed", model_get_seed, model_set_seed, "Seed of dropout, an integer from 0 to 2**64 - 1.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef model_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(pyadm_model, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(model_doc, "What Transformer, EncoderLayer and DecoderLayer have in common.");

static PyType_Slot model_slots[] = {
    {Py_tp_doc, (void *)model_doc},   {Py_tp_new, model_new},         {Py_tp_dealloc, model_dealloc},
    {Py_tp_traverse, model_traverse}, {Py_tp_repr, model_repr},       {Py_tp_methods, model_methods},
    {Py_tp_getset, model_attributes}, {Py_tp_members, model_members}, {0, NULL},
};

PyType_Spec pyadm_model_spec = {
    .name = ADM_MODULE_NAME ".Model",
    .basicsize = sizeof(pyadm_model),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = model_slots,
};
