/* plan_memory: what training a model on a batch would hold, without a model. */
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
    "batch : Batch\n    Of which the lengths count.\n"
    "optimizer : Optimizer, optional\n    Whose moments are counted.\n"
    "segment_layers : int\n    As for `Transformer.backward`.\n\n"
    "Returns\n-------\n"
    "dict\n    ``weights``, ``gradients``, ``moments``; the parts of the activations ``encoder`` and\n"
    "    ``decoder`` (kept for the backward pass), ``again``, ``backward``, ``logits``, ``packed``,\n"
    "    ``other``; their sum ``activations``; and the rows ``encoder_rows`` and ``decoder_rows``.";

/* One number of the dict. */
typedef struct entry {
    const char *name;
    int64_t value;
} entry;

static PyObject *plan_dict(const adm_memory_plan *plan, size_t moments)
{
    const entry entries[] = {
        {"weights", (int64_t)plan->weights},
        {"gradients", (int64_t)plan->gradients},
        {"moments", (int64_t)moments},
        {"encoder", (int64_t)plan->kept[0]},
        {"decoder", (int64_t)plan->kept[1]},
        {"again", (int64_t)plan->again},
        {"backward", (int64_t)plan->backward},
        {"logits", (int64_t)plan->logits},
        {"packed", (int64_t)plan->packed},
        {"other", (int64_t)plan->other},
        {"activations", (int64_t)plan->activations},
        {"encoder_rows", plan->rows[0]},
        {"decoder_rows", plan->rows[1]},
    };
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict != NULL && i < sizeof entries / sizeof *entries; i++)
        if (pyadm_dict_put(dict, entries[i].name, PyLong_FromLongLong(entries[i].value)) < 0)
            Py_CLEAR(dict);
    return dict;
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
    const adm_batch *batch = pyadm_batch_get(state, batch_value, "batch");
    if (batch == NULL || pyadm_config_read(config_value, &config) < 0)
        return NULL;
    adm_model *model = NULL;
    adm_error error;
    adm_memory_plan plan;
    adm_status status = adm_model_outline(&config, &model, &error);
    if (status == ADM_OK)
        status = adm_model_plan_memory(model, batch, &run, &plan, &error);
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
