/* Optimizer: updates the trained parameters of a model from its gradients. */
#include <float.h>

#include "base/base.h"
#include "python/arguments.h"
#include "python/arrays.h"
#include "python/errors.h"
#include "python/optimizer.h"

#define MAX_STEP ((int64_t)1 << 53) /* exact as a double */

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
    *bytes = pyadm_moment_bytes(adm_optim_size_m(config, params)) +
             pyadm_moment_bytes(adm_optim_size_v(config, params));
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
    PyObject *handle = pyadm_moments_new(size_m, size_v, &made);
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

/* Makes the moments that so many weights of a model need, or checks those that are there. */
static int need_moments(optimizer *self, const adm_param_table *params, int64_t length, int threads)
{
    const int64_t all_m = adm_optim_size_m(&self->config, params),
                  all_v = adm_optim_size_v(&self->config, params);
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

/* The moments of tensors (NovoGrad's v) are made anew by every part from what they were before all; `before` has room for
   them. */
static adm_status step_parts(const step_call *call, const optimizer *self, const adm_optim_part *parts,
                             int count, adm_optim_state *state, adm_real *before, adm_error *error)
{
    const adm_optim_state old = *state;
    const bool of_tensors = self->config.kind == ADM_OPTIM_NOVOGRAD;
    const size_t bytes = of_tensors ? (size_t)self->moments->size_v * sizeof *before : 0;
    adm_status status = ADM_OK;
    if (of_tensors)
        memcpy(before, state->v, bytes);
    for (int i = 0; i < count && status == ADM_OK; i++) {
        const int64_t length = parts[i].end - parts[i].begin;
        if (of_tensors)
            memcpy(old.v, before, bytes);
        state->step = old.step;
        status = adm_optim_step_part(&self->config, &call->input, &parts[i], state, error);
        state->m = state->m == NULL ? NULL : state->m + length;
        state->v = state->v == NULL || of_tensors ? state->v : state->v + length;
    }
    return status;
}

int pyadm_step(optimizer *self, step_call *call, const adm_optim_part *parts, int count, double *norm)
{
    const pyadm_model *model = call->model;
    adm_optim_input *input = &call->input;
    input->kernels = adm_model_kernels(model->model);
    input->params = adm_model_params(model->model);
    input->weights = adm_model_weights(model->model);
    input->gradients = adm_model_gradients(model->model);
    if (input->gradients == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "model must have gradients, got one without: call backward first");
        return -1;
    }
    int64_t length = parts == NULL ? input->params->trained_length : 0;
    for (int i = 0; i < count; i++)
        length += parts[i].end - parts[i].begin;
    if (need_moments(self, input->params, length, input->threads) < 0)
        return -1;
    const bool of_tensors = self->config.kind == ADM_OPTIM_NOVOGRAD;
    adm_real *before = of_tensors ? PyMem_Calloc((size_t)self->moments->size_v, sizeof *before) : NULL;
    if (of_tensors && before == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    adm_optim_state state = {
        .step = self->step,
        .m = adm_optim_size_m(&self->config, input->params) > 0 ? self->moments->m : NULL,
        .v = adm_optim_size_v(&self->config, input->params) > 0 ? self->moments->v : NULL};
    adm_status status;
    adm_error error;
    PYADM_WITHOUT_GIL(status = parts == NULL ? adm_optim_step(&self->config, input, &state, norm, &error)
                                             : step_parts(call, self, parts, count, &state, before, &error))
    PyMem_Free(before);
    if (status != ADM_OK) {
        pyadm_raise(&error);
        return -1;
    }
    self->step = state.step;
    return 0;
}

int pyadm_step_begin(optimizer *self, PyObject *value, PyObject *lr, PyObject *scale, step_call *call)
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

void pyadm_step_end(optimizer *self, step_call *call)
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
        pyadm_step_begin(self, value, lr, scale, &call) < 0)
        return NULL;
    double norm = 0.0;
    const int status = pyadm_step(self, &call, NULL, 0, &norm);
    pyadm_step_end(self, &call);
    return status < 0 ? NULL : PyFloat_FromDouble(norm);
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
        self->handle = pyadm_moments_new(moment_size(given->m), moment_size(given->v), &self->moments);
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
    PYADM_KEYWORD_METHOD("part_squares", pyadm_optimizer_part_squares, pyadm_part_squares_doc),
    PYADM_KEYWORD_METHOD("step_part", pyadm_optimizer_step_part, pyadm_step_part_doc),
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
