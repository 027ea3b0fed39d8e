/* Batch: packed sequences of token ids, copied and validated once, never changed. */
#include "python/arrays.h"
#include "python/module.h"

#include <string.h>

static const char HANDLE_NAME[] = "admin_py.sequences";

static void free_memory(PyObject *handle)
{
    PyMem_Free(PyCapsule_GetPointer(handle, HANDLE_NAME));
}

/* Checks that offsets cut `count` tokens into sequences none of which is empty. */
static int check_offsets(const int64_t *offsets, int64_t length, int64_t count, const char *name)
{
    if (length < 2) {
        PyErr_Format(PyExc_ValueError,
                     "%s must have one element more than there are sequences, at least 2, got %lld", name,
                     (long long)length);
        return -1;
    }
    if (offsets[0] != 0) {
        PyErr_Format(PyExc_ValueError, "%s must begin with 0, got %lld", name, (long long)offsets[0]);
        return -1;
    }
    for (int64_t b = 1; b < length; b++)
        if (offsets[b] <= offsets[b - 1]) {
            PyErr_Format(PyExc_ValueError,
                         "%s must increase (no sequence may be empty), got %lld at %lld after %lld", name,
                         (long long)offsets[b], (long long)b, (long long)offsets[b - 1]);
            return -1;
        }
    if (offsets[length - 1] != count) {
        PyErr_Format(PyExc_ValueError, "%s must end with the number of tokens, %lld, got %lld", name,
                     (long long)count, (long long)offsets[length - 1]);
        return -1;
    }
    return 0;
}

/* Arrays of one side as they were given, borrowed. */
typedef struct packed {
    PyArrayObject *tokens, *offsets;
} packed;

static int read_packed(PyObject *tokens, const char *tokens_name, PyObject *offsets, const char *offsets_name,
                       packed *side)
{
    const int64_t any = PYADM_ANY;
    side->tokens = pyadm_array_check(tokens, tokens_name, NPY_INT32, 1, &any);
    if (side->tokens == NULL)
        return -1;
    side->offsets = pyadm_array_check(offsets, offsets_name, NPY_INT64, 1, &any);
    return side->offsets == NULL ? -1 : 0;
}

/* Copies one side to `offsets` and, behind them, its tokens. The copy is what is checked: nobody changes it. */
static int copy_side(const packed *side, const char *offsets_name, int64_t *offsets, int32_t *tokens,
                     adm_sequences *sequences)
{
    const int64_t num_tokens = PyArray_SIZE(side->tokens), num_offsets = PyArray_SIZE(side->offsets);
    memcpy(offsets, PyArray_DATA(side->offsets), (size_t)num_offsets * sizeof *offsets);
    memcpy(tokens, PyArray_DATA(side->tokens), (size_t)num_tokens * sizeof *tokens);
    *sequences = (adm_sequences){.tokens = tokens, .offsets = offsets, .count = num_offsets - 1};
    return check_offsets(offsets, num_offsets, num_tokens, offsets_name);
}

/* Bytes of one block: offsets of both sides, then tokens of both sides. */
static int copy_sequences(pyadm_batch *self, const packed *source, const packed *target)
{
    const bool has_target = target->tokens != NULL;
    const size_t source_offsets = (size_t)PyArray_SIZE(source->offsets);
    const size_t target_offsets = has_target ? (size_t)PyArray_SIZE(target->offsets) : 0;
    const size_t source_tokens = (size_t)PyArray_SIZE(source->tokens);
    const size_t target_tokens = has_target ? (size_t)PyArray_SIZE(target->tokens) : 0;
    int64_t *offsets = PyMem_Malloc((source_offsets + target_offsets) * sizeof(int64_t) +
                                    (source_tokens + target_tokens) * sizeof(int32_t) + 1);
    if (offsets == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->handle = PyCapsule_New(offsets, HANDLE_NAME, free_memory);
    if (self->handle == NULL) {
        PyMem_Free(offsets);
        return -1;
    }
    int32_t *tokens = (int32_t *)(offsets + source_offsets + target_offsets);
    if (copy_side(source, "source_offsets", offsets, tokens, &self->sequences.source) < 0)
        return -1;
    if (has_target && copy_side(target, "target_offsets", offsets + source_offsets, tokens + source_tokens,
                                &self->sequences.target) < 0)
        return -1;
    if (has_target && self->sequences.target.count != self->sequences.source.count) {
        PyErr_Format(PyExc_ValueError,
                     "the target must have as many sequences as the source, got %lld and %lld",
                     (long long)self->sequences.target.count, (long long)self->sequences.source.count);
        return -1;
    }
    return 0;
}

static PyObject *batch_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"source_tokens", "source_offsets", "target_tokens", "target_offsets", NULL};
    PyObject *source_tokens, *source_offsets, *target_tokens = Py_None, *target_offsets = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO|OO:Batch", names, &source_tokens, &source_offsets,
                                     &target_tokens, &target_offsets))
        return NULL;
    packed source, target = {NULL, NULL};
    if (read_packed(source_tokens, "source_tokens", source_offsets, "source_offsets", &source) < 0)
        return NULL;
    if ((target_tokens == Py_None) != (target_offsets == Py_None)) {
        PyErr_SetString(PyExc_ValueError,
                        "target_tokens and target_offsets must be given both or not at all, got one");
        return NULL;
    }
    if (target_tokens != Py_None &&
        read_packed(target_tokens, "target_tokens", target_offsets, "target_offsets", &target) < 0)
        return NULL;
    pyadm_batch *self = (pyadm_batch *)type->tp_alloc(type, 0);
    if (self != NULL && copy_sequences(self, &source, &target) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int batch_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self)); /* the handle refers to nothing */
    return 0;
}

static void batch_dealloc(PyObject *object)
{
    pyadm_batch *self = (pyadm_batch *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(object);
    Py_CLEAR(self->handle);
    type->tp_free(object);
    Py_DECREF(type);
}

const adm_batch *pyadm_batch_get(const pyadm_state *state, PyObject *value, const char *name)
{
    if (PyObject_TypeCheck(value, state->batch))
        return &((pyadm_batch *)value)->sequences;
    PyErr_Format(PyExc_TypeError, "%s must be of type " ADM_MODULE_NAME ".Batch, got an object of type %s",
                 name, Py_TYPE(value)->tp_name);
    return NULL;
}

/* ---- attributes ---- */

/* Closures of the attributes. */
#define SOURCE NULL
#define TARGET ((void *)1)

static const adm_sequences *side_of(PyObject *self, void *which)
{
    const adm_batch *batch = &((pyadm_batch *)self)->sequences;
    return which == SOURCE ? &batch->source : &batch->target;
}

static PyObject *batch_tokens(PyObject *self, void *which)
{
    const adm_sequences *sequences = side_of(self, which);
    if (sequences->count == 0)
        Py_RETURN_NONE;
    return pyadm_array_view(((pyadm_batch *)self)->handle, NPY_INT32, 1,
                            &sequences->offsets[sequences->count], (void *)sequences->tokens, false);
}

static PyObject *batch_offsets(PyObject *self, void *which)
{
    const adm_sequences *sequences = side_of(self, which);
    if (sequences->count == 0)
        Py_RETURN_NONE;
    const int64_t length = sequences->count + 1;
    return pyadm_array_view(((pyadm_batch *)self)->handle, NPY_INT64, 1, &length, (void *)sequences->offsets,
                            false);
}

static PyObject *batch_num_sequences(PyObject *self, void *ignored)
{
    (void)ignored;
    return PyLong_FromLongLong(((pyadm_batch *)self)->sequences.source.count);
}

static PyObject *batch_repr(PyObject *self)
{
    const adm_batch *batch = &((pyadm_batch *)self)->sequences;
    const long long source = batch->source.offsets[batch->source.count];
    if (batch->target.count == 0)
        return PyUnicode_FromFormat("<Batch of %lld sequences, %lld tokens>", (long long)batch->source.count,
                                    source);
    return PyUnicode_FromFormat("<Batch of %lld pairs of sequences, %lld + %lld tokens>",
                                (long long)batch->source.count, source,
                                (long long)batch->target.offsets[batch->target.count]);
}

static PyGetSetDef batch_attributes[] = {
    {"source_tokens", batch_tokens, NULL, "Token ids of the source, int32 [M], read-only.", SOURCE},
    {"source_offsets", batch_offsets, NULL,
     "Where the source's sequences begin and end, int64 [B + 1], read-only.", SOURCE},
    {"target_tokens", batch_tokens, NULL, "Token ids of the target, int32 [M], read-only; or None.", TARGET},
    {"target_offsets", batch_offsets, NULL,
     "Where the target's sequences begin and end, int64 [B + 1], read-only; or None.", TARGET},
    {"num_sequences", batch_num_sequences, NULL, "Number of sequences, B.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef batch_methods[] = {
    PYADM_REDUCE_METHOD,
    {NULL, NULL, 0, NULL},
};

static PyMemberDef batch_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(pyadm_batch, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(
    batch_doc,
    "Batch(source_tokens, source_offsets, target_tokens=None, target_offsets=None)\n--\n\n"
    "Packed sequences of token ids, copied and validated.\n\n"
    "Parameters\n----------\n"
    "source_tokens : ndarray of int32, shape [M]\n    Token ids, sequence after sequence.\n"
    "source_offsets : ndarray of int64, shape [B + 1]\n"
    "    Sequence b is ``source_tokens[source_offsets[b]:source_offsets[b + 1]]``; none is empty.\n"
    "target_tokens, target_offsets : ndarrays, optional\n    The same for the target, as many sequences.\n\n"
    "Raises\n------\n"
    "TypeError\n    An argument is not an array of the right dtype.\n"
    "ValueError\n    An array has a wrong shape or layout, or offsets do not cut the tokens into sequences.");

static PyType_Slot batch_slots[] = {
    {Py_tp_doc, (void *)batch_doc},   {Py_tp_new, batch_new},         {Py_tp_dealloc, batch_dealloc},
    {Py_tp_traverse, batch_traverse}, {Py_tp_repr, batch_repr},       {Py_tp_methods, batch_methods},
    {Py_tp_getset, batch_attributes}, {Py_tp_members, batch_members}, {0, NULL},
};

PyType_Spec pyadm_batch_spec = {
    .name = ADM_MODULE_NAME ".Batch",
    .basicsize = sizeof(pyadm_batch),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = batch_slots,
};
