/* What is asked of a search, and whether it can be done. */
#ifndef ADM_DECODING_SEARCH_H
#define ADM_DECODING_SEARCH_H

#include "admin/search.h"

adm_status adm_search_check(const adm_decoder *decoder, const adm_search *search,
                            const adm_sequences *prefixes, adm_error *error);

#endif
