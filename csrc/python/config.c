/* Each kind of dict has one table of its fields; one function reads any dict by its table. */
#include "python/config.h"

#include <float.h>
#include <string.h>

#include "python/arguments.h"
#include "python/arrays.h"
#include "python/errors.h"

#define PATH_LENGTH 160
#define ROOT "config"
#define MAX_LAYERS ((int64_t)1 << 24) /* far beyond any model, far below overflow of sums */

typedef struct field field;
typedef int (*field_reader)(PyObject *value, const char *path, const field *self, void *target);

struct field {
    const char *name; /* NULL ends a table */
    field_reader read;
    size_t offset;              /* of the target in the struct that the dict stands for */
    const char *const *choices; /* of a choice: the names, in the order of the enum */
};

static const char *const NORM_KINDS[] = {"none", "layer", "rms", "dyt", NULL};
static const char *const SCALE_KINDS[] = {"none", "scalar", "vector", NULL};
static const char *const ACTIVATIONS[] = {"relu",       "gelu",         "silu", "gelu_tanh",
                                          "quick_gelu", "relu_squared", NULL};
static const char *const BIASES[] = {"all", "none", "qkv", "attention", "feed_forward", NULL};
static const char *const POSITIONS[] = {"sinusoidal", "learned", "rotary", NULL};
static const char *const SHARES[] = {"none", "decoder", "inputs", "all", NULL};
static const char *const INIT_KINDS[] = {"xavier_uniform", "xavier_normal", "looks_linear", NULL};

static int read_bool(PyObject *value, const char *path, const field *self, void *target)
{
    (void)self;
    return pyadm_read_bool(value, path, target);
}

static int read_size(PyObject *value, const char *path, const field *self, void *target)
{
    (void)self;
    return pyadm_read_int64(value, path, 0, INT32_MAX, target);
}

static int read_layers(PyObject *value, const char *path, const field *self, void *target)
{
    (void)self;
    return pyadm_read_int64(value, path, 0, MAX_LAYERS, target);
}

static int read_real(PyObject *value, const char *path, const field *self, void *target)
{
    (void)self;
    return pyadm_read_real(value, path, -DBL_MAX, DBL_MAX, target);
}

static int read_choice(PyObject *value, const char *path, const field *self, void *target)
{
    int index = 0;
    if (pyadm_read_choice(value, path, self->choices, &index) < 0)
        return -1;
    const unsigned int stored = (unsigned int)index; /* what enums are stored as */
    memcpy(target, &stored, sizeof stored);
    return 0;
}

_Static_assert(sizeof(adm_norm_kind) == sizeof(unsigned int), "read_choice stores enums as unsigned int");

/* ---- one dict by its table ---- */

static const field *find_field(const field *fields, PyObject *key)
{
    for (const field *f = fields; f->name != NULL; f++)
        if (PyUnicode_CompareWithASCIIString(key, f->name) == 0)
            return f;
    return NULL;
}

static int check_keys(PyObject *dict, const char *path, const field *fields)
{
    Py_ssize_t position = 0;
    PyObject *key = NULL;
    while (PyDict_Next(dict, &position, &key, NULL))
        if (!PyUnicode_Check(key) || find_field(fields, key) == NULL) {
            Py_INCREF(key); /* its repr may run code that takes it out of the dict */
            PyObject *words = pyadm_words_of(key);
            if (words != NULL)
                PyErr_Format(PyExc_ValueError, "%s has an unknown field %U", path, words);
            Py_XDECREF(words);
            Py_DECREF(key);
            return -1;
        }
    return 0;
}

static int read_dict(PyObject *dict, const char *path, const field *fields, void *target)
{
    if (!PyDict_Check(dict)) {
        PyErr_Format(PyExc_TypeError, "%s must be a dict, got an object of type %s", path,
                     Py_TYPE(dict)->tp_name);
        return -1;
    }
    if (check_keys(dict, path, fields) < 0)
        return -1;
    for (const field *f = fields; f->name != NULL; f++) {
        PyObject *value = pyadm_dict_get(dict, f->name);
        if (value == NULL) {
            if (!PyErr_Occurred())
                PyErr_Format(PyExc_ValueError, "%s lacks the field \"%s\"", path, f->name);
            return -1;
        }
        char field_path[PATH_LENGTH];
        if (strcmp(path, ROOT) == 0)
            snprintf(field_path, sizeof field_path, "%s", f->name);
        else
            snprintf(field_path, sizeof field_path, "%s.%s", path, f->name);
        Py_INCREF(value); /* reading may run code that takes it out of the dict */
        const int status = f->read(value, field_path, f, (char *)target + f->offset);
        Py_DECREF(value);
        if (status < 0)
            return -1;
    }
    return 0;
}

/* ---- the tables, innermost first ---- */

static const field SCALE_FIELDS[] = {
    {"kind", read_choice, offsetof(adm_scale, kind), SCALE_KINDS},
    {"trained", read_bool, offsetof(adm_scale, trained), NULL},
    {"shared", read_bool, offsetof(adm_scale, shared), NULL},
    {"value", read_real, offsetof(adm_scale, value), NULL},
    {NULL, NULL, 0, NULL},
};

static int read_scale(PyObject *value, const char *path, const field *self, void *target)
{
    (void)self;
    return read_dict(value, path, SCALE_FIELDS, target);
}

static const field GAINS_FIELDS[] = {
    {"q", read_real, offsetof(adm_gains, q), NULL},
    {"k", read_real, offsetof(adm_gains, k), NULL},
    {"v", read_real, offsetof(adm_gains, v), NULL},
    {"out", read_real, offsetof(adm_gains, out), NULL},
    {"fc1", read_real, offsetof(adm_gains, fc1), NULL},
    {"fc2", read_real, offsetof(adm_gains, fc2), NULL},
    {NULL, NULL, 0, NULL},
};

static int read_gains(PyObject *value, const char *path, const field *self, void *target)
{
    (void)self;
    return read_dict(value, path, GAINS_FIELDS, target);
}

#define SUBLAYER(name) offsetof(adm_sublayer_config, name)
static const field SUBLAYER_FIELDS[] = {
    {"norm_pre", read_choice, SUBLAYER(norm_pre), NORM_KINDS},
    {"norm_branch", read_choice, SUBLAYER(norm_branch), NORM_KINDS},
    {"norm_post", read_choice, SUBLAYER(norm_post), NORM_KINDS},
    {"norm_inner", read_choice, SUBLAYER(norm_inner), NORM_KINDS},
    {"residual_normed", read_bool, SUBLAYER(residual_normed), NULL},
    {"parallel", read_bool, SUBLAYER(parallel), NULL},
    {"profiled", read_bool, SUBLAYER(profiled), NULL},
    {"input_scale", read_real, SUBLAYER(input_scale), NULL},
    {"kappa", read_real, SUBLAYER(kappa), NULL},
    {"omega", read_scale, SUBLAYER(omega), NULL},
    {"alpha", read_scale, SUBLAYER(alpha), NULL},
    {"init", read_choice, SUBLAYER(init), INIT_KINDS},
    {"qkv_fused_init", read_bool, SUBLAYER(qkv_fused_init), NULL},
    {"gains", read_gains, SUBLAYER(gains), NULL},
    {"window", read_size, SUBLAYER(window), NULL},
    {NULL, NULL, 0, NULL},
};

typedef struct sublayer_list {
    adm_sublayer_config *items;
    int64_t count;
} sublayer_list;

static int read_sublayers(PyObject *value, const char *path, const field *self, void *target)
{
    (void)self;
    sublayer_list *list = target;
    if (!PyList_Check(value) && !PyTuple_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be a list of dicts, got an object of type %s", path,
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    PyObject *items = PySequence_Tuple(value); /* a list could change while it is read */
    if (items == NULL)
        return -1;
    const Py_ssize_t count = PyTuple_GET_SIZE(items);
    int status = 0;
    list->items = PyMem_Calloc((size_t)(count > 0 ? count : 1), sizeof *list->items);
    if (list->items == NULL) {
        PyErr_NoMemory();
        status = -1;
    }
    for (Py_ssize_t i = 0; status == 0 && i < count; i++) {
        char item_path[PATH_LENGTH];
        snprintf(item_path, sizeof item_path, "%s[%zd]", path, i);
        status = read_dict(PyTuple_GET_ITEM(items, i), item_path, SUBLAYER_FIELDS, &list->items[i]);
    }
    list->count = count;
    Py_DECREF(items);
    return status;
}

/* A stack while it is read: the number of sub-layers is checked when all fields are there. */
typedef struct stack_reading {
    adm_stack_config stack;
    sublayer_list sublayers;
} stack_reading;

#define STACK(name) offsetof(stack_reading, stack) + offsetof(adm_stack_config, name)
static const field STACK_FIELDS[] = {
    {"layers", read_layers, STACK(layers), NULL},
    {"causal", read_bool, STACK(causal), NULL},
    {"cross", read_bool, STACK(cross), NULL},
    {"norm_embedding", read_choice, STACK(norm_embedding), NORM_KINDS},
    {"norm_final", read_choice, STACK(norm_final), NORM_KINDS},
    {"input_scale", read_choice, STACK(input_scale), SCALE_KINDS},
    {"embedding_gain", read_real, STACK(embedding_gain), NULL},
    {"sublayers", read_sublayers, offsetof(stack_reading, sublayers), NULL},
    {NULL, NULL, 0, NULL},
};

static int read_stack(PyObject *value, const char *path, const field *self, void *target)
{
    (void)self;
    stack_reading reading = {0};
    int status = read_dict(value, path, STACK_FIELDS, &reading);
    if (status == 0 && adm_stack_num_sublayers(&reading.stack) != reading.sublayers.count) {
        PyErr_Format(PyExc_ValueError, "%s.sublayers must have %lld items (%lld layers of %lld), got %lld",
                     path, (long long)adm_stack_num_sublayers(&reading.stack),
                     (long long)reading.stack.layers, (long long)adm_stack_per_layer(&reading.stack),
                     (long long)reading.sublayers.count);
        status = -1;
    }
    reading.stack.sublayers = reading.sublayers.items;
    *(adm_stack_config *)target = reading.stack; /* pyadm_config_free frees what was read */
    return status;
}

#define ROTARY(name) offsetof(adm_rotary_config, name)
static const field ROTARY_FIELDS[] = {
    {"theta", read_real, ROTARY(theta), NULL},
    {"width", read_size, ROTARY(width), NULL},
    {"interleaved", read_bool, ROTARY(interleaved), NULL},
    {"factor", read_real, ROTARY(factor), NULL},
    {"low_frequency_factor", read_real, ROTARY(low_frequency_factor), NULL},
    {"high_frequency_factor", read_real, ROTARY(high_frequency_factor), NULL},
    {"original_length", read_size, ROTARY(original_length), NULL},
    {NULL, NULL, 0, NULL},
};

static int read_rotary(PyObject *value, const char *path, const field *self, void *target)
{
    (void)self;
    return read_dict(value, path, ROTARY_FIELDS, target);
}

#define ATTENTION(name) offsetof(adm_attention_config, name)
static const field ATTENTION_FIELDS[] = {
    {"head_width", read_size, ATTENTION(head_width), NULL},
    {"kv_heads", read_size, ATTENTION(kv_heads), NULL},
    {"scale", read_real, ATTENTION(scale), NULL},
    {"score_cap", read_real, ATTENTION(score_cap), NULL},
    {"qk_norm", read_choice, ATTENTION(qk_norm), NORM_KINDS},
    {"qk_norm_whole", read_bool, ATTENTION(qk_norm_whole), NULL},
    {"rotary", read_rotary, ATTENTION(rotary), NULL},
    {NULL, NULL, 0, NULL},
};

static int read_attention(PyObject *value, const char *path, const field *self, void *target)
{
    (void)self;
    return read_dict(value, path, ATTENTION_FIELDS, target);
}

static const field CONFIG_FIELDS[] = {
    {"vocab_size", read_size, offsetof(adm_config, vocab_size), NULL},
    {"d_model", read_size, offsetof(adm_config, d_model), NULL},
    {"heads", read_size, offsetof(adm_config, heads), NULL},
    {"d_ff", read_size, offsetof(adm_config, d_ff), NULL},
    {"max_length", read_size, offsetof(adm_config, max_length), NULL},
    {"activation", read_choice, offsetof(adm_config, activation), ACTIVATIONS},
    {"gated", read_bool, offsetof(adm_config, gated), NULL},
    {"bias", read_choice, offsetof(adm_config, bias), BIASES},
    {"positions", read_choice, offsetof(adm_config, positions), POSITIONS},
    {"share_embeddings", read_choice, offsetof(adm_config, share_embeddings), SHARES},
    {"output_bias", read_bool, offsetof(adm_config, output_bias), NULL},
    {"logits_scale", read_real, offsetof(adm_config, logits_scale), NULL},
    {"dropout", read_real, offsetof(adm_config, dropout), NULL},
    {"attention_dropout", read_real, offsetof(adm_config, attention_dropout), NULL},
    {"activation_dropout", read_real, offsetof(adm_config, activation_dropout), NULL},
    {"norm_eps", read_real, offsetof(adm_config, norm_eps), NULL},
    {"embedding_scale", read_real, offsetof(adm_config, embedding_scale), NULL},
    {"attention", read_attention, offsetof(adm_config, attention), NULL},
    {"logits_cap", read_real, offsetof(adm_config, logits_cap), NULL},
    {"encoder", read_stack, offsetof(adm_config, encoder), NULL},
    {"decoder", read_stack, offsetof(adm_config, decoder), NULL},
    {NULL, NULL, 0, NULL},
};

int pyadm_config_read(PyObject *dict, adm_config *config)
{
    *config = (adm_config){0};
    adm_error error;
    if (read_dict(dict, ROOT, CONFIG_FIELDS, config) < 0)
        goto failed;
    if (adm_config_check(config, &error) != ADM_OK) {
        pyadm_raise(&error);
        goto failed;
    }
    return 0;
failed:
    pyadm_config_free(config);
    return -1;
}

void pyadm_config_free(adm_config *config)
{
    PyMem_Free(config->encoder.sublayers);
    PyMem_Free(config->decoder.sublayers);
    config->encoder.sublayers = NULL;
    config->decoder.sublayers = NULL;
}
