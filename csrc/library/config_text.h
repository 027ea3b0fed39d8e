/* A configuration as Python writes it into the headers of its files. */
#ifndef ADM_LIBRARY_CONFIG_TEXT_H
#define ADM_LIBRARY_CONFIG_TEXT_H

#include "admin/config.h"
#include "library/text.h"

/* The JSON of TransformerConfig.to_dict, or ADM_ERROR_VALUE for what that has no words for. */
adm_status adm_config_text(const adm_config *config, adm_text *text, adm_error *error);

#endif
