/* Beam search over a decoder. Per step and sequence the 2 beam best continuations of its open hypotheses are looked at in
   order; those that end, among the first `beam`, are finished, and the first `beam` that do not go on (as in fairseq). The
   score of a hypothesis is the sum of log p of its tokens, the end included, over a penalty of its length n, the end
   included. Of equal continuations that of the earlier hypothesis comes first, and then the smaller id. */
#ifndef ADMIN_SEARCH_H
#define ADMIN_SEARCH_H

#include "admin/decoder.h"

ADM_BEGIN

typedef enum adm_length_penalty {
    ADM_PENALTY_POWER = 0, /* n^alpha, as in fairseq */
    ADM_PENALTY_GNMT       /* ((5 + n) / 6)^alpha (Wu et al. 2016, equation 14) */
} adm_length_penalty;

typedef enum adm_search_end {
    ADM_END_BOUND = 0, /* when no open hypothesis can be better than the `best` finished ones */
    ADM_END_COUNT      /* when `beam` hypotheses have finished, as in fairseq and CTranslate2 */
} adm_search_end;

typedef struct adm_search {
    int64_t beam;
    int64_t best; /* hypotheses wanted of each sequence, at most `beam` */
    adm_length_penalty penalty;
    double alpha;
    adm_search_end end;
    int64_t
        no_repeat; /* no hypothesis has an n-gram of so many tokens twice, its prefix included; 0: it may */
    int32_t eos;
    bool cut; /* what is as long as it may be is finished as it is; else the end is what follows */
    const int64_t *least, *most; /* [B] tokens before the end, at least and at most */
} adm_search;

ADM_API adm_search adm_search_default(void);

typedef struct adm_found {
    int64_t sequence;
    double score, sum; /* sum of log p, and over the penalty */
    int64_t length;
    const int32_t *tokens; /* [length] that follow the prefix, the end included if it came */
} adm_found;

/* Of sequence after sequence, the best first. */
typedef struct adm_found_list {
    int64_t count;
    adm_found *items;
    int32_t *tokens;
} adm_found_list;

/* As adm_decoder_begin, whose hypotheses are this search's: none is left. The list is to be freed, unless there was an
   error. */
ADM_API adm_status adm_beam_search(adm_decoder *decoder, const adm_batch *batch, bool pack,
                                   const adm_search *search, const adm_run *run, adm_found_list *found,
                                   adm_error *error);
ADM_API void adm_found_free(adm_found_list *found);

ADM_END

#endif
