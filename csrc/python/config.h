/* From the dict that describes a model to the core's adm_config. */
#ifndef ADM_PYTHON_CONFIG_H
#define ADM_PYTHON_CONFIG_H

#include "python/module.h"

/* Reads and checks a whole configuration. Every field must be there, with its type, and no other. 0, or -1 with an
   exception that names the field by its path, such as encoder.sublayers[3].omega.kind. */
int pyadm_config_read(PyObject *dict, adm_config *config);
void pyadm_config_free(adm_config *config);

#endif
