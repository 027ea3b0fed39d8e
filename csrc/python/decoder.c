/* Decoder: predicts token after token, over a model's weights. */
#include "python/arguments.h"
#include "python/arrays.h"
#include "python/errors.h"
#include "python/module.h"

#include <float.h>

typedef struct decoder {
    PyObject_HEAD pyadm_model *model; /* whose weights are read */
    adm_decoder *decoder;
    PyObject *weakrefs;
    pid_t user; /* as a model's */
} decoder;

static PyObject *decoder_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"model", NULL};
    const pyadm_state *state = pyadm_state_of(type);
    PyObject *model;
    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, keywords, "O:Decoder", names, &model))
        return NULL;
    if (!PyObject_TypeCheck(model, state->transformer)) {
        pyadm_refuse(PyExc_TypeError, "model", "a Transformer", model);
        return NULL;
    }
    decoder *self = (decoder *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->model = (pyadm_model *)Py_NewRef(model);
    adm_error error;
    if (adm_decoder_create(self->model->model, &self->decoder, &error) == ADM_OK)
        return (PyObject *)self;
    Py_DECREF(self);
    return pyadm_raise(&error);
}

static int decoder_traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((decoder *)object)->model);
    return 0;
}

static void decoder_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (((decoder *)object)->weakrefs != NULL)
        PyObject_ClearWeakRefs(object);
    adm_decoder_free(((decoder *)object)->decoder); /* before the model, whose weights it reads */
    Py_XDECREF(((decoder *)object)->model);
    type->tp_free(object);
    Py_DECREF(type);
}

/* ---- calls ---- */

/* Marks the decoder and its model as used; 0, or -1 with an exception. */
static int enter(decoder *self)
{
    if (pyadm_enter(&self->user, (PyObject *)self) < 0)
        return -1;
    if (pyadm_enter(&self->model->user, (PyObject *)self->model) == 0)
        return 0;
    pyadm_leave(&self->user);
    return -1;
}

static void leave(decoder *self)
{
    pyadm_leave(&self->model->user);
    pyadm_leave(&self->user);
}

static int begin_run(const decoder *self, adm_run *run)
{
    const pyadm_state *state = pyadm_state_of(Py_TYPE(self));
    if (state == NULL)
        return -1;
    *run = (adm_run){.threads = state->threads, .scale = 1.0};
    return 0;
}

static PyObject *none_or_raise(adm_status status, const adm_error *error)
{
    if (status != ADM_OK)
        return pyadm_raise(error);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(
    begin_doc,
    "begin($self, batch, *, pack=True)\n--\n\n"
    "Read a batch; each of its sequences is one hypothesis, whose next token is predicted.\n\n"
    "Parameters\n----------\n"
    "batch : Batch\n    Sources, and as targets what their translations begin with; or a language model's "
    "prompts.\n"
    "pack : bool\n    Take the weights as they are now. Without it they must be those of the last time.");

static PyObject *decoder_begin(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"batch", "pack", NULL};
    decoder *self = (decoder *)object;
    PyObject *value, *pack_value = NULL;
    bool pack = true;
    adm_run run;
    if (begin_run(self, &run) < 0 ||
        !PyArg_ParseTupleAndKeywords(args, keywords, "O|$O:begin", names, &value, &pack_value) ||
        pyadm_read_optional_bool(pack_value, "pack", &pack) < 0)
        return NULL;
    const adm_batch *batch = pyadm_batch_get(pyadm_state_of(Py_TYPE(self)), value, "batch");
    if (batch == NULL || enter(self) < 0)
        return NULL;
    adm_error error;
    adm_status status;
    PYADM_INTERRUPTIBLE(&run, status = adm_decoder_begin(self->decoder, batch, pack, &run, &error));
    leave(self);
    return none_or_raise(status, &error);
}

PyDoc_STRVAR(step_doc, "step($self, ids, /)\n--\n\n"
                       "Append a token to each hypothesis, and predict the next.\n\n"
                       "Parameters\n----------\nids : ndarray of int32, [N]");

static PyObject *decoder_step(PyObject *object, PyObject *value)
{
    decoder *self = (decoder *)object;
    adm_run run;
    if (begin_run(self, &run) < 0 || enter(self) < 0)
        return NULL;
    const int64_t rows = adm_decoder_rows(self->decoder);
    const PyArrayObject *ids = pyadm_array_check(value, "ids", NPY_INT32, 1, &rows);
    if (ids == NULL) {
        leave(self);
        return NULL;
    }
    const int32_t *data = PyArray_DATA((PyArrayObject *)ids);
    adm_error error;
    adm_status status;
    PYADM_INTERRUPTIBLE(&run, status = adm_decoder_step(self->decoder, data, &run, &error));
    leave(self);
    return none_or_raise(status, &error);
}

PyDoc_STRVAR(reorder_doc, "reorder($self, parents, /)\n--\n\n"
                          "Let hypothesis i be what hypothesis parents[i] was.\n\n"
                          "Parameters\n----------\nparents : ndarray of int64, [N of then]");

static PyObject *decoder_reorder(PyObject *object, PyObject *value)
{
    decoder *self = (decoder *)object;
    const int64_t any = PYADM_ANY;
    const PyArrayObject *parents = pyadm_array_check(value, "parents", NPY_INT64, 1, &any);
    if (parents == NULL || enter(self) < 0)
        return NULL;
    adm_error error;
    const adm_status status = adm_decoder_reorder(self->decoder, PyArray_DATA((PyArrayObject *)parents),
                                                  PyArray_DIM((PyArrayObject *)parents, 0), &error);
    leave(self);
    return none_or_raise(status, &error);
}

PyDoc_STRVAR(scores_doc, "scores($self, /)\n--\n\n"
                         "log p of every token after each hypothesis of the last step, [N, V].");

static PyObject *decoder_scores(PyObject *object, PyObject *ignored)
{
    (void)ignored;
    decoder *self = (decoder *)object;
    adm_run run;
    if (begin_run(self, &run) < 0 || enter(self) < 0)
        return NULL;
    const int64_t shape[] = {adm_decoder_predicted(self->decoder),
                             adm_model_config(self->model->model)->vocab_size};
    PyObject *scores = pyadm_array_new(PYADM_REAL, 2, shape);
    adm_error error;
    adm_status status = ADM_OK;
    if (scores != NULL) {
        adm_real *data = pyadm_array_data(scores);
        PYADM_WITHOUT_GIL(status = adm_decoder_scores(self->decoder, &run, data, &error))
    }
    leave(self);
    if (status == ADM_OK)
        return scores;
    Py_XDECREF(scores);
    return pyadm_raise(&error);
}

PyDoc_STRVAR(top_doc, "top($self, k, /)\n--\n\n"
                      "The k likeliest next tokens of each hypothesis of the last step.\n\n"
                      "Returns\n-------\n"
                      "(scores, ids) : ndarray of float64, ndarray of int32, [N, k]\n"
                      "    log p, the largest first and of equal ones the smallest id first.");

static PyObject *decoder_top(PyObject *object, PyObject *value)
{
    decoder *self = (decoder *)object;
    int64_t k = 0;
    adm_run run;
    if (begin_run(self, &run) < 0 || pyadm_read_int64(value, "k", 1, INT32_MAX, &k) < 0 || enter(self) < 0)
        return NULL;
    const int64_t shape[] = {adm_decoder_predicted(self->decoder), k};
    adm_error error;
    adm_status status = ADM_OK;
    PyObject *result = NULL, *scores = NULL, *ids = NULL;
    if (k > adm_model_config(self->model->model)->vocab_size)
        PyErr_Format(PyExc_ValueError, "k must be at most the vocabulary's %lld, got %lld",
                     (long long)adm_model_config(self->model->model)->vocab_size, (long long)k);
    else if ((scores = pyadm_array_new(NPY_FLOAT64, 2, shape)) != NULL &&
             (ids = pyadm_array_new(NPY_INT32, 2, shape)) != NULL) {
        const adm_top top = {.k = k, .scores = pyadm_array_data(scores), .ids = pyadm_array_data(ids)};
        PYADM_WITHOUT_GIL(status = adm_decoder_top(self->decoder, &top, &run, &error))
        result = status == ADM_OK ? PyTuple_Pack(2, scores, ids) : pyadm_raise(&error);
    }
    leave(self);
    Py_XDECREF(scores);
    Py_XDECREF(ids);
    return result;
}

/* ---- search ---- */

PyDoc_STRVAR(
    beam_search_doc,
    "beam_search($self, batch, least, most, *, beam=5, best=1, penalty='power', alpha=1.0, end='bound',\n"
    "            no_repeat=0, eos=2, cut=False, pack=True)\n--\n\n"
    "The best continuations of each sequence; no hypothesis of the decoder's is left.\n\n"
    "Returns\n-------\n"
    "list of (sequence, score, sum, tokens)\n"
    "    Of sequence after sequence, the best first: its number, the sum of log p over the penalty, that "
    "sum, and\n"
    "    int32 ids that follow what is given.");

typedef struct search_values {
    PyObject *batch, *least, *most, *beam, *best, *penalty, *alpha, *end, *no_repeat, *eos, *cut, *pack;
} search_values;

static int read_optional_int64(PyObject *value, const char *name, int64_t low, int64_t *result)
{
    return value == NULL ? 0 : pyadm_read_int64(value, name, low, INT32_MAX, result);
}

static int read_optional_choice(PyObject *value, const char *name, const char *const *choices, int *result)
{
    return value == NULL ? 0 : pyadm_read_choice(value, name, choices, result);
}

/* Everything but what depends on the batch. */
static int read_search(const search_values *values, adm_search *search, bool *pack)
{
    static const char *const penalties[] = {"power", "gnmt", NULL}, *const ends[] = {"bound", "count", NULL};
    int penalty = ADM_PENALTY_POWER, end = ADM_END_BOUND;
    int64_t eos = 2;
    *search = adm_search_default();
    *pack = true;
    if (read_optional_int64(values->beam, "beam", 1, &search->beam) < 0 ||
        read_optional_int64(values->best, "best", 1, &search->best) < 0 ||
        read_optional_choice(values->penalty, "penalty", penalties, &penalty) < 0 ||
        pyadm_read_optional_real(values->alpha, "alpha", -DBL_MAX, DBL_MAX, &search->alpha) < 0 ||
        read_optional_choice(values->end, "end", ends, &end) < 0 ||
        read_optional_int64(values->no_repeat, "no_repeat", 0, &search->no_repeat) < 0 ||
        read_optional_int64(values->eos, "eos", 0, &eos) < 0 ||
        pyadm_read_optional_bool(values->cut, "cut", &search->cut) < 0 ||
        pyadm_read_optional_bool(values->pack, "pack", pack) < 0)
        return -1;
    search->penalty = (adm_length_penalty)penalty;
    search->end = (adm_search_end)end;
    search->eos = (int32_t)eos;
    return 0;
}

static PyObject *found_tuple(const adm_found *found)
{
    PyObject *tokens = pyadm_array_new(NPY_INT32, 1, &found->length);
    if (tokens == NULL)
        return NULL;
    memcpy(pyadm_array_data(tokens), found->tokens, (size_t)found->length * sizeof *found->tokens);
    return Py_BuildValue("(LddN)", (long long)found->sequence, found->score, found->sum, tokens);
}

static PyObject *found_list(const adm_found_list *found)
{
    PyObject *list = PyList_New((Py_ssize_t)found->count);
    for (int64_t i = 0; list != NULL && i < found->count; i++) {
        PyObject *item = found_tuple(&found->items[i]);
        if (item == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
    }
    return list;
}

static PyObject *decoder_beam_search(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"batch", "least",     "most", "beam", "best", "penalty", "alpha",
                            "end",   "no_repeat", "eos",  "cut",  "pack", NULL};
    decoder *self = (decoder *)object;
    search_values values = {0};
    adm_search search;
    bool pack;
    adm_run run;
    if (begin_run(self, &run) < 0 ||
        !PyArg_ParseTupleAndKeywords(args, keywords, "OOO|$OOOOOOOOO:beam_search", names, &values.batch,
                                     &values.least, &values.most, &values.beam, &values.best, &values.penalty,
                                     &values.alpha, &values.end, &values.no_repeat, &values.eos, &values.cut,
                                     &values.pack) ||
        read_search(&values, &search, &pack) < 0)
        return NULL;
    const adm_batch *batch = pyadm_batch_get(pyadm_state_of(Py_TYPE(self)), values.batch, "batch");
    if (batch == NULL)
        return NULL;
    PyArrayObject *least = pyadm_array_check(values.least, "least", NPY_INT64, 1, &batch->source.count);
    PyArrayObject *most =
        least == NULL ? NULL : pyadm_array_check(values.most, "most", NPY_INT64, 1, &batch->source.count);
    if (most == NULL || enter(self) < 0)
        return NULL;
    search.least = PyArray_DATA(least);
    search.most = PyArray_DATA(most);
    adm_found_list found;
    adm_error error;
    adm_status status;
    PYADM_INTERRUPTIBLE(&run,
                        status = adm_beam_search(self->decoder, batch, pack, &search, &run, &found, &error));
    leave(self);
    if (status != ADM_OK)
        return pyadm_raise(&error);
    PyObject *list = found_list(&found);
    adm_found_free(&found);
    return list;
}

/* ---- what is known ---- */

/* A copy of [N], since hypotheses move. */
static PyObject *numbers_of(decoder *self, const int64_t *(*of)(const adm_decoder *))
{
    if (enter(self) < 0)
        return NULL;
    const int64_t rows = adm_decoder_rows(self->decoder);
    PyObject *numbers = pyadm_array_new(NPY_INT64, 1, &rows);
    if (numbers != NULL && rows > 0)
        memcpy(pyadm_array_data(numbers), of(self->decoder), (size_t)rows * sizeof(int64_t));
    leave(self);
    return numbers;
}

static PyObject *decoder_sequences(PyObject *object, void *ignored)
{
    (void)ignored;
    return numbers_of((decoder *)object, adm_decoder_sequences);
}

static PyObject *decoder_lengths(PyObject *object, void *ignored)
{
    (void)ignored;
    return numbers_of((decoder *)object, adm_decoder_lengths);
}

static PyObject *decoder_rows(PyObject *object, void *ignored)
{
    (void)ignored;
    return PyLong_FromLongLong(adm_decoder_rows(((decoder *)object)->decoder));
}

static PyObject *decoder_memory(PyObject *object, void *ignored)
{
    (void)ignored;
    decoder *self = (decoder *)object;
    if (enter(self) < 0)
        return NULL;
    const size_t bytes = adm_decoder_memory(self->decoder);
    leave(self);
    return PyLong_FromSize_t(bytes);
}

static PyObject *decoder_model(PyObject *object, void *ignored)
{
    (void)ignored;
    return Py_NewRef((PyObject *)((decoder *)object)->model);
}

static PyObject *decoder_repr(PyObject *object)
{
    return PyUnicode_FromFormat("<%s of %lld hypotheses, " ADM_DTYPE_NAME ">", Py_TYPE(object)->tp_name,
                                (long long)adm_decoder_rows(((decoder *)object)->decoder));
}

static PyMethodDef decoder_methods[] = {
    PYADM_KEYWORD_METHOD("begin", decoder_begin, begin_doc),
    {"step", decoder_step, METH_O, step_doc},
    {"reorder", decoder_reorder, METH_O, reorder_doc},
    {"scores", decoder_scores, METH_NOARGS, scores_doc},
    {"top", decoder_top, METH_O, top_doc},
    PYADM_KEYWORD_METHOD("beam_search", decoder_beam_search, beam_search_doc),
    PYADM_REDUCE_METHOD,
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef decoder_attributes[] = {
    {"model", decoder_model, NULL, "The Transformer whose weights are read.", NULL},
    {"rows", decoder_rows, NULL, "Hypotheses, N.", NULL},
    {"sequences", decoder_sequences, NULL, "Number in the batch of each hypothesis' sequence, [N].", NULL},
    {"lengths", decoder_lengths, NULL, "Tokens of each hypothesis, what it begins with included, [N].", NULL},
    {"memory", decoder_memory, NULL, "Bytes held, the weights' copy included.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef decoder_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(decoder, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(decoder_doc,
             "Decoder(model)\n--\n\n"
             "Predicts token after token: sources are read once, keys and values are kept.\n\n"
             "Parameters\n----------\n"
             "model : Transformer\n    An encoder-decoder or a language model, with causal attention.");

static PyType_Slot decoder_slots[] = {
    {Py_tp_doc, (void *)decoder_doc},   {Py_tp_new, decoder_new},         {Py_tp_dealloc, decoder_dealloc},
    {Py_tp_traverse, decoder_traverse}, {Py_tp_repr, decoder_repr},       {Py_tp_methods, decoder_methods},
    {Py_tp_getset, decoder_attributes}, {Py_tp_members, decoder_members}, {0, NULL},
};

PyType_Spec pyadm_decoder_spec = {
    .name = ADM_MODULE_NAME ".Decoder",
    .basicsize = sizeof(decoder),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = decoder_slots,
};
