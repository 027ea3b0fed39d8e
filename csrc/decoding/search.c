#include "decoding/search.h"

#include "base/base.h"
#include "decoding/decoder.h"

#include <math.h>

#define MAX_BEAM ((int64_t)1 << 20) /* of what one has use for */

adm_search adm_search_default(void)
{
    return (adm_search){.beam = 5, .best = 1, .alpha = 1.0, .eos = 2};
}

static adm_status check_lengths(const adm_decoder *decoder, const adm_search *search,
                                const adm_sequences *prefixes, adm_error *error)
{
    const int64_t longest = decoder->reader->config.max_length;
    for (int64_t b = 0; b < prefixes->count; b++) {
        const int64_t prefix = prefixes->offsets[b + 1] - prefixes->offsets[b];
        const int64_t read = prefix + search->most[b] - (search->cut ? 1 : 0);
        if (search->least[b] < 0 || search->most[b] < adm_max(search->least[b], 1))
            return adm_fail(
                error, ADM_ERROR_VALUE,
                "sequence %lld must get from least to most tokens, most at least 1, got %lld to %lld",
                (long long)b, (long long)search->least[b], (long long)search->most[b]);
        if (read > longest)
            return adm_fail(error, ADM_ERROR_VALUE,
                            "sequence %lld with %lld tokens at most would be longer than the model reads, "
                            "max_length=%lld",
                            (long long)b, (long long)search->most[b], (long long)longest);
    }
    return ADM_OK;
}

adm_status adm_search_check(const adm_decoder *decoder, const adm_search *search,
                            const adm_sequences *prefixes, adm_error *error)
{
    const int64_t v = decoder->reader->config.vocab_size;
    if (search->least == NULL || search->most == NULL)
        return adm_fail(error, ADM_ERROR_VALUE, "least and most must be given, got NULL");
    if (search->beam < 1 || search->beam > MAX_BEAM)
        return adm_fail(error, ADM_ERROR_VALUE, "beam must be from 1 to %lld, got %lld", (long long)MAX_BEAM,
                        (long long)search->beam);
    if (search->best < 1 || search->best > search->beam)
        return adm_fail(error, ADM_ERROR_VALUE, "best must be from 1 to beam=%lld, got %lld",
                        (long long)search->beam, (long long)search->best);
    if (!isfinite(search->alpha))
        return adm_fail(error, ADM_ERROR_VALUE, "alpha must be finite, got %g", search->alpha);
    if (search->no_repeat < 0)
        return adm_fail(error, ADM_ERROR_VALUE, "no_repeat must be at least 0, got %lld",
                        (long long)search->no_repeat);
    if (search->eos < 0 || search->eos >= v)
        return adm_fail(error, ADM_ERROR_INDEX, "eos is outside the vocabulary [0, %lld), got %d",
                        (long long)v, (int)search->eos);
    return check_lengths(decoder, search, prefixes, error);
}
