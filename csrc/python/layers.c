/* EncoderLayer and DecoderLayer: one layer that reads hidden states, forward and backward. */
#include "python/arguments.h"
#include "python/arrays.h"
#include "python/config.h"
#include "python/errors.h"
#include "python/module.h"

typedef struct layer {
    pyadm_model base;
    adm_run run; /* of the last forward pass */
    bool ready;  /* the core keeps what backward reads of that pass */
    int64_t rows, memory_rows;
} layer;

static PyObject *layer_new(PyTypeObject *type, PyObject *args, PyObject *keywords, bool encoder)
{
    static char *names[] = {"config", "seed", NULL};
    PyObject *dict, *seed_value = NULL;
    uint64_t seed = 0;
    adm_config config;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, encoder ? "O|O:EncoderLayer" : "O|O:DecoderLayer", names,
                                     &dict, &seed_value) ||
        pyadm_read_optional_uint64(seed_value, "seed", &seed) < 0 || pyadm_config_read(dict, &config) < 0)
        return NULL;
    const adm_stack_config *present = encoder ? &config.encoder : &config.decoder;
    const adm_stack_config *other = encoder ? &config.decoder : &config.encoder;
    PyObject *self = NULL;
    if (config.vocab_size != 0)
        PyErr_Format(PyExc_ValueError, "vocab_size of a layer must be 0, got %lld",
                     (long long)config.vocab_size);
    else if (present->layers != 1 || other->layers != 0)
        PyErr_Format(PyExc_ValueError,
                     "a layer must have 1 layer in its %s and 0 in the other stack, got %lld and %lld",
                     encoder ? "encoder" : "decoder", (long long)present->layers, (long long)other->layers);
    else
        self = pyadm_model_new(type, &config, seed, true);
    pyadm_config_free(&config);
    return self;
}

static PyObject *encoder_layer_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    return layer_new(type, args, keywords, true);
}

static PyObject *decoder_layer_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    return layer_new(type, args, keywords, false);
}

void pyadm_layer_forget(PyObject *self)
{
    ((layer *)self)->ready = false;
}

/* ---- hidden states ---- */

/* Offsets [B + 1] of sequences whose lengths add up to rows; NULL with an exception. */
static int64_t *offsets_of(PyArrayObject *lengths, const char *name, int64_t rows, int64_t longest)
{
    const int64_t count = PyArray_DIM(lengths, 0);
    const int64_t *given = PyArray_DATA(lengths);
    if (count == 0) {
        PyErr_Format(PyExc_ValueError, "%s must name at least one sequence, got none", name);
        return NULL;
    }
    int64_t *offsets = PyMem_New(int64_t, (size_t)count + 1);
    if (offsets == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    offsets[0] = 0;
    for (int64_t b = 0; b < count; b++) {
        const int64_t length = given[b];
        if (length < 1 || length > longest) {
            PyErr_Format(PyExc_ValueError, "%s[%lld] must be from 1 to max_length=%lld, got %lld", name,
                         (long long)b, (long long)longest, (long long)length);
            goto failed;
        }
        if (length > rows - offsets[b]) {
            PyErr_Format(PyExc_ValueError, "%s must add up to the number of rows, %lld, got more", name,
                         (long long)rows);
            goto failed;
        }
        offsets[b + 1] = offsets[b] + length;
    }
    if (offsets[count] == rows)
        return offsets;
    PyErr_Format(PyExc_ValueError, "%s must add up to the number of rows, %lld, got %lld", name,
                 (long long)rows, (long long)offsets[count]);
failed:
    PyMem_Free(offsets);
    return NULL;
}

/* Hidden states as they were given, and what is read of them. */
typedef struct states {
    const char *name, *lengths_name;
    PyObject *given, *lengths;
    const adm_real *x; /* [rows, D] */
    int64_t rows;
    int64_t count;    /* of sequences, or PYADM_ANY before that is read */
    int64_t *offsets; /* [count + 1], to be freed */
} states;

/* 0, or -1 with an exception */
static int read_states(const adm_config *config, states *read)
{
    const int64_t shape[] = {PYADM_ANY, config->d_model};
    PyArrayObject *x = pyadm_array_check(read->given, read->name, PYADM_REAL, 2, shape);
    if (x == NULL)
        return -1;
    PyArrayObject *lengths = pyadm_array_check(read->lengths, read->lengths_name, NPY_INT64, 1, &read->count);
    if (lengths == NULL)
        return -1;
    read->x = PyArray_DATA(x);
    read->rows = PyArray_DIM(x, 0);
    read->count = PyArray_DIM(lengths, 0);
    read->offsets = offsets_of(lengths, read->lengths_name, read->rows, config->max_length);
    return read->offsets == NULL ? -1 : 0;
}

int pyadm_hidden_read(const adm_model *model, PyObject *x, PyObject *lengths, PyObject *memory,
                      PyObject *memory_lengths, pyadm_hidden *hidden)
{
    const adm_config *config = adm_model_config(model);
    const bool cross = config->decoder.layers > 0 && config->decoder.cross;
    *hidden = (pyadm_hidden){0};
    if (cross && (memory == Py_None || memory_lengths == Py_None)) {
        PyErr_SetString(PyExc_ValueError,
                        "memory and memory_lengths must be given: the layer has cross-attention");
        return -1;
    }
    if (!cross && (memory != Py_None || memory_lengths != Py_None)) {
        PyErr_SetString(PyExc_ValueError,
                        "memory and memory_lengths must be None: the layer has no cross-attention");
        return -1;
    }
    states read = {
        .name = "x", .lengths_name = "lengths", .given = x, .lengths = lengths, .count = PYADM_ANY};
    if (read_states(config, &read) < 0)
        return -1;
    hidden->rows = read.rows;
    hidden->offsets = read.offsets;
    hidden->input = (adm_hidden){.x = read.x, .offsets = read.offsets, .count = read.count};
    if (!cross)
        return 0;
    states remembered = {.name = "memory",
                         .lengths_name = "memory_lengths",
                         .given = memory,
                         .lengths = memory_lengths,
                         .count = read.count};
    if (read_states(config, &remembered) < 0) {
        pyadm_hidden_free(hidden);
        return -1;
    }
    hidden->memory_rows = remembered.rows;
    hidden->memory_offsets = remembered.offsets;
    hidden->input.memory = remembered.x;
    hidden->input.memory_offsets = remembered.offsets;
    return 0;
}

void pyadm_hidden_free(pyadm_hidden *hidden)
{
    PyMem_Free(hidden->offsets);
    PyMem_Free(hidden->memory_offsets);
}

/* ---- forward ---- */

PyDoc_STRVAR(
    forward_doc,
    "forward($self, x, lengths, memory=None, memory_lengths=None, *, training=False, step=0, observe=False)"
    "\n--\n\n"
    "Hidden states of the layer's end; keeps what `backward` reads.\n\n"
    "Parameters\n----------\n"
    "x : ndarray, [M, D]\n    Hidden states, sequence after sequence.\n"
    "lengths : ndarray of int64, [B]\n    Lengths of the sequences, M in all.\n"
    "memory, memory_lengths : ndarray, optional\n    The same of what cross-attention reads.\n"
    "training : bool\n    Whether dropout is on.\n"
    "step : int\n    Step that dropout's random numbers are drawn for.\n"
    "observe : bool\n    Whether to keep statistics for `observations`.\n\n"
    "Returns\n-------\nndarray, [M, D]");

static PyObject *layer_forward(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"x", "lengths", "memory", "memory_lengths", "training", "step", "observe", NULL};
    layer *self = (layer *)object;
    const pyadm_state *state = pyadm_state_of(Py_TYPE(object));
    PyObject *x, *lengths, *memory = Py_None, *memory_lengths = Py_None, *training = NULL, *step = NULL;
    PyObject *observe = NULL;
    if (state == NULL ||
        !PyArg_ParseTupleAndKeywords(args, keywords, "OO|OO$OOO:forward", names, &x, &lengths, &memory,
                                     &memory_lengths, &training, &step, &observe))
        return NULL;
    adm_run run = {.seed = self->base.seed, .threads = state->threads, .scale = 1.0};
    pyadm_hidden hidden;
    if (pyadm_read_optional_bool(training, "training", &run.training) < 0 ||
        pyadm_read_optional_uint64(step, "step", &run.step) < 0 ||
        pyadm_read_optional_bool(observe, "observe", &run.observe) < 0 ||
        pyadm_hidden_read(self->base.model, x, lengths, memory, memory_lengths, &hidden) < 0)
        return NULL;
    const int64_t shape[] = {hidden.rows, adm_model_config(self->base.model)->d_model};
    PyObject *result = pyadm_array_new(PYADM_REAL, 2, shape);
    if (result == NULL || pyadm_enter(&self->base.user, object) < 0) {
        Py_XDECREF(result);
        pyadm_hidden_free(&hidden);
        return NULL;
    }
    self->ready = false;
    adm_real *data = pyadm_array_data(result);
    adm_error error;
    adm_status status;
    PYADM_INTERRUPTIBLE(
        &run, status = adm_model_forward_hidden(self->base.model, &hidden.input, &run, data, &error));
    pyadm_leave(&self->base.user);
    pyadm_hidden_free(&hidden);
    if (status != ADM_OK) {
        Py_DECREF(result);
        return pyadm_raise(&error);
    }
    self->ready = true;
    self->run = run;
    self->rows = hidden.rows;
    self->memory_rows = hidden.memory_rows;
    self->base.observed |= run.observe;
    return result;
}

/* ---- backward ---- */

PyDoc_STRVAR(
    backward_doc,
    "backward($self, dy, *, accumulate=False)\n--\n\n"
    "Gradients of the last forward pass: fills those of the parameters, returns those of the inputs.\n\n"
    "Parameters\n----------\n"
    "dy : ndarray, [M, D]\n    Gradient of the forward pass's result.\n"
    "accumulate : bool\n    Add to the gradients of the parameters instead of replacing them.\n\n"
    "Returns\n-------\n"
    "ndarray, [M, D]; with cross-attention a pair: dx, dmemory\n\n"
    "Raises\n------\nRuntimeError\n    There was no forward pass to go back through.");

static PyObject *backward_result(const layer *self, PyObject *dx, PyObject *dmemory)
{
    return self->memory_rows > 0 ? PyTuple_Pack(2, dx, dmemory) : Py_NewRef(dx);
}

static PyObject *layer_backward(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"dy", "accumulate", NULL};
    layer *self = (layer *)object;
    const pyadm_state *state = pyadm_state_of(Py_TYPE(object));
    PyObject *value, *accumulate = NULL, *result = NULL;
    bool adding = false;
    if (state == NULL ||
        !PyArg_ParseTupleAndKeywords(args, keywords, "O|$O:backward", names, &value, &accumulate) ||
        pyadm_read_optional_bool(accumulate, "accumulate", &adding) < 0 ||
        pyadm_enter(&self->base.user, object) < 0)
        return NULL;
    const int64_t d = adm_model_config(self->base.model)->d_model;
    const int64_t shape[] = {self->rows, d}, memory_shape[] = {self->memory_rows, d};
    PyObject *dx = NULL, *dmemory = NULL;
    if (!self->ready) {
        PyErr_SetString(PyExc_RuntimeError,
                        "backward must come after a forward pass, got none to go back through");
        goto leave;
    }
    const PyArrayObject *dy = pyadm_array_check(value, "dy", PYADM_REAL, 2, shape);
    if (dy == NULL || (dx = pyadm_array_new(PYADM_REAL, 2, shape)) == NULL ||
        (dmemory = pyadm_array_new(PYADM_REAL, 2, memory_shape)) == NULL)
        goto leave;
    const adm_real *dy_data = PyArray_DATA((PyArrayObject *)dy);
    adm_real *dx_data = pyadm_array_data(dx);
    adm_real *dmemory_data = self->memory_rows > 0 ? pyadm_array_data(dmemory) : NULL;
    adm_run run = self->run;
    run.threads = state->threads;
    run.accumulate = adding;
    adm_error error;
    adm_status status;
    PYADM_INTERRUPTIBLE(&run, status = adm_model_backward_hidden(self->base.model, dy_data, &run, dx_data,
                                                                 dmemory_data, &error));
    result = status == ADM_OK ? backward_result(self, dx, dmemory) : pyadm_raise(&error);
leave:
    pyadm_leave(&self->base.user);
    Py_XDECREF(dx);
    Py_XDECREF(dmemory);
    return result;
}

/* ---- the types ---- */

static PyMethodDef layer_methods[] = {
    PYADM_KEYWORD_METHOD("forward", layer_forward, forward_doc),
    PYADM_KEYWORD_METHOD("backward", layer_backward, backward_doc),
    PYADM_KEYWORD_METHOD("profile", pyadm_layer_profile, pyadm_layer_profile_doc),
    {NULL, NULL, 0, NULL},
};

#define LAYER_DOC                                                                                            \
    "Parameters\n----------\n"                                                                               \
    "config : dict\n    A configuration with vocab_size 0, one layer in this stack and none in the other.\n" \
    "seed : int\n    Of the first weights and of dropout, from 0 to 2**64 - 1."

PyDoc_STRVAR(encoder_layer_doc, "EncoderLayer(config, seed=0)\n--\n\n"
                                "One encoder layer: self-attention and feed-forward.\n\n" LAYER_DOC);
PyDoc_STRVAR(decoder_layer_doc,
             "DecoderLayer(config, seed=0)\n--\n\n"
             "One decoder layer: self-attention, cross-attention if it has one, feed-forward."
             "\n\n" LAYER_DOC);

static PyType_Slot encoder_layer_slots[] = {
    {Py_tp_doc, (void *)encoder_layer_doc},
    {Py_tp_new, encoder_layer_new},
    {Py_tp_methods, layer_methods},
    {0, NULL},
};

static PyType_Slot decoder_layer_slots[] = {
    {Py_tp_doc, (void *)decoder_layer_doc},
    {Py_tp_new, decoder_layer_new},
    {Py_tp_methods, layer_methods},
    {0, NULL},
};

PyType_Spec pyadm_encoder_layer_spec = {
    .name = ADM_MODULE_NAME ".EncoderLayer",
    .basicsize = sizeof(layer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = encoder_layer_slots,
};

PyType_Spec pyadm_decoder_layer_spec = {
    .name = ADM_MODULE_NAME ".DecoderLayer",
    .basicsize = sizeof(layer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = decoder_layer_slots,
};
