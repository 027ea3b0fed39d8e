/* What the files of the binding share: Python and NumPy, the state of the module, the objects. */
#ifndef ADM_PYTHON_MODULE_H
#define ADM_PYTHON_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

/* One table of NumPy's functions for all files of the module; module.c fills it. */
#define NPY_NO_DEPRECATED_API NPY_1_22_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL pyadm_numpy_api
#ifndef PYADM_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>
#include <sys/types.h>

#include "admin/admin.h"

#ifdef ADM_DOUBLE
#define PYADM_REAL NPY_FLOAT64
#else
#define PYADM_REAL NPY_FLOAT32
#endif

#define PYADM_MAX_THREADS 1024 /* beyond it a number of threads is a mistake */

typedef struct pyadm_state {
    PyTypeObject *batch, *model, *transformer, *encoder_layer, *decoder_layer, *optimizer, *decoder;
    int threads; /* that core calls use */
} pyadm_state;

static inline pyadm_state *pyadm_state_of_module(PyObject *module)
{
    return PyModule_GetState(module);
}

/* State of the module that a type or one of its bases belongs to; NULL with an exception. */
pyadm_state *pyadm_state_of(PyTypeObject *type);

/* ---- model.c: what Transformer, EncoderLayer and DecoderLayer have in common ---- */

typedef struct pyadm_model {
    PyObject_HEAD PyObject *handle; /* capsule that owns the core's model; the base of every view */
    adm_model *model;
    PyObject *weakrefs;
    uint64_t seed; /* of dropout */
    pid_t user;    /* the process of which a thread is in the core with it, or 0 */
    bool observed; /* there are observations */
} pyadm_model;

/* A new object of `type` around a new model of the core with weights drawn from seed. */
PyObject *pyadm_model_new(PyTypeObject *type, const adm_config *config, uint64_t seed, bool draw);

/* ---- batch.c ---- */

typedef struct pyadm_batch {
    PyObject_HEAD PyObject *handle; /* capsule that owns the memory of sequences */
    PyObject *weakrefs;
    adm_batch sequences;
} pyadm_batch;

/* The batch that argument `name` must be; NULL with an exception. */
const adm_batch *pyadm_batch_get(const pyadm_state *state, PyObject *value, const char *name);

/* ---- observe.c: methods that look into a model ---- */

PyObject *pyadm_transformer_profile(PyObject *self, PyObject *args, PyObject *keywords);
PyObject *pyadm_model_observations(PyObject *self, PyObject *ignored);
PyObject *pyadm_model_activation(PyObject *self, PyObject *args, PyObject *keywords);
PyObject *pyadm_model_norms(PyObject *self, PyObject *args, PyObject *keywords);
PyObject *pyadm_layer_profile(PyObject *self, PyObject *args, PyObject *keywords);

extern const char pyadm_transformer_profile_doc[];
extern const char pyadm_model_observations_doc[];
extern const char pyadm_model_activation_doc[];
extern const char pyadm_model_norms_doc[];
extern const char pyadm_layer_profile_doc[];

/* ---- memory.c ---- */

PyObject *pyadm_plan_memory(PyObject *module, PyObject *args, PyObject *keywords);
PyObject *pyadm_parameter_shapes(PyObject *module, PyObject *config);
extern const char pyadm_plan_memory_doc[], pyadm_parameter_shapes_doc[];

/* ---- trace.c ---- */

PyObject *pyadm_trace_begin(PyObject *module, PyObject *capacity);
PyObject *pyadm_trace_end(PyObject *module, PyObject *ignored);
extern const char pyadm_trace_begin_doc[], pyadm_trace_end_doc[];

/* ---- elementary.c ---- */

PyObject *pyadm_exp(PyObject *module, PyObject *x);
PyObject *pyadm_tanh(PyObject *module, PyObject *x);
PyObject *pyadm_log(PyObject *module, PyObject *x);
PyObject *pyadm_cos_turns(PyObject *module, PyObject *turns);
PyObject *pyadm_power(PyObject *module, PyObject *args);
extern const char pyadm_exp_doc[], pyadm_tanh_doc[], pyadm_log_doc[], pyadm_cos_turns_doc[],
    pyadm_power_doc[];

/* ---- product.c ---- */

PyObject *pyadm_product(PyObject *module, PyObject *args);
extern const char pyadm_product_doc[];

/* ---- blocks.c ---- */

PyObject *pyadm_norm2(PyObject *module, PyObject *array);
PyObject *pyadm_block_length(PyObject *module, PyObject *n);
PyObject *pyadm_block_squares(PyObject *module, PyObject *args);
PyObject *pyadm_add(PyObject *module, PyObject *args);
extern const char pyadm_norm2_doc[], pyadm_block_length_doc[], pyadm_block_squares_doc[], pyadm_add_doc[];

/* ---- optimizer.c ---- */

/* Bytes of the moments that an Optimizer needs for a model of these parameters; -1 with an exception. */
int pyadm_optimizer_bytes(const pyadm_state *state, PyObject *optimizer, const adm_param_table *params,
                          size_t *bytes);

/* ---- analysis.c: where a residual stream comes from, how far it moves ---- */

PyObject *pyadm_transformer_dependency(PyObject *self, PyObject *args, PyObject *keywords);
PyObject *pyadm_transformer_output_change(PyObject *self, PyObject *args, PyObject *keywords);

extern const char pyadm_transformer_dependency_doc[];
extern const char pyadm_transformer_output_change_doc[];

/* ---- layers.c ---- */

/* Arguments of one pass through a layer, checked; offsets are the binding's and freed by pyadm_hidden_free. */
typedef struct pyadm_hidden {
    adm_hidden input;
    int64_t rows, memory_rows;
    int64_t *offsets, *memory_offsets;
} pyadm_hidden;
int pyadm_hidden_read(const adm_model *model, PyObject *x, PyObject *lengths, PyObject *memory,
                      PyObject *memory_lengths, pyadm_hidden *hidden);
void pyadm_hidden_free(pyadm_hidden *hidden);
/* Forgets the last forward pass: the core's activations are another pass's now. */
void pyadm_layer_forget(PyObject *self);

extern PyType_Spec pyadm_batch_spec, pyadm_model_spec, pyadm_transformer_spec, pyadm_encoder_layer_spec,
    pyadm_decoder_layer_spec, pyadm_optimizer_spec, pyadm_decoder_spec;

/* ---- calls into the core ---- */

/* Marks an object as used by this thread; RuntimeError where another is using it, or was when this process was
   forked. Guarded by the GIL. */
int pyadm_enter(pid_t *user, PyObject *object);
void pyadm_leave(pid_t *user);

/* ---- forks.c ---- */

/* Lets forks wait for calls of the core; 0, or -1 with an exception. Once is enough, more do no harm. */
int pyadm_forks_register(void);

/* `call` without the GIL. */
#define PYADM_WITHOUT_GIL(call)                                                                              \
    Py_BEGIN_ALLOW_THREADS call;                                                                             \
    Py_END_ALLOW_THREADS

/* Of one call: lets Python handle signals now and then. */
typedef struct pyadm_watch {
    adm_stop stop;
    PyThreadState *thread;
    pid_t process; /* that made the call; another one is a child of it */
} pyadm_watch;

/* Gives the GIL away; in the main thread `run` asks then whether a handler of a signal has raised an exception. */
void pyadm_watch_begin(pyadm_watch *watch, adm_run *run);
void pyadm_watch_end(const pyadm_watch *watch, adm_run *run);

/* `call`, which takes `run`, without the GIL; ADM_STOPPED with an exception where a signal's handler raises one. */
#define PYADM_INTERRUPTIBLE(run, call)                                                                       \
    do {                                                                                                     \
        pyadm_watch watch;                                                                                   \
        pyadm_watch_begin(&watch, run);                                                                      \
        call;                                                                                                \
        pyadm_watch_end(&watch, run);                                                                        \
    } while (0)

/* ---- shared by all types ---- */

/* __reduce__ of every type: objects of the core are not pickled. */
PyObject *pyadm_refuse_pickle(PyObject *self, PyObject *ignored);
#define PYADM_REDUCE_METHOD                                                                                  \
    {"__reduce__", pyadm_refuse_pickle, METH_NOARGS,                                                         \
     "__reduce__($self, /)\n--\n\nRaises TypeError: objects of the core are not pickled."}

/* A method with keyword arguments, in the form that PyMethodDef wants. */
#define PYADM_KEYWORD_METHOD(name, function, doc)                                                            \
    {name, (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS, doc}

#endif
