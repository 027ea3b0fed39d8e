/* Transformer: forward, loss and backward over packed batches. */
#include <errno.h>
#include <float.h>
#include <limits.h>
#include <unistd.h>

#include "python/arguments.h"
#include "python/arrays.h"
#include "python/config.h"
#include "python/errors.h"
#include "python/module.h"

static PyObject *transformer_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"config", "seed", "draw", NULL};
    PyObject *dict, *seed_value = NULL, *draw_value = NULL;
    uint64_t seed = 0;
    bool draw = true;
    adm_config config;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|OO:Transformer", names, &dict, &seed_value,
                                     &draw_value) ||
        pyadm_read_optional_uint64(seed_value, "seed", &seed) < 0 ||
        pyadm_read_optional_bool(draw_value, "draw", &draw) < 0 || pyadm_config_read(dict, &config) < 0)
        return NULL;
    PyObject *self = NULL;
    if (config.vocab_size == 0)
        PyErr_SetString(PyExc_ValueError, "vocab_size must be at least 1, got 0 (layers without "
                                          "embeddings are EncoderLayer and DecoderLayer)");
    else
        self = pyadm_model_new(type, &config, seed, draw);
    pyadm_config_free(&config);
    return self;
}

/* The arguments that passes share. Values are borrowed; NULL: not given. */
typedef struct pass_values {
    PyObject *batch, *label_smoothing, *training, *step, *accumulate, *scale, *observe, *keep_gradients;
    PyObject *segment_layers, *z_loss;
} pass_values;

/* Checks all arguments of a pass, the batch against the model included. The batch, or NULL with an exception. */
static const adm_batch *read_pass(pyadm_model *self, const pass_values *values, adm_run *run)
{
    const pyadm_state *state = pyadm_state_of(Py_TYPE(self));
    if (state == NULL)
        return NULL;
    run->seed = self->seed;
    run->threads = state->threads;
    run->scale = 1.0;
    const adm_batch *batch = pyadm_batch_get(state, values->batch, "batch");
    if (batch == NULL || pyadm_read_optional_bool(values->training, "training", &run->training) < 0 ||
        pyadm_read_optional_uint64(values->step, "step", &run->step) < 0 ||
        pyadm_read_optional_real(values->label_smoothing, "label_smoothing", 0.0, 1.0,
                                 &run->label_smoothing) < 0 ||
        pyadm_read_optional_real(values->z_loss, "z_loss", 0.0, DBL_MAX, &run->z_loss) < 0 ||
        pyadm_read_optional_bool(values->accumulate, "accumulate", &run->accumulate) < 0 ||
        pyadm_read_optional_real(values->scale, "scale", -DBL_MAX, DBL_MAX, &run->scale) < 0 ||
        pyadm_read_optional_bool(values->observe, "observe", &run->observe) < 0 ||
        pyadm_read_optional_bool(values->keep_gradients, "keep_gradients", &run->keep_gradients) < 0 ||
        (values->segment_layers != NULL &&
         pyadm_read_int64(values->segment_layers, "segment_layers", ADM_SEGMENTS_AUTO, INT32_MAX,
                          &run->segment_layers) < 0))
        return NULL;
    adm_error error;
    if (adm_model_check_batch(self->model, batch, &error) == ADM_OK)
        return batch;
    pyadm_raise(&error);
    return NULL;
}

PyDoc_STRVAR(
    forward_doc,
    "forward($self, batch, *, training=False, step=0, observe=False)\n--\n\n"
    "Logits of every position that is predicted.\n\n"
    "Parameters\n----------\n"
    "batch : Batch\n    What is read.\n"
    "training : bool\n    Whether dropout is on.\n"
    "step : int\n    Step that dropout's random numbers are drawn for.\n"
    "observe : bool\n    Whether to keep statistics and activations for `observations` and `activation`.\n\n"
    "Returns\n-------\n"
    "ndarray, [M, V]; of an encoder hidden states [M, D]\n\n"
    "Raises\n------\n"
    "IndexError\n    A token id is not in the vocabulary.\n"
    "ValueError\n    A sequence is too short or too long, or the target that the model reads is missing.\n"
    "RuntimeError\n    Another thread is using the model.");

static PyObject *transformer_forward(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"batch", "training", "step", "observe", NULL};
    pyadm_model *self = (pyadm_model *)object;
    pass_values values = {0};
    adm_run run = {0};
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|$OOO:forward", names, &values.batch, &values.training,
                                     &values.step, &values.observe))
        return NULL;
    const adm_batch *batch = read_pass(self, &values, &run);
    if (batch == NULL)
        return NULL;
    const adm_config *config = adm_model_config(self->model);
    const int64_t shape[] = {adm_model_num_outputs(self->model, batch),
                             config->decoder.layers > 0 ? config->vocab_size : config->d_model};
    PyObject *result = pyadm_array_new(PYADM_REAL, 2, shape);
    if (result == NULL)
        return NULL;
    if (pyadm_enter(&self->user, object) < 0) {
        Py_DECREF(result);
        return NULL;
    }
    adm_real *data = pyadm_array_data(result);
    adm_error error;
    adm_status status;
    PYADM_INTERRUPTIBLE(&run, status = adm_model_forward(self->model, batch, &run, data, &error));
    pyadm_leave(&self->user);
    if (status == ADM_OK) {
        self->observed |= run.observe;
        return result;
    }
    Py_DECREF(result);
    return pyadm_raise(&error);
}

static PyObject *loss_tuple(const adm_loss *loss)
{
    return Py_BuildValue("(ddL)", loss->loss, loss->nll, (long long)loss->num_tokens);
}

PyDoc_STRVAR(loss_doc,
             "loss($self, batch, *, label_smoothing=0.0, training=False, step=0, z_loss=0.0)\n--\n\n"
             "Cross-entropy, in nats, mean over the predicted tokens.\n\n"
             "Parameters\n----------\n"
             "batch : Batch\n    What is read and predicted.\n"
             "label_smoothing : float\n    Probability mass spread over all of the vocabulary, from 0 to 1.\n"
             "training : bool\n    Whether dropout is on.\n"
             "step : int\n    Step that dropout's random numbers are drawn for.\n"
             "z_loss : float\n    Coefficient of log(sum of e^logits)^2, which is added to the loss of every "
             "token.\n\n"
             "Returns\n-------\n"
             "(loss, nll, num_tokens) : tuple of float, float, int\n    Smoothed and with z-loss, without "
             "both, predicted "
             "tokens.");

static PyObject *transformer_loss(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"batch", "label_smoothing", "training", "step", "z_loss", NULL};
    pyadm_model *self = (pyadm_model *)object;
    pass_values values = {0};
    adm_run run = {0};
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|$OOOO:loss", names, &values.batch,
                                     &values.label_smoothing, &values.training, &values.step, &values.z_loss))
        return NULL;
    const adm_batch *batch = read_pass(self, &values, &run);
    if (batch == NULL || pyadm_enter(&self->user, object) < 0)
        return NULL;
    adm_loss loss;
    adm_error error;
    adm_status status;
    PYADM_INTERRUPTIBLE(&run, status = adm_model_loss(self->model, batch, &run, &loss, &error));
    pyadm_leave(&self->user);
    return status == ADM_OK ? loss_tuple(&loss) : pyadm_raise(&error);
}

PyDoc_STRVAR(
    backward_doc,
    "backward($self, batch, *, label_smoothing=0.0, training=True, step=0, accumulate=False, scale=1.0, "
    "observe=False, keep_gradients=False, segment_layers=0, z_loss=0.0, ready=-1)\n--\n\n"
    "Forward and backward pass: fills the gradients of the loss.\n\n"
    "Parameters\n----------\n"
    "batch : Batch\n    What is read and predicted.\n"
    "label_smoothing : float\n    Probability mass spread over all of the vocabulary, from 0 to 1.\n"
    "training : bool\n    Whether dropout is on.\n"
    "step : int\n    Step that dropout's random numbers are drawn for.\n"
    "accumulate : bool\n    Add to the gradients instead of replacing them. Of a pass that a signal's "
    "handler ends "
    "all are\n    zero, those that were added up before it, too.\n"
    "scale : float\n    Factor on the loss whose gradient is taken.\n"
    "observe : bool\n    Whether to keep statistics and activations for `observations` and `activation`.\n"
    "keep_gradients : bool\n    With observe: whether `activation` may be asked for gradients too.\n"
    "segment_layers : int\n    0 keeps the activations of all layers; n keeps those at the ends of segments "
    "of n\n"
    "    layers only and computes the others again, segment by segment; -1: n is about the root of the\n"
    "    layers. Gradients are the same bits; observe then gives `observations` but no `activation`.\n"
    "z_loss : float\n    As for `loss`.\n"
    "ready : int\n    A file descriptor that gets a byte, 1, once the gradients of the decoder's layers are "
    "whole, "
    "while\n    those of the encoder are still computed; -1: none.\n\n"
    "Returns\n-------\n"
    "(loss, nll, num_tokens) : tuple of float, float, int\n    As `loss`; not scaled.");

/* The interpreter's lock is not held. */
static void tell_ready(void *context)
{
    const char done = 1;
    while (write(*(const int *)context, &done, 1) < 0 && errno == EINTR)
        continue;
}

static PyObject *transformer_backward(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"batch",   "label_smoothing", "training",       "step",   "accumulate", "scale",
                            "observe", "keep_gradients",  "segment_layers", "z_loss", "ready",      NULL};
    pyadm_model *self = (pyadm_model *)object;
    pass_values values = {0};
    PyObject *ready = NULL;
    int64_t descriptor = -1;
    adm_run run = {.training = true};
    if (!PyArg_ParseTupleAndKeywords(
            args, keywords, "O|$OOOOOOOOOO:backward", names, &values.batch, &values.label_smoothing,
            &values.training, &values.step, &values.accumulate, &values.scale, &values.observe,
            &values.keep_gradients, &values.segment_layers, &values.z_loss, &ready) ||
        (ready != NULL && pyadm_read_int64(ready, "ready", -1, INT_MAX, &descriptor) < 0))
        return NULL;
    int number = (int)descriptor;
    if (number >= 0) {
        run.decoder_done = tell_ready;
        run.context = &number;
    }
    const adm_batch *batch = read_pass(self, &values, &run);
    if (batch == NULL || pyadm_enter(&self->user, object) < 0)
        return NULL;
    adm_loss loss;
    adm_error error;
    adm_status status;
    PYADM_INTERRUPTIBLE(&run, status = adm_model_backward(self->model, batch, &run, &loss, &error));
    pyadm_leave(&self->user);
    if (status != ADM_OK)
        return pyadm_raise(&error);
    self->observed |= run.observe;
    return loss_tuple(&loss);
}

static PyMethodDef transformer_methods[] = {
    PYADM_KEYWORD_METHOD("forward", transformer_forward, forward_doc),
    PYADM_KEYWORD_METHOD("loss", transformer_loss, loss_doc),
    PYADM_KEYWORD_METHOD("backward", transformer_backward, backward_doc),
    PYADM_KEYWORD_METHOD("profile", pyadm_transformer_profile, pyadm_transformer_profile_doc),
    PYADM_KEYWORD_METHOD("dependency", pyadm_transformer_dependency, pyadm_transformer_dependency_doc),
    PYADM_KEYWORD_METHOD("output_change", pyadm_transformer_output_change,
                         pyadm_transformer_output_change_doc),
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(
    transformer_doc,
    "Transformer(config, seed=0, draw=True)\n--\n\n"
    "A Transformer of the core: encoder, decoder (language model) or both.\n\n"
    "Parameters\n----------\n"
    "config : dict\n    All fields of a configuration, as ``TransformerConfig.to_core()`` gives it.\n"
    "seed : int\n    Of the first weights and of dropout, from 0 to 2**64 - 1.\n"
    "draw : bool\n    Whether the first weights are drawn; else all are 0, to be given others.\n\n"
    "Raises\n------\n"
    "TypeError, ValueError\n    A field is missing, unknown, of a wrong type or out of range.\n"
    "MemoryError\n    There is no memory for the weights.");

static PyType_Slot transformer_slots[] = {
    {Py_tp_doc, (void *)transformer_doc},
    {Py_tp_new, transformer_new},
    {Py_tp_methods, transformer_methods},
    {0, NULL},
};

PyType_Spec pyadm_transformer_spec = {
    .name = ADM_MODULE_NAME ".Transformer",
    .basicsize = sizeof(pyadm_model),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE, /* GC comes from Model */
    .slots = transformer_slots,
};
