/* A model's file is written: the header's length, the header (JSON), the numbers one after another. */
#include "admin/files.h"
#include "library/config_text.h"
#include "library/tensors.h"
#include "library/whole_file.h"

#include <string.h>

#define HEADER_ALIGN 8 /* bytes */

/* As a JSON string within JSON. */
static void add_quoted(adm_text *text, const adm_text *quoted)
{
    for (size_t i = 0; i < quoted->length; i++)
        adm_text_add(text, quoted->bytes[i] == '"' ? "\\\"" : "%c", quoted->bytes[i]);
}

static void add_tensor(adm_text *text, const adm_param *param, int64_t begin)
{
    adm_text_add(text, ",\"%s\":{\"dtype\":\"" ADM_FILE_TYPE "\",\"shape\":[%lld", param->name,
                 (long long)param->shape[0]);
    if (param->ndim == 2)
        adm_text_add(text, ",%lld", (long long)param->shape[1]);
    adm_text_add(text, "],\"data_offsets\":[%lld,%lld]}", (long long)begin,
                 (long long)(begin + param->size * (int64_t)sizeof(adm_real)));
}

static adm_status header_of(const adm_model *model, adm_text *header, adm_error *error)
{
    const adm_param_table *params = adm_model_params(model);
    adm_text config = {0};
    const adm_status status = adm_config_text(adm_model_config(model), &config, error);
    if (status == ADM_OK) {
        adm_text_add(header,
                     "{\"" ADM_FILE_METADATA "\":{\"format\":\"" ADM_FILE_FORMAT
                     "\",\"version\":\"" ADM_FILE_VERSION "\",\"seed\":\"0\",\"step\":\"0\",\"config\":\"");
        add_quoted(header, &config);
        adm_text_add(header, "\"}");
        int64_t begin = 0;
        for (int64_t p = 0; p < params->count; p++) {
            add_tensor(header, &params->items[p], begin);
            begin += params->items[p].size * (int64_t)sizeof(adm_real);
        }
        adm_text_add(header, "}");
        while (!header->failed && header->length % HEADER_ALIGN != 0)
            adm_text_add(header, " ");
    }
    adm_text_free(&config);
    if (status == ADM_OK && (header->failed || header->length > ADM_FILE_HEADER_MOST))
        return adm_fail(error, ADM_ERROR_MEMORY, "no room for the header of a file");
    return status;
}

static adm_status write_all(adm_whole_file *file, adm_model *model, const adm_text *header, adm_error *error)
{
    const adm_param_table *params = adm_model_params(model);
    const adm_real *weights = adm_model_weights(model);
    const uint64_t length = header->length;
    adm_status status = adm_whole_file_write(file, &length, sizeof length, error);
    if (status == ADM_OK)
        status = adm_whole_file_write(file, header->bytes, header->length, error);
    for (int64_t p = 0; p < params->count && status == ADM_OK; p++)
        status = adm_whole_file_write(file, weights + params->items[p].offset,
                                      (size_t)params->items[p].size * sizeof *weights, error);
    return status;
}

adm_status adm_model_save(adm_model *model, const char *path, adm_error *error)
{
    if (adm_model_weights(model) == NULL)
        return adm_fail(error, ADM_ERROR_STATE, "an outline has no weights to save");
    adm_text header = {0};
    adm_whole_file file;
    adm_status status = header_of(model, &header, error);
    if (status == ADM_OK)
        status = adm_whole_file_begin(&file, path, error);
    if (status == ADM_OK)
        status = adm_whole_file_end(&file, write_all(&file, model, &header, error), error);
    adm_text_free(&header);
    return status;
}
