/* Files of models: safetensors, the same that Python writes and reads. */
#ifndef ADMIN_FILES_H
#define ADMIN_FILES_H

#include "admin/model.h"

ADM_BEGIN

/* Writes the weights and the configuration of a model with a vocabulary, whole or not at all: aside, in the same folder,
   flushed and renamed. `admin_py.load` opens it, too. */
ADM_API adm_status adm_model_save(adm_model *model, const char *path, adm_error *error);

/* Reads the weights of a file into a model of the same parameters: names, shapes and precision have to be the model's.
   Whatever is wrong with the file is found before a weight is changed, but a disk that fails while numbers are read. */
ADM_API adm_status adm_model_load(adm_model *model, const char *path, adm_error *error);

ADM_END

#endif
