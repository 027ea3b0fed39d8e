/* The module: its types, its state, its functions. */
#define PYADM_IMPORTS_NUMPY
#include "python/module.h"

#include <unistd.h>

#include "base/base.h"
#include "base/portable.h"
#include "python/arguments.h"
#include "python/arrays.h"
#include "python/errors.h"

static struct PyModuleDef module_definition;

pyadm_state *pyadm_state_of(PyTypeObject *type)
{
    /* A subclass made in Python belongs to no module of ours, but one of its bases does. */
    for (PyTypeObject *t = type; t != NULL; t = t->tp_base) {
        if (!(t->tp_flags & Py_TPFLAGS_HEAPTYPE))
            continue;
        PyObject *module = ((PyHeapTypeObject *)t)->ht_module;
        if (module != NULL && PyModule_GetDef(module) == &module_definition)
            return PyModule_GetState(module);
    }
    PyErr_Format(PyExc_SystemError, "%s has lost its module", type->tp_name);
    return NULL;
}

/* No function of the core takes more than 16 KiB of it (cflags), a pass less than half of this. */
#define STACK_NEEDED ((ptrdiff_t)64 * 1024)

/* Whether the calling thread has the stack for a pass. Threads that Python or another library made may have little;
   to run out of it is a crash. Where the stack is not known it is taken to be enough. */
static bool enough_stack(void)
{
    static _Thread_local const char *lowest; /* of this thread's stack, found once: that takes a while */
    static _Thread_local size_t size;
    if (lowest == NULL)
        lowest = adm_stack_of_thread(&size);
    const char *here = __builtin_frame_address(0);
    const bool inside = lowest != NULL && here >= lowest && (size_t)(here - lowest) < size;
    return !inside || here - lowest >= STACK_NEEDED;
}

int pyadm_enter(pid_t *user, PyObject *object)
{
    if (!enough_stack()) {
        PyErr_Format(PyExc_RuntimeError,
                     "the stack of this thread must have %d KiB left for the core, see threading.stack_size",
                     (int)(STACK_NEEDED / 1024));
        return -1;
    }
    const pid_t process = getpid();
    if (*user == 0) {
        *user = process;
        return 0;
    }
    if (*user == process)
        PyErr_Format(PyExc_RuntimeError, "the %s is busy in another thread", Py_TYPE(object)->tp_name);
    else
        PyErr_Format(PyExc_RuntimeError,
                     "the %s was busy in another thread when this process was forked, and stays so here: "
                     "use a copy",
                     Py_TYPE(object)->tp_name);
    return -1;
}

void pyadm_leave(pid_t *user)
{
    *user = 0;
}

PyObject *pyadm_refuse_pickle(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    PyErr_Format(PyExc_TypeError,
                 "cannot pickle or copy objects of type %s: keep their configuration and arrays",
                 Py_TYPE(self)->tp_name);
    return NULL;
}

/* ---- functions ---- */

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "GCC " __VERSION__
#endif

PyDoc_STRVAR(set_num_threads_doc,
             "set_num_threads($module, n, /)\n--\n\n"
             "Set how many threads core calls of this module use; results do not depend on it.\n\n"
             "Parameters\n----------\nn : int\n    From 1 to 1024.");

static PyObject *set_num_threads(PyObject *module, PyObject *value)
{
    int64_t threads = 0;
    if (pyadm_read_int64(value, "n", 1, PYADM_MAX_THREADS, &threads) < 0)
        return NULL;
    pyadm_state_of_module(module)->threads = (int)threads;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(get_num_threads_doc, "get_num_threads($module, /)\n--\n\n"
                                  "How many threads core calls of this module use.");

static PyObject *get_num_threads(PyObject *module, PyObject *ignored)
{
    (void)ignored;
    return PyLong_FromLong(pyadm_state_of_module(module)->threads);
}

PyDoc_STRVAR(num_procs_doc, "num_procs($module, /)\n--\n\n"
                            "How many processors this process may use.");

static PyObject *num_procs(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyLong_FromLong(adm_system_num_procs());
}

PyDoc_STRVAR(load_blas_doc,
             "load_blas($module, file, /)\n--\n\n"
             "Load OpenBLAS, for what asks for its products; one that is loaded stays.\n\n"
             "Parameters\n----------\nfile : path\n    Of a shared library with 32-bit integers.");

static PyObject *load_blas(PyObject *module, PyObject *path)
{
    (void)module;
    PyObject *file = NULL;
    if (!PyUnicode_FSConverter(path, &file))
        return NULL;
    adm_error error;
    const adm_status status = adm_blas_load(PyBytes_AS_STRING(file), &error);
    Py_DECREF(file);
    if (status != ADM_OK)
        return pyadm_raise(&error);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(
    system_info_doc,
    "system_info($module, /)\n--\n\n"
    "What the core runs on: a dict of kernels, blas, blas_file, dtype, num_procs, threads, compiler.");

static PyObject *system_info(PyObject *module, PyObject *ignored)
{
    (void)ignored;
    PyObject *blas_file = PyUnicode_DecodeFSDefault(adm_system_blas_file());
    if (!blas_file)
        return NULL;
    return Py_BuildValue("{s:s,s:s,s:N,s:s,s:i,s:i,s:s}", "kernels", adm_kernels_name(adm_kernels_select()),
                         "blas", adm_system_blas(), "blas_file", blas_file, "dtype", ADM_DTYPE_NAME,
                         "num_procs", adm_system_num_procs(), "threads",
                         pyadm_state_of_module(module)->threads, "compiler", COMPILER);
}

static PyMethodDef module_functions[] = {
    {"set_num_threads", set_num_threads, METH_O, set_num_threads_doc},
    {"get_num_threads", get_num_threads, METH_NOARGS, get_num_threads_doc},
    {"num_procs", num_procs, METH_NOARGS, num_procs_doc},
    {"load_blas", load_blas, METH_O, load_blas_doc},
    {"system_info", system_info, METH_NOARGS, system_info_doc},
    {"norm2", pyadm_norm2, METH_O, pyadm_norm2_doc},
    {"block_length", pyadm_block_length, METH_O, pyadm_block_length_doc},
    {"block_squares", pyadm_block_squares, METH_VARARGS, pyadm_block_squares_doc},
    {"add", pyadm_add, METH_VARARGS, pyadm_add_doc},
    PYADM_KEYWORD_METHOD("plan_memory", pyadm_plan_memory, pyadm_plan_memory_doc),
    {"product", pyadm_product, METH_VARARGS, pyadm_product_doc},
    {"trace_begin", pyadm_trace_begin, METH_O, pyadm_trace_begin_doc},
    {"trace_end", pyadm_trace_end, METH_NOARGS, pyadm_trace_end_doc},
    {"exp", pyadm_exp, METH_O, pyadm_exp_doc},
    {"tanh", pyadm_tanh, METH_O, pyadm_tanh_doc},
    {"log", pyadm_log, METH_O, pyadm_log_doc},
    {"cos_turns", pyadm_cos_turns, METH_O, pyadm_cos_turns_doc},
    {"power", pyadm_power, METH_VARARGS, pyadm_power_doc},
    {"parameter_shapes", pyadm_parameter_shapes, METH_O, pyadm_parameter_shapes_doc},
    {NULL, NULL, 0, NULL},
};

/* ---- initialisation ---- */

/* Makes a type, puts it into the module, and keeps it in *place. */
static int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base, PyTypeObject **place)
{
    *place = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, (PyObject *)base);
    return *place == NULL ? -1 : PyModule_AddType(module, *place);
}

static int module_exec(PyObject *module)
{
    pyadm_state *state = PyModule_GetState(module);
    import_array1(-1);
    state->threads = adm_system_num_procs();
    if (add_type(module, &pyadm_batch_spec, NULL, &state->batch) < 0 ||
        add_type(module, &pyadm_model_spec, NULL, &state->model) < 0 ||
        add_type(module, &pyadm_transformer_spec, state->model, &state->transformer) < 0 ||
        add_type(module, &pyadm_encoder_layer_spec, state->model, &state->encoder_layer) < 0 ||
        add_type(module, &pyadm_decoder_layer_spec, state->model, &state->decoder_layer) < 0 ||
        add_type(module, &pyadm_optimizer_spec, NULL, &state->optimizer) < 0 ||
        add_type(module, &pyadm_decoder_spec, NULL, &state->decoder) < 0)
        return -1;
    return pyadm_forks_register();
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    const pyadm_state *state = PyModule_GetState(module);
    Py_VISIT(state->batch);
    Py_VISIT(state->model);
    Py_VISIT(state->transformer);
    Py_VISIT(state->encoder_layer);
    Py_VISIT(state->decoder_layer);
    Py_VISIT(state->optimizer);
    Py_VISIT(state->decoder);
    return 0;
}

static int module_clear(PyObject *module)
{
    pyadm_state *state = PyModule_GetState(module);
    Py_CLEAR(state->batch);
    Py_CLEAR(state->model);
    Py_CLEAR(state->transformer);
    Py_CLEAR(state->encoder_layer);
    Py_CLEAR(state->decoder_layer);
    Py_CLEAR(state->optimizer);
    Py_CLEAR(state->decoder);
    return 0;
}

static void module_free(void *module)
{
    (void)module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED /* NumPy's table of functions is one a process */
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

PyDoc_STRVAR(module_doc, "The compute core in " ADM_DTYPE_NAME ": models, optimisers, batches.");

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,         .m_name = ADM_MODULE_NAME,     .m_doc = module_doc,
    .m_size = sizeof(pyadm_state), .m_methods = module_functions, .m_slots = module_slots,
    .m_traverse = module_traverse, .m_clear = module_clear,       .m_free = module_free,
};

PyMODINIT_FUNC ADM_MODULE_INIT(void)
{
    return PyModuleDef_Init(&module_definition);
}
