/* Optimizer: updates the trained parameters of a model from its gradients. */
#include <float.h>

#include "base/base.h"
#include "python/arguments.h"
#include "python/arrays.h"
#include "python/errors.h"
#include "python/module.h"

#define MAX_STEP ((int64_t)1 << 53) /* exact as a double */

static const char MOMENTS_NAME[] = "admin_py.moments";

/* One block: m, then v. Owned by a capsule that is the base of their views. */
typedef struct moments {
    adm_real *m, *v;
    int64_t size_m, size_v;
    void *block;
    size_t bytes;
} moments;

typedef struct optimizer {
    PyObject_HEAD PyObject *handle; /* capsule of the moments; NULL before the first step */
    PyObject *weakrefs;
    adm_optim_config config;
    moments *moments; /* the capsule's, or NULL */
    int64_t step;     /* updates made */
    pid_t user;       /* as of pyadm_model */
} optimizer;

static void free_moments(PyObject *handle)
{
    moments *self = PyCapsule_GetPointer(handle, MOMENTS_NAME);
    adm_release(self->block, self->bytes);
    PyMem_Free(self);
}

static size_t aligned_bytes(int64_t elements)
{
    return ((size_t)elements * sizeof(adm_real) + ADM_ALIGN - 1) / ADM_ALIGN * ADM_ALIGN;
}

/* A capsule of zeroed moments; *result is what it owns, unchanged where there is no capsule. */
static PyObject *moments_new(int64_t size_m, int64_t size_v, moments **result)
{
    moments *self = PyMem_Calloc(1, sizeof *self);
    if (self == NULL)
        return PyErr_NoMemory();
    self->size_m = size_m;
    self->size_v = size_v;
    self->bytes = aligned_bytes(size_m) + aligned_bytes(size_v);
    self->block = adm_alloc(self->bytes > 0 ? self->bytes : ADM_ALIGN);
    if (self->block == NULL) {
        PyMem_Free(self);
        PyErr_Format(PyExc_MemoryError, "no memory for %lld and %lld moments", (long long)size_m,
                     (long long)size_v);
        return NULL;
    }
    self->m = self->block;
    self->v = (adm_real *)((char *)self->block + aligned_bytes(size_m));
    PyObject *handle = PyCapsule_New(self, MOMENTS_NAME, free_moments);
    if (handle == NULL) {
        adm_release(self->block, self->bytes);
        PyMem_Free(self);
        return NULL;
    }
    *result = self;
    return handle;
}

/* ---- making ---- */

static int read_config(PyObject *const values[6], adm_optim_config *config)
{
    static const char *const kinds[] = {"sgd",   "adam",     "adamw",
                                        "radam", "novograd", NULL}; /* as adm_optim_kind */
    int kind = 0;
    if (pyadm_read_choice(values[0], "kind", kinds, &kind) < 0 ||
        pyadm_read_optional_real(values[1], "beta1", -DBL_MAX, DBL_MAX, &config->beta1) < 0 ||
        pyadm_read_optional_real(values[2], "beta2", -DBL_MAX, DBL_MAX, &config->beta2) < 0 ||
        pyadm_read_optional_real(values[3], "eps", -DBL_MAX, DBL_MAX, &config->eps) < 0 ||
        pyadm_read_optional_real(values[4], "weight_decay", -DBL_MAX, DBL_MAX, &config->weight_decay) < 0 ||
        pyadm_read_optional_bool(values[5], "nesterov", &config->nesterov) < 0)
        return -1;
    config->kind = (adm_optim_kind)kind;
    adm_error error;
    if (adm_optim_check(config, &error) == ADM_OK)
        return 0;
    pyadm_raise(&error);
    return -1;
}

static PyObject *optimizer_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"kind", "beta1", "beta2", "eps", "weight_decay", "nesterov", NULL};
    PyObject *values[6] = {NULL};
    adm_optim_config config = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|$OOOOO:Optimizer", names, &values[0], &values[1],
                                     &values[2], &values[3], &values[4], &values[5]) ||
        read_config(values, &config) < 0)
        return NULL;
    optimizer *self = (optimizer *)type->tp_alloc(type, 0);
    if (self != NULL)
        self->config = config;
    return (PyObject *)self;
}

static int optimizer_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self)); /* the handle refers to nothing */
    return 0;
}

static void optimizer_dealloc(PyObject *object)
{
    optimizer *self = (optimizer *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(object);
    Py_CLEAR(self->handle);
    type->tp_free(object);
    Py_DECREF(type);
}

static const char *kind_name(const optimizer *self)
{
    static const char *const names[] = {"sgd", "adam", "adamw", "radam", "novograd"};
    return names[self->config.kind];
}

static PyObject *optimizer_repr(PyObject *object)
{
    const optimizer *self = (optimizer *)object;
    return PyUnicode_FromFormat("<%s \"%s\" after %lld steps, " ADM_DTYPE_NAME ">", Py_TYPE(object)->tp_name,
                                kind_name(self), (long long)self->step);
}

int pyadm_optimizer_bytes(const pyadm_state *state, PyObject *value, const adm_param_table *params,
                          size_t *bytes)
{
    if (!PyObject_TypeCheck(value, state->optimizer))
        return pyadm_refuse(PyExc_TypeError, "optimizer", "an Optimizer or None", value);
    const adm_optim_config *config = &((optimizer *)value)->config;
    *bytes =
        aligned_bytes(adm_optim_size_m(config, params)) + aligned_bytes(adm_optim_size_v(config, params));
    return 0;
}

/* ---- step ---- */

/* They are zero, but their memory has not been used yet, which takes a while where there is much of it. */
static adm_status zero_moments(const moments *made, const adm_run *run, adm_error *error)
{
    adm_zero(made->block, (int64_t)(made->bytes / sizeof(adm_real)), run->threads, run->stop);
    return adm_stop_status(run->stop, error);
}

/* Where a signal's handler raises there are none. */
static int make_moments(optimizer *self, int64_t size_m, int64_t size_v, int threads)
{
    moments *made;
    PyObject *handle = moments_new(size_m, size_v, &made);
    if (handle == NULL)
        return -1;
    adm_run run = {.threads = threads};
    adm_error error;
    adm_status status;
    PYADM_INTERRUPTIBLE(&run, status = zero_moments(made, &run, &error));
    if (status != ADM_OK) {
        Py_DECREF(handle);
        pyadm_raise(&error);
        return -1;
    }
    self->moments = made;
    self->handle = handle;
    return 0;
}

/* Makes the moments that a part of a model needs, or checks those that are there. */
static int need_moments(optimizer *self, const adm_param_table *params, const adm_optim_part *part,
                        int threads)
{
    const int64_t all_m = adm_optim_size_m(&self->config, params),
                  all_v = adm_optim_size_v(&self->config, params), length = part->end - part->begin;
    const int64_t size_m = adm_min(all_m, length),
                  size_v = self->config.kind == ADM_OPTIM_NOVOGRAD ? all_v : adm_min(all_v, length);
    if (self->handle == NULL)
        return make_moments(self, size_m, size_v, threads);
    if (self->moments->size_m == size_m && self->moments->size_v == size_v)
        return 0;
    PyErr_Format(PyExc_ValueError,
                 "model must be the one that the optimizer's state belongs to, got one that needs "
                 "%lld and %lld moments where the state has %lld and %lld",
                 (long long)size_m, (long long)size_v, (long long)self->moments->size_m,
                 (long long)self->moments->size_v);
    return -1;
}

/* An update of all, or of a part; both objects are marked busy. -1 with an error. */
static int update(optimizer *self, pyadm_model *model, adm_optim_input *input, const adm_optim_part *part,
                  double *norm)
{
    input->kernels = adm_model_kernels(model->model);
    input->params = adm_model_params(model->model);
    input->weights = adm_model_weights(model->model);
    input->gradients = adm_model_gradients(model->model);
    if (input->gradients == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "model must have gradients, got one without: call backward first");
        return -1;
    }
    const adm_optim_part all = {.end = input->params->trained_length};
    if (need_moments(self, input->params, part == NULL ? &all : part, input->threads) < 0)
        return -1;
    adm_optim_state state = {
        .step = self->step,
        .m = adm_optim_size_m(&self->config, input->params) > 0 ? self->moments->m : NULL,
        .v = adm_optim_size_v(&self->config, input->params) > 0 ? self->moments->v : NULL};
    adm_status status;
    adm_error error;
    PYADM_WITHOUT_GIL(status = part == NULL ? adm_optim_step(&self->config, input, &state, norm, &error)
                                            : adm_optim_step_part(&self->config, input, part, &state, &error))
    if (status != ADM_OK) {
        pyadm_raise(&error);
        return -1;
    }
    self->step = state.step;
    return 0;
}

/* What a step is given in Python; both objects are marked busy between begin and end. */
typedef struct step_call {
    pyadm_model *model;
    adm_optim_input input;
} step_call;

static int begin_step(optimizer *self, PyObject *value, PyObject *lr, PyObject *scale, step_call *call)
{
    const pyadm_state *state = pyadm_state_of(Py_TYPE(self));
    call->input = (adm_optim_input){.grad_scale = 1.0};
    if (state == NULL || (lr != NULL && pyadm_read_real(lr, "lr", 0.0, DBL_MAX, &call->input.lr) < 0) ||
        pyadm_read_optional_real(scale, "grad_scale", -DBL_MAX, DBL_MAX, &call->input.grad_scale) < 0)
        return -1;
    if (!PyObject_TypeCheck(value, state->model)) {
        PyErr_Format(PyExc_TypeError,
                     "model must be a Transformer or a layer of " ADM_MODULE_NAME ", got an object "
                     "of type %s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    call->model = (pyadm_model *)value;
    call->input.threads = state->threads;
    if (pyadm_enter(&self->user, (PyObject *)self) < 0)
        return -1;
    if (pyadm_enter(&call->model->user, value) == 0)
        return 0;
    pyadm_leave(&self->user);
    return -1;
}

static void end_step(optimizer *self, step_call *call)
{
    pyadm_leave(&call->model->user);
    pyadm_leave(&self->user);
}

PyDoc_STRVAR(step_doc, "step($self, model, lr, grad_scale=1.0)\n--\n\n"
                       "One update of the trained parameters from the gradients.\n\n"
                       "Parameters\n----------\n"
                       "model : Transformer, EncoderLayer or DecoderLayer\n    Of the same module.\n"
                       "lr : float\n    Learning rate, at least 0.\n"
                       "grad_scale : float\n    Factor on the gradients, for clipping.\n\n"
                       "Returns\n-------\nfloat\n    Euclidean norm of the change of the weights.\n\n"
                       "Raises\n------\n"
                       "ValueError\n    The state belongs to a model of another size.\n"
                       "RuntimeError\n    The model has no gradients, or another thread is using it.");

static PyObject *optimizer_step(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"model", "lr", "grad_scale", NULL};
    optimizer *self = (optimizer *)object;
    PyObject *value, *lr, *scale = NULL;
    step_call call;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO|O:step", names, &value, &lr, &scale) ||
        begin_step(self, value, lr, scale, &call) < 0)
        return NULL;
    double norm = 0.0;
    const int status = update(self, call.model, &call.input, NULL, &norm);
    end_step(self, &call);
    return status < 0 ? NULL : PyFloat_FromDouble(norm);
}

/* ---- parts ---- */

static int read_part(PyObject *begin, PyObject *end, adm_optim_part *part)
{
    *part = (adm_optim_part){0};
    return pyadm_read_int64(begin, "begin", 0, INT64_MAX, &part->begin) < 0 ||
                   pyadm_read_int64(end, "end", 0, INT64_MAX, &part->end) < 0
               ? -1
               : 0;
}

PyDoc_STRVAR(
    part_squares_doc,
    "part_squares($self, model, begin, end)\n--\n\n"
    "What `step_part` of NovoGrad needs to know of all parts: their sum, element by element.\n\n"
    "Parameters\n----------\n"
    "model : Transformer, EncoderLayer or DecoderLayer\n"
    "begin, end : int\n    Of the part, as for `step_part`.\n\n"
    "Returns\n-------\nndarray of float64\n    Squared norms of what each tensor has in each block.");

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

static PyObject *optimizer_part_squares(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"model", "begin", "end", NULL};
    optimizer *self = (optimizer *)object;
    PyObject *value, *begin, *end;
    step_call call;
    adm_optim_part part;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOO:part_squares", names, &value, &begin, &end) ||
        read_part(begin, end, &part) < 0 || begin_step(self, value, NULL, NULL, &call) < 0)
        return NULL;
    PyObject *found = squares_of(&call, &part);
    end_step(self, &call);
    return found;
}

PyDoc_STRVAR(
    step_part_doc,
    "step_part($self, model, lr, grad_scale, begin, end, squares=None)\n--\n\n"
    "The part of a step that one of several processes makes; the moments are those of the part.\n\n"
    "Parameters\n----------\n"
    "model, lr, grad_scale\n    As for `step`.\n"
    "begin, end : int\n    Elements of the flat buffers: multiples of ``block_length`` of those that "
    "are trained, or their end.\n"
    "squares : ndarray of float64, optional\n    Of NovoGrad: `part_squares` of all parts, added."
    "\n\nReturns\n-------\nndarray of float64\n    Squared norms of the change, of each block.\n\n"
    "Raises\n------\n"
    "ValueError\n    The bounds are no blocks', or the state belongs to another part.\n"
    "RuntimeError\n    The model has no gradients, or another thread is using it.");

/* The squares of all parts, checked against the model; NULL without an exception where there are none. */
static const double *read_squares(PyObject *value, const pyadm_model *model)
{
    const int64_t count = adm_num_squares(adm_model_params(model->model));
    if (value == NULL || value == Py_None)
        return NULL;
    PyArrayObject *array = pyadm_array_check(value, "squares", NPY_FLOAT64, 1, &count);
    return array == NULL ? NULL : PyArray_DATA(array);
}

static PyObject *step_part(optimizer *self, step_call *call, adm_optim_part *part, PyObject *squares)
{
    const int64_t block = adm_block_length(adm_model_params(call->model->model)->trained_length),
                  count = part->end < part->begin ? 0 : adm_pieces(part->end - part->begin, block);
    adm_error error;
    part->squares = read_squares(squares, call->model);
    if (PyErr_Occurred())
        return NULL;
    if (adm_part_check(adm_model_params(call->model->model), part, &error) != ADM_OK)
        return pyadm_raise(&error);
    PyObject *changes = pyadm_array_new(NPY_FLOAT64, 1, &count);
    if (changes == NULL)
        return NULL;
    part->changes = pyadm_array_data(changes);
    if (update(self, call->model, &call->input, part, NULL) == 0)
        return changes;
    Py_DECREF(changes);
    return NULL;
}

static PyObject *optimizer_step_part(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"model", "lr", "grad_scale", "begin", "end", "squares", NULL};
    optimizer *self = (optimizer *)object;
    PyObject *value, *lr, *scale, *begin, *end, *squares = NULL;
    step_call call;
    adm_optim_part part;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOOOO|O:step_part", names, &value, &lr, &scale, &begin,
                                     &end, &squares) ||
        read_part(begin, end, &part) < 0 || begin_step(self, value, lr, scale, &call) < 0)
        return NULL;
    PyObject *changes = step_part(self, &call, &part, squares);
    end_step(self, &call);
    return changes;
}

/* ---- state ---- */

static PyObject *moment_view(const optimizer *self, adm_real *values, int64_t size)
{
    if (size == 0)
        Py_RETURN_NONE;
    return pyadm_array_view(self->handle, PYADM_REAL, 1, &size, values, true);
}

static PyObject *optimizer_state(PyObject *object, void *ignored)
{
    (void)ignored;
    const optimizer *self = (optimizer *)object;
    static const moments none = {0};
    const moments *held = self->moments == NULL ? &none : self->moments;
    PyObject *dict = PyDict_New();
    if (dict != NULL && (pyadm_dict_put(dict, "step", PyLong_FromLongLong(self->step)) < 0 ||
                         pyadm_dict_put(dict, "m", moment_view(self, held->m, held->size_m)) < 0 ||
                         pyadm_dict_put(dict, "v", moment_view(self, held->v, held->size_v)) < 0))
        Py_CLEAR(dict);
    return dict;
}

/* A state that was given: arrays are borrowed from a dict of the binding's own, or None. */
typedef struct given_state {
    int64_t step;
    PyObject *m, *v;
} given_state;

static int check_moment(PyObject *value, const char *name, bool needed, int64_t step, int64_t held)
{
    if (value == Py_None) {
        if (!needed || step == 0)
            return 0;
        PyErr_Format(PyExc_ValueError, "%s must be an array after %lld steps, got None", name,
                     (long long)step);
        return -1;
    }
    if (!needed) {
        PyErr_Format(PyExc_ValueError, "%s must be None: this optimizer keeps none", name);
        return -1;
    }
    return pyadm_array_check(value, name, PYADM_REAL, 1, &held) == NULL ? -1 : 0;
}

/* Reads and checks all that a dict says, before anything is changed. */
static int read_state(const optimizer *self, PyObject *dict, given_state *given)
{
    PyObject *step = pyadm_dict_get(dict, "step");
    given->m = step == NULL ? NULL : pyadm_dict_get(dict, "m");
    given->v = given->m == NULL ? NULL : pyadm_dict_get(dict, "v");
    if (PyErr_Occurred())
        return -1;
    if (PyDict_GET_SIZE(dict) != 3 || given->v == NULL) {
        PyErr_SetString(PyExc_ValueError, "state must have exactly the keys \"step\", \"m\" and \"v\"");
        return -1;
    }
    if (pyadm_read_int64(step, "step", 0, MAX_STEP, &given->step) <
        0) /* may run code: what is held is read after */
        return -1;
    const adm_param_table one = {.count = 1, .length = 1, .trained_length = 1, .num_parameters = 1};
    const bool needs_m = adm_optim_size_m(&self->config, &one) > 0,
               needs_v = adm_optim_size_v(&self->config, &one) > 0;
    const moments *held = self->moments;
    if (check_moment(given->m, "m", needs_m, given->step, held == NULL ? PYADM_ANY : held->size_m) < 0 ||
        check_moment(given->v, "v", needs_v, given->step, held == NULL ? PYADM_ANY : held->size_v) < 0)
        return -1;
    if (needs_m && needs_v && (given->m == Py_None) != (given->v == Py_None)) {
        PyErr_SetString(PyExc_ValueError, "m and v must both be arrays or both be None");
        return -1;
    }
    return 0;
}

static void copy_moment(adm_real *to, PyObject *from, int64_t size)
{
    if (from == Py_None)
        memset(to, 0, (size_t)size * sizeof *to);
    else
        memmove(to, pyadm_array_data(from),
                (size_t)size * sizeof *to); /* may be a view of the state itself */
}

static int64_t moment_size(PyObject *value)
{
    return value == Py_None ? 0 : (int64_t)PyArray_SIZE((PyArrayObject *)value);
}

PyDoc_STRVAR(load_state_doc,
             "load_state($self, state, /)\n--\n\n"
             "Take the place of another optimizer, as its `state` says.\n\n"
             "Parameters\n----------\n"
             "state : dict\n    \"step\", and \"m\" and \"v\": arrays of the module's dtype, or None.\n\n"
             "Raises\n------\n"
             "TypeError, ValueError\n    A key is missing, or a value has a wrong type, dtype or shape.");

static int take_state(optimizer *self, const given_state *given)
{
    const bool empty = given->m == Py_None && given->v == Py_None;
    if (self->handle == NULL && !empty) {
        self->handle = moments_new(moment_size(given->m), moment_size(given->v), &self->moments);
        if (self->handle == NULL)
            return -1;
    }
    if (self->handle != NULL) {
        copy_moment(self->moments->m, given->m, self->moments->size_m);
        copy_moment(self->moments->v, given->v, self->moments->size_v);
    }
    self->step = given->step;
    return 0;
}

static PyObject *optimizer_load_state(PyObject *object, PyObject *value)
{
    optimizer *self = (optimizer *)object;
    if (!PyDict_Check(value)) {
        PyErr_Format(PyExc_TypeError, "state must be a dict, got an object of type %s",
                     Py_TYPE(value)->tp_name);
        return NULL;
    }
    PyObject *dict = PyDict_Copy(value); /* the caller's could change while it is read */
    if (dict == NULL)
        return NULL;
    given_state given;
    int status = read_state(self, dict, &given);
    if (status == 0 && (status = pyadm_enter(&self->user, object)) == 0) {
        status = take_state(self, &given);
        pyadm_leave(&self->user);
    }
    Py_DECREF(dict);
    if (status < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef optimizer_methods[] = {
    PYADM_KEYWORD_METHOD("step", optimizer_step, step_doc),
    PYADM_KEYWORD_METHOD("part_squares", optimizer_part_squares, part_squares_doc),
    PYADM_KEYWORD_METHOD("step_part", optimizer_step_part, step_part_doc),
    {"load_state", optimizer_load_state, METH_O, load_state_doc},
    PYADM_REDUCE_METHOD,
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef optimizer_attributes[] = {
    {"state", optimizer_state, NULL,
     "\"step\", the updates made, and \"m\" and \"v\", views of the moments; None where there are none "
     "(yet).",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef optimizer_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(optimizer, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(optimizer_doc,
             "Optimizer(kind, *, beta1=0.9, beta2=0.999, eps=1e-08, weight_decay=0.0, nesterov=False)\n--\n\n"
             "Updates the trained parameters of a model from its gradients.\n\n"
             "Parameters\n----------\n"
             "kind : {\"sgd\", \"adam\", \"adamw\", \"radam\", \"novograd\"}\n    The rule.\n"
             "beta1, beta2 : float\n    Decay of the moments, in [0, 1); of SGD beta1 is the momentum.\n"
             "eps : float\n    Added to the root of the second moment, above 0.\n"
             "weight_decay : float\n    At least 0.\n"
             "nesterov : bool\n    Of SGD with momentum.");

static PyType_Slot optimizer_slots[] = {
    {Py_tp_doc, (void *)optimizer_doc},
    {Py_tp_new, optimizer_new},
    {Py_tp_dealloc, optimizer_dealloc},
    {Py_tp_traverse, optimizer_traverse},
    {Py_tp_repr, optimizer_repr},
    {Py_tp_methods, optimizer_methods},
    {Py_tp_getset, optimizer_attributes},
    {Py_tp_members, optimizer_members},
    {0, NULL},
};

PyType_Spec pyadm_optimizer_spec = {
    .name = ADM_MODULE_NAME ".Optimizer",
    .basicsize = sizeof(optimizer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = optimizer_slots,
};
