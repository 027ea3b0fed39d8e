/* Methods that look into a model: its variance profile, the observations and activations of a pass. */
#include "python/arguments.h"
#include "python/arrays.h"
#include "python/errors.h"
#include "python/module.h"

static const char *const STACKS[] = {"encoder", "decoder", NULL};

/* ---- profile ---- */

static const char *const METHODS[] = {"clinic", "paper", NULL}; /* in the order of adm_profile_method */

/* The arguments that both profiles share. Values are borrowed; NULL: not given. */
typedef struct profile_values {
    PyObject *method, *dropout, *seed, *apply;
} profile_values;

typedef struct profile_options {
    adm_profile_method method;
    bool apply;
    adm_run run;
} profile_options;

static int read_options(PyObject *self, const profile_values *values, profile_options *options)
{
    const pyadm_state *state = pyadm_state_of(Py_TYPE(self));
    int method = ADM_PROFILE_CLINIC;
    if (state == NULL ||
        (values->method != NULL && pyadm_read_choice(values->method, "method", METHODS, &method) < 0))
        return -1;
    *options = (profile_options){.method = (adm_profile_method)method, .apply = true};
    options->run = (adm_run){.training = true, .threads = state->threads, .scale = 1.0};
    if (pyadm_read_optional_bool(values->dropout, "dropout", &options->run.training) < 0 ||
        pyadm_read_optional_uint64(values->seed, "seed", &options->run.seed) < 0 ||
        pyadm_read_optional_bool(values->apply, "apply", &options->apply) < 0)
        return -1;
    return 0;
}

/* A dict of three arrays [R] that *profile points into. */
static PyObject *profile_new(int64_t r, adm_profile *profile)
{
    const struct {
        const char *name;
        double **data;
    } columns[] = {
        {"omega", &profile->omega}, {"var_input", &profile->var_input}, {"var_branch", &profile->var_branch}};
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict != NULL && i < sizeof columns / sizeof *columns; i++) {
        PyObject *array = pyadm_array_new(NPY_FLOAT64, 1, &r);
        if (array != NULL)
            *columns[i].data = pyadm_array_data(array);
        if (pyadm_dict_put(dict, columns[i].name, array) < 0)
            Py_CLEAR(dict);
    }
    return dict;
}

const char pyadm_transformer_profile_doc[] =
    "profile($self, batch, *, method=\"clinic\", dropout=True, seed=0, apply=True)\n--\n\n"
    "Variances of every sub-layer and the omega they call for, in one forward pass.\n\n"
    "Parameters\n----------\n"
    "batch : Batch\n    What is read.\n"
    "method : {\"clinic\", \"paper\"}\n    How omega follows from the variances.\n"
    "dropout : bool\n    Whether dropout is on.\n"
    "seed : int\n    Of dropout.\n"
    "apply : bool\n    Whether omega of profiled sub-layers is set; if not, the model stays as it was.\n\n"
    "Returns\n-------\n"
    "dict\n    For each stack a dict of `omega`, `var_input` and `var_branch`, float64 [R].";

PyObject *pyadm_transformer_profile(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"batch", "method", "dropout", "seed", "apply", NULL};
    pyadm_model *self = (pyadm_model *)object;
    PyObject *value;
    profile_values values = {0};
    profile_options options;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|$OOOO:profile", names, &value, &values.method,
                                     &values.dropout, &values.seed, &values.apply) ||
        read_options(object, &values, &options) < 0)
        return NULL;
    const adm_batch *batch = pyadm_batch_get(pyadm_state_of(Py_TYPE(object)), value, "batch");
    if (batch == NULL)
        return NULL;
    PyObject *result = PyDict_New();
    adm_profile profiles[2] = {0};
    for (int stack = 0; result != NULL && stack < 2; stack++) {
        const int64_t r = adm_model_num_sublayers(self->model, stack);
        if (r > 0 && pyadm_dict_put(result, STACKS[stack], profile_new(r, &profiles[stack])) < 0)
            Py_CLEAR(result);
    }
    if (result == NULL || pyadm_enter(&self->user, object) < 0) {
        Py_XDECREF(result);
        return NULL;
    }
    adm_error error;
    adm_status status;
    PYADM_INTERRUPTIBLE(&options.run,
                        status = adm_model_profile(self->model, batch, &options.run, options.method,
                                                   options.apply, profiles, &error));
    pyadm_leave(&self->user);
    if (status == ADM_OK)
        return result;
    Py_DECREF(result);
    return pyadm_raise(&error);
}

const char pyadm_layer_profile_doc[] =
    "profile($self, x, lengths, memory=None, memory_lengths=None, *, method=\"clinic\", dropout=True, "
    "seed=0, "
    "apply=True)\n--\n\n"
    "Variances of every sub-layer and the omega they call for, in one forward pass.\n\n"
    "Parameters\n----------\n"
    "x, lengths, memory, memory_lengths : ndarray\n    As for `forward`.\n"
    "method : {\"clinic\", \"paper\"}\n    How omega follows from the variances.\n"
    "dropout : bool\n    Whether dropout is on.\n"
    "seed : int\n    Of dropout.\n"
    "apply : bool\n    Whether omega of profiled sub-layers is set; if not, the layer stays as it was.\n\n"
    "Returns\n-------\n"
    "dict\n    `omega`, `var_input` and `var_branch`, float64 [R].";

PyObject *pyadm_layer_profile(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"x",    "lengths", "memory", "memory_lengths", "method", "dropout",
                            "seed", "apply",   NULL};
    pyadm_model *self = (pyadm_model *)object;
    PyObject *x, *lengths, *memory = Py_None, *memory_lengths = Py_None;
    profile_values values = {0};
    profile_options options;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO|OO$OOOO:profile", names, &x, &lengths, &memory,
                                     &memory_lengths, &values.method, &values.dropout, &values.seed,
                                     &values.apply) ||
        read_options(object, &values, &options) < 0)
        return NULL;
    pyadm_hidden hidden;
    if (pyadm_hidden_read(self->model, x, lengths, memory, memory_lengths, &hidden) < 0)
        return NULL;
    adm_profile profile;
    const int stack = adm_model_num_sublayers(self->model, 0) > 0 ? 0 : 1;
    PyObject *result = profile_new(adm_model_num_sublayers(self->model, stack), &profile);
    if (result == NULL || pyadm_enter(&self->user, object) < 0) {
        Py_XDECREF(result);
        pyadm_hidden_free(&hidden);
        return NULL;
    }
    pyadm_layer_forget(object);
    adm_error error;
    adm_status status;
    PYADM_INTERRUPTIBLE(&options.run,
                        status = adm_model_profile_hidden(self->model, &hidden.input, &options.run,
                                                          options.method, options.apply, &profile, &error));
    pyadm_leave(&self->user);
    pyadm_hidden_free(&hidden);
    if (status == ADM_OK)
        return result;
    Py_DECREF(result);
    return pyadm_raise(&error);
}

/* ---- norms ---- */

const char pyadm_model_norms_doc[] =
    "norms($self, which, before=None)\n--\n\n"
    "Frobenius norm of every parameter, in the order of `parameters`.\n\n"
    "Parameters\n----------\n"
    "which : {\"weights\", \"gradients\"}\n    Whose norms.\n"
    "before : ndarray, [length]\n    What is subtracted first: a copy of the flat view `weights`.\n\n"
    "Returns\n-------\n"
    "ndarray, float64\n    Of the length of `parameters`.\n\n"
    "Raises\n------\n"
    "RuntimeError\n    There are no gradients yet.";

PyObject *pyadm_model_norms(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"which", "before", NULL};
    static const char *const choices[] = {"weights", "gradients", NULL};
    pyadm_model *self = (pyadm_model *)object;
    const pyadm_state *state = pyadm_state_of(Py_TYPE(object));
    const adm_param_table *params = adm_model_params(self->model);
    PyObject *which_value, *before_value = Py_None;
    int which = 0;
    if (state == NULL ||
        !PyArg_ParseTupleAndKeywords(args, keywords, "O|O:norms", names, &which_value, &before_value) ||
        pyadm_read_choice(which_value, "which", choices, &which) < 0)
        return NULL;
    const adm_real *values = which == 0 ? adm_model_weights(self->model) : adm_model_gradients(self->model);
    if (values == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "there are no gradients yet: they come with the first backward pass");
        return NULL;
    }
    const adm_real *before = NULL;
    if (before_value != Py_None) {
        PyArrayObject *array = pyadm_array_check(before_value, "before", PYADM_REAL, 1, &params->length);
        if (array == NULL)
            return NULL;
        before = PyArray_DATA(array);
    }
    PyObject *norms = pyadm_array_new(NPY_FLOAT64, 1, &params->count);
    if (norms == NULL || pyadm_enter(&self->user, object) < 0) {
        Py_XDECREF(norms);
        return NULL;
    }
    const int threads = state->threads;
    adm_error error;
    adm_status status;
    PYADM_WITHOUT_GIL(status =
                          adm_model_norms(params, values, before, pyadm_array_data(norms), threads, &error))
    pyadm_leave(&self->user);
    if (status == ADM_OK)
        return norms;
    Py_DECREF(norms);
    return pyadm_raise(&error);
}

/* ---- observations ---- */

const char pyadm_model_observations_doc[] = "observations($self, /)\n--\n\n"
                                            "Statistics of the last observed pass.\n\n"
                                            "Returns\n-------\n"
                                            "dict\n    For each stack a dict of `var_input` [R], "
                                            "`var_branch` [R] and `grad_norm` [R + 1], float64; the\n"
                                            "    gradient norms are 0 after a forward pass.\n\n"
                                            "Raises\n------\nRuntimeError\n    No pass has been observed.";

static PyObject *column(const double *values, int64_t length)
{
    PyObject *array = pyadm_array_new(NPY_FLOAT64, 1, &length);
    if (array != NULL)
        memcpy(pyadm_array_data(array), values, (size_t)length * sizeof *values);
    return array;
}

static PyObject *observation_dict(const adm_observation *seen)
{
    const int64_t r = seen->num_sublayers;
    PyObject *dict = PyDict_New();
    if (dict != NULL && (pyadm_dict_put(dict, "var_input", column(seen->var_input, r)) < 0 ||
                         pyadm_dict_put(dict, "var_branch", column(seen->var_branch, r)) < 0 ||
                         pyadm_dict_put(dict, "grad_norm", column(seen->grad_norm, r + 1)) < 0))
        Py_CLEAR(dict);
    return dict;
}

PyObject *pyadm_model_observations(PyObject *object, PyObject *ignored)
{
    (void)ignored;
    pyadm_model *self = (pyadm_model *)object;
    if (!self->observed) {
        PyErr_SetString(PyExc_RuntimeError, "no pass has been observed yet: give observe=True to one");
        return NULL;
    }
    if (pyadm_enter(&self->user, object) < 0)
        return NULL;
    PyObject *result = PyDict_New();
    for (int stack = 0; result != NULL && stack < 2; stack++) {
        const adm_observation seen = adm_model_observation(self->model, stack);
        if (seen.num_sublayers > 0 && pyadm_dict_put(result, STACKS[stack], observation_dict(&seen)) < 0)
            Py_CLEAR(result);
    }
    pyadm_leave(&self->user);
    return result;
}

/* ---- activations ---- */

const char pyadm_model_activation_doc[] =
    "activation($self, stack, index, site)\n--\n\n"
    "One activation of the last pass, which must have been observed.\n\n"
    "Parameters\n----------\n"
    "stack : {\"encoder\", \"decoder\"}\n    Which stack.\n"
    "index : int\n    Sub-layer, from 1 to R; 0 is the stack's input.\n"
    "site : {\"output\", \"branch\", \"normed\", \"sum\", \"end\", \"output_gradient\", "
    "\"branch_gradient\"}\n"
    "    x_i, a_i, what the branch read, y_i, the end of the stack (index R), or the gradients of x_i and\n"
    "    a_i, which a backward pass with keep_gradients keeps.\n\n"
    "Returns\n-------\nndarray, [M, D]\n    A copy.\n\n"
    "Raises\n------\n"
    "RuntimeError\n    The last pass was not observed.\n"
    "IndexError\n    There is no such sub-layer.\n"
    "ValueError\n    There is no such stack or site.";

PyObject *pyadm_model_activation(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"stack", "index", "site", NULL};
    /* in the order of adm_activation_site */
    static const char *const sites[] = {"output", "branch",          "normed",          "sum",
                                        "end",    "output_gradient", "branch_gradient", NULL};
    pyadm_model *self = (pyadm_model *)object;
    PyObject *stack_value, *index_value, *site_value;
    int stack = 0, site = 0;
    int64_t index = 0;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOO:activation", names, &stack_value, &index_value,
                                     &site_value) ||
        pyadm_read_choice(stack_value, "stack", STACKS, &stack) < 0 ||
        pyadm_read_int64(index_value, "index", INT64_MIN, INT64_MAX, &index) < 0 ||
        pyadm_read_choice(site_value, "site", sites, &site) < 0 || pyadm_enter(&self->user, object) < 0)
        return NULL;
    const int64_t shape[] = {adm_model_activation_rows(self->model, stack),
                             adm_model_config(self->model)->d_model};
    PyObject *result = pyadm_array_new(PYADM_REAL, 2, shape);
    adm_error error;
    adm_status status = ADM_OK;
    if (result != NULL)
        status = adm_model_activation(self->model, stack, index, (adm_activation_site)site,
                                      pyadm_array_data(result), &error);
    pyadm_leave(&self->user);
    if (status == ADM_OK)
        return result;
    Py_DECREF(result);
    return pyadm_raise(&error);
}
