/* What a model would be, without a model: plan_memory and parameter_shapes. */
#include "python/arguments.h"
#include "python/arrays.h"
#include "python/config.h"
#include "python/errors.h"
#include "python/module.h"

const char pyadm_plan_memory_doc[] =
    "plan_memory($module, config, batch, *, optimizer=None, segment_layers=0)\n--\n\n"
    "Bytes that a training step holds, by what they are for; nothing is allocated.\n\n"
    "Parameters\n----------\n"
    "config : dict\n    All fields of a configuration, as for `Transformer`.\n"
    "batch : Batch or tuple\n    Of which the lengths count; (n, length, rest) stands for n sequences of "
    "that\n"
    "    length, as each stack reads them, and unless rest is 0 one of that length.\n"
    "optimizer : Optimizer, optional\n    Whose moments are counted.\n"
    "segment_layers : int\n    As for `Transformer.backward`.\n\n"
    "Returns\n-------\n"
    "dict\n    ``weights``, ``gradients``, ``moments``; the parts of the activations ``encoder`` and\n"
    "    ``decoder`` (kept for the backward pass), ``again``, ``backward``, ``logits``, ``packed``,\n"
    "    ``other``; their sum ``activations``; and the rows ``encoder_rows`` and ``decoder_rows``.";

/* One number of the dict. */
typedef struct entry {
    const char *name;
    uint64_t value;
} entry;

static PyObject *plan_dict(const adm_memory_plan *plan, size_t moments)
{
    const entry entries[] = {
        {"weights", plan->weights},
        {"gradients", plan->gradients},
        {"moments", moments},
        {"encoder", plan->kept[0]},
        {"decoder", plan->kept[1]},
        {"again", plan->again},
        {"backward", plan->backward},
        {"logits", plan->logits},
        {"packed", plan->packed},
        {"other", plan->other},
        {"activations", plan->activations},
        {"encoder_rows", (uint64_t)plan->rows[0]},
        {"decoder_rows", (uint64_t)plan->rows[1]},
    };
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict != NULL && i < sizeof entries / sizeof *entries; i++)
        if (pyadm_dict_put(dict, entries[i].name, PyLong_FromUnsignedLongLong(entries[i].value)) < 0)
            Py_CLEAR(dict);
    return dict;
}

/* Of one of the two: a batch, or lengths that are thought of. */
static int read_batch(const pyadm_state *state, PyObject *value, const adm_batch **batch,
                      adm_lengths *lengths)
{
    *batch = NULL;
    if (!PyTuple_Check(value)) {
        *batch = pyadm_batch_get(state, value, "batch");
        return *batch == NULL ? -1 : 0;
    }
    if (PyTuple_GET_SIZE(value) != 3)
        return pyadm_refuse(PyExc_ValueError, "batch", "a Batch or a tuple (n, length, rest)", value);
    const bool read =
        pyadm_read_int64(PyTuple_GET_ITEM(value, 0), "n", 1, INT32_MAX, &lengths->count) == 0 &&
        pyadm_read_int64(PyTuple_GET_ITEM(value, 1), "length", 1, INT32_MAX, &lengths->length) == 0 &&
        pyadm_read_int64(PyTuple_GET_ITEM(value, 2), "rest", 0, INT32_MAX, &lengths->rest) == 0;
    return read ? 0 : -1;
}

PyObject *pyadm_plan_memory(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"config", "batch", "optimizer", "segment_layers", NULL};
    const pyadm_state *state = PyModule_GetState(module);
    PyObject *config_value, *batch_value, *optimizer = Py_None, *segment_value = NULL;
    adm_run run = {.training = true, .threads = state->threads, .scale = 1.0};
    adm_config config;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO|$OO:plan_memory", names, &config_value, &batch_value,
                                     &optimizer, &segment_value) ||
        (segment_value != NULL && pyadm_read_int64(segment_value, "segment_layers", ADM_SEGMENTS_AUTO,
                                                   INT32_MAX, &run.segment_layers) < 0))
        return NULL;
    const adm_batch *batch;
    adm_lengths lengths;
    if (read_batch(state, batch_value, &batch, &lengths) < 0 || pyadm_config_read(config_value, &config) < 0)
        return NULL;
    adm_model *model = NULL;
    adm_error error;
    adm_memory_plan plan;
    adm_status status = adm_model_outline(&config, adm_kernels_select(), &model, &error);
    if (status == ADM_OK)
        status = batch != NULL ? adm_model_plan_memory(model, batch, &run, &plan, &error)
                               : adm_model_plan_lengths(model, &lengths, &run, &plan, &error);
    size_t moments = 0;
    int answer = 0;
    if (status == ADM_OK && optimizer != Py_None)
        answer = pyadm_optimizer_bytes(state, optimizer, adm_model_params(model), &moments);
    adm_model_free(model);
    pyadm_config_free(&config);
    if (status != ADM_OK)
        return pyadm_raise(&error);
    return answer < 0 ? NULL : plan_dict(&plan, moments);
}

const char pyadm_parameter_shapes_doc[] =
    "parameter_shapes($module, config, /)\n--\n\n"
    "Names and shapes of the parameters that a model would have; nothing is allocated for them.\n\n"
    "Parameters\n----------\n"
    "config : dict\n    All fields of a configuration, as for `Transformer`.\n\n"
    "Returns\n-------\n"
    "dict\n    Name -> tuple of int, in the order of `Transformer.parameters`.";

static PyObject *shape_of(const adm_param *param)
{
    const long long rows = param->shape[0], columns = param->shape[1];
    return param->ndim == 1 ? Py_BuildValue("(L)", rows) : Py_BuildValue("(LL)", rows, columns);
}

PyObject *pyadm_parameter_shapes(PyObject *module, PyObject *value)
{
    (void)module;
    adm_config config;
    if (pyadm_config_read(value, &config) < 0)
        return NULL;
    adm_model *model = NULL;
    adm_error error;
    const adm_status status = adm_model_outline(&config, adm_kernels_select(), &model, &error);
    PyObject *dict = status == ADM_OK ? PyDict_New() : pyadm_raise(&error);
    const adm_param_table *table = status == ADM_OK ? adm_model_params(model) : NULL;
    for (int64_t i = 0; dict != NULL && i < table->count; i++)
        if (pyadm_dict_put(dict, table->items[i].name, shape_of(&table->items[i])) < 0)
            Py_CLEAR(dict);
    adm_model_free(model);
    pyadm_config_free(&config);
    return dict;
}
