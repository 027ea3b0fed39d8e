#include "admin/search.h"

#include "base/base.h"
#include "decoding/decoder.h"
#include "decoding/search.h"
#include "model/shape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A token after another: hypotheses that branch share what they have in common. */
typedef struct token_node {
    int32_t token;
    int64_t before; /* number of a node, or -1: the prefix */
} token_node;

/* A hypothesis that goes on: its row of the step, and what it is. */
typedef struct open_one {
    int64_t node;
    double sum;
} open_one;

typedef struct finished_one {
    int64_t node, length;
    double score, sum;
} finished_one;

/* A continuation of open hypothesis number `from` of its sequence. */
typedef struct candidate {
    int64_t from;
    int32_t token;
    double sum;
} candidate;

/* What is searched for of one sequence. */
typedef struct sequence {
    int64_t number;         /* in the batch */
    int64_t first, rows;    /* its open hypotheses among all */
    finished_one *finished; /* [beam] the best first */
    int64_t finished_count;
} sequence;

typedef struct beam_search {
    const adm_search *search;
    adm_decoder *decoder;
    const adm_sequences *prefixes;
    int64_t width;       /* candidates of a row: 2 beam, or the vocabulary */
    int64_t looked_at;   /* and of a sequence: 2 beam */
    int64_t steps;       /* tokens that every open hypothesis has after its prefix */
    sequence *sequences; /* [B] the active ones first */
    int64_t active;
    finished_one *finished; /* [B, beam] */
    open_one *open, *next;  /* [B beam] */
    int64_t rows;
    int64_t *row_sequence; /* [B beam] number in the batch of each row's */
    int64_t *parents;      /* [B beam] */
    int32_t *ids;          /* [B beam] */
    double *scores;        /* [B beam, width] */
    int32_t *tokens;       /* [B beam, width] */
    int64_t *taken;        /* [beam] candidates of each row that are taken */
    candidate *candidates; /* [width] */
    int32_t *lines;        /* [B beam, longest] tokens of a hypothesis, where n-grams are looked for */
    int64_t longest;
    token_node *nodes;
    int64_t nodes_count, nodes_capacity;
} beam_search;

static adm_status no_memory(adm_error *error)
{
    return adm_fail(error, ADM_ERROR_MEMORY, "no memory for a search");
}

/* ---- scores ---- */

static double penalty_of(const adm_search *search, int64_t length)
{
    const double n = search->penalty == ADM_PENALTY_GNMT ? (5.0 + (double)length) / 6.0 : (double)length;
    if (search->alpha == 0.0)
        return 1.0;
    return search->alpha == 1.0 ? n : adm_exp(search->alpha * adm_log(n));
}

/* The best that an open hypothesis can come to, since log p is never above 0: at its next end, or as late as may be. */
static double attainable(const beam_search *all, const sequence *of, double sum)
{
    const adm_search *search = all->search;
    const int64_t end = search->cut ? 0 : 1;
    const double soon = sum / penalty_of(search, all->steps + 1);
    const double late = sum / penalty_of(search, adm_max(search->most[of->number] + end, all->steps + 1));
    return soon > late ? soon : late;
}

/* ---- what a row may not choose ---- */

static int32_t token_before(const beam_search *all, int64_t *node, const int32_t *prefix, int64_t *left)
{
    if (*node >= 0) {
        const int32_t token = all->nodes[*node].token;
        *node = all->nodes[*node].before;
        return token;
    }
    return prefix[--*left];
}

/* Forbids every token that would complete an n-gram which is there already: for each n - 1 tokens equal to the last ones,
   that which follows them. */
static void forbid_repeats(const beam_search *all, int64_t row, adm_real *logits)
{
    const int64_t n = all->search->no_repeat, number = all->row_sequence[row];
    const int64_t begin = all->prefixes->offsets[number];
    const int64_t before = all->prefixes->offsets[number + 1] - begin, length = before + all->steps;
    int32_t *tokens = all->lines + row * all->longest;
    int64_t node = all->open[row].node, left = before;
    for (int64_t i = length - 1; i >= 0; i--)
        tokens[i] = token_before(all, &node, all->prefixes->tokens + begin, &left);
    for (int64_t i = 0; i + n <= length; i++)
        if (memcmp(tokens + i, tokens + length - (n - 1), (size_t)(n - 1) * sizeof *tokens) == 0)
            logits[tokens[i + n - 1]] = -(adm_real)INFINITY;
}

static void forbid(void *context, int64_t row, adm_real *logits)
{
    const beam_search *all = context;
    const adm_search *search = all->search;
    const int64_t v = all->decoder->reader->config.vocab_size, number = all->row_sequence[row];
    const adm_real end = logits[search->eos];
    if (all->steps >= search->most[number]) {
        for (int64_t c = 0; c < v; c++)
            logits[c] = -(adm_real)INFINITY;
        logits[search->eos] = end;
        return;
    }
    if (search->no_repeat > 0)
        forbid_repeats(all, row, logits);
    if (all->steps < search->least[number])
        logits[search->eos] = -(adm_real)INFINITY;
}

/* ---- one step of one sequence ---- */

/* The best continuations of its open hypotheses, in order; how many. Those of a row are in order already. */
static int64_t gather(beam_search *all, const sequence *of)
{
    int64_t count = 0;
    memset(all->taken, 0, (size_t)of->rows * sizeof *all->taken);
    while (count < all->looked_at) {
        candidate best = {.from = -1};
        for (int64_t i = 0; i < of->rows; i++) {
            const int64_t row = of->first + i;
            if (all->taken[i] == all->width || all->tokens[row * all->width + all->taken[i]] < 0)
                continue;
            const int64_t at = row * all->width + all->taken[i];
            const double sum = all->open[row].sum + all->scores[at];
            if (best.from < 0 || sum > best.sum)
                best = (candidate){i, all->tokens[at], sum};
        }
        if (best.from < 0)
            break;
        all->taken[best.from]++;
        all->candidates[count++] = best;
    }
    return count;
}

static adm_status add_node(beam_search *all, int32_t token, int64_t before, int64_t *number, adm_error *error)
{
    if (all->nodes_count == all->nodes_capacity) {
        const int64_t capacity = 2 * all->nodes_capacity + 1024;
        token_node *nodes = realloc(all->nodes, (size_t)capacity * sizeof *nodes);
        if (nodes == NULL)
            return no_memory(error);
        all->nodes = nodes;
        all->nodes_capacity = capacity;
    }
    all->nodes[all->nodes_count] = (token_node){token, before};
    *number = all->nodes_count++;
    return ADM_OK;
}

/* Puts a hypothesis among the finished ones, as far as there is room for the best. */
static void finish(const beam_search *all, sequence *of, finished_one one)
{
    int64_t at = of->finished_count;
    if (at == all->search->beam && !(one.score > of->finished[at - 1].score))
        return;
    if (at < all->search->beam)
        of->finished_count++;
    else
        at--;
    for (; at > 0 && of->finished[at - 1].score < one.score; at--)
        of->finished[at] = of->finished[at - 1];
    of->finished[at] = one;
}

/* Ends some hypotheses and lets others go on: these stand in `next` from number all->rows on. */
static adm_status branch(beam_search *all, sequence *of, adm_error *error)
{
    const adm_search *search = all->search;
    const int64_t count = gather(all, of), length = all->steps + 1, first = all->rows;
    const bool cut = search->cut && length >= search->most[of->number];
    const double penalty = penalty_of(search, length);
    for (int64_t c = 0; c < count && all->rows - first < search->beam; c++) {
        const candidate *one = &all->candidates[c];
        const bool ends = one->token == search->eos;
        if ((ends || cut) && c >= search->beam)
            continue;
        int64_t number = -1;
        const adm_status status =
            add_node(all, one->token, all->open[of->first + one->from].node, &number, error);
        if (status != ADM_OK)
            return status;
        if (ends || cut) {
            finish(all, of, (finished_one){number, length, one->sum / penalty, one->sum});
            continue;
        }
        all->next[all->rows] = (open_one){number, one->sum};
        all->parents[all->rows] = of->first + one->from;
        all->ids[all->rows] = one->token;
        all->rows++;
    }
    return ADM_OK;
}

/* Whether nothing more is to be found; its next hypotheses stand from `first` on. `steps` counts them already. */
static bool is_done(const beam_search *all, const sequence *of, int64_t first)
{
    const adm_search *search = all->search;
    if (first == all->rows)
        return true;
    if (search->end == ADM_END_COUNT)
        return of->finished_count >= search->beam;
    if (of->finished_count < search->best)
        return false;
    const double worst = of->finished[search->best - 1].score;
    for (int64_t i = first; i < all->rows; i++)
        if (attainable(all, of, all->next[i].sum) > worst)
            return false;
    return true;
}

/* ---- all sequences ---- */

static adm_status choose(beam_search *all, const adm_run *run, adm_error *error)
{
    const adm_top top = {all->width, all->scores, all->tokens, forbid, all};
    return adm_decoder_top(all->decoder, &top, run, error);
}

/* From the candidates of all rows to the rows of the next step. */
static adm_status branch_all(beam_search *all, adm_error *error)
{
    int64_t active = 0;
    all->rows = 0;
    for (int64_t s = 0; s < all->active; s++) {
        sequence *of = &all->sequences[s];
        const int64_t first = all->rows;
        const adm_status status = branch(all, of, error);
        if (status != ADM_OK)
            return status;
        all->steps++; /* of those that go on */
        const bool done = is_done(all, of, first);
        all->steps--;
        if (done) {
            all->rows = first;
            continue;
        }
        of->first = first;
        of->rows = all->rows - first;
        for (int64_t i = first; i < all->rows; i++)
            all->row_sequence[i] = of->number;
        /* the ended ones change places, with their lists */
        const sequence goes_on = *of;
        *of = all->sequences[active];
        all->sequences[active++] = goes_on;
    }
    all->active = active;
    all->steps++;
    open_one *other = all->open;
    all->open = all->next;
    all->next = other;
    return ADM_OK;
}

/* ---- what is found ---- */

static void copy_tokens(const beam_search *all, const finished_one *one, int32_t *tokens)
{
    int64_t node = one->node;
    for (int64_t i = one->length - 1; i >= 0; i--) {
        tokens[i] = all->nodes[node].token;
        node = all->nodes[node].before;
    }
}

static int64_t best_count(const beam_search *all, int64_t s)
{
    return adm_min(all->sequences[s].finished_count, all->search->best);
}

/* In the order of the batch. */
static adm_status list_found(beam_search *all, adm_found_list *found, adm_error *error)
{
    const int64_t count = all->prefixes->count;
    int64_t items = 0, tokens = 0;
    for (int64_t s = 0; s < count; s++) {
        all->parents[all->sequences[s].number] = s;
        items += best_count(all, s);
        for (int64_t i = 0; i < best_count(all, s); i++)
            tokens += all->sequences[s].finished[i].length;
    }
    found->items = malloc((size_t)(items + 1) * sizeof *found->items);
    found->tokens = malloc((size_t)(tokens + 1) * sizeof *found->tokens);
    if (found->items == NULL || found->tokens == NULL) {
        adm_found_free(found);
        return no_memory(error);
    }
    int32_t *at = found->tokens;
    for (int64_t number = 0; number < count; number++) {
        const sequence *of = &all->sequences[all->parents[number]];
        for (int64_t i = 0; i < best_count(all, all->parents[number]); i++) {
            const finished_one *one = &of->finished[i];
            copy_tokens(all, one, at);
            found->items[found->count++] = (adm_found){number, one->score, one->sum, one->length, at};
            at += one->length;
        }
    }
    return ADM_OK;
}

void adm_found_free(adm_found_list *found)
{
    free(found->items);
    free(found->tokens);
    *found = (adm_found_list){0};
}

/* ---- the search ---- */

static void free_search(beam_search *all)
{
    void *parts[] = {all->sequences,  all->finished, all->open,   all->next,   all->row_sequence,
                     all->parents,    all->ids,      all->scores, all->tokens, all->taken,
                     all->candidates, all->lines,    all->nodes};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        free(parts[i]);
}

static adm_status make_search(beam_search *all, adm_error *error)
{
    const adm_search *search = all->search;
    const size_t count = (size_t)all->prefixes->count, beam = (size_t)search->beam, rows = count * beam;
    const size_t width = (size_t)all->width;
    for (size_t b = 0; b < count; b++)
        all->longest = adm_max(all->longest,
                               all->prefixes->offsets[b + 1] - all->prefixes->offsets[b] + search->most[b]);
    all->sequences = malloc(count * sizeof *all->sequences);
    all->finished = malloc(rows * sizeof *all->finished);
    all->open = malloc(rows * sizeof *all->open);
    all->next = malloc(rows * sizeof *all->next);
    all->row_sequence = malloc(rows * sizeof *all->row_sequence);
    all->parents = malloc(rows * sizeof *all->parents);
    all->ids = malloc(rows * sizeof *all->ids);
    all->scores = malloc(rows * width * sizeof *all->scores);
    all->tokens = malloc(rows * width * sizeof *all->tokens);
    all->taken = malloc(beam * sizeof *all->taken);
    all->candidates = malloc((size_t)all->looked_at * sizeof *all->candidates);
    if (search->no_repeat > 0)
        all->lines = malloc(rows * (size_t)all->longest * sizeof *all->lines);
    if (all->sequences == NULL || all->finished == NULL || all->open == NULL || all->next == NULL ||
        all->row_sequence == NULL || all->parents == NULL || all->ids == NULL || all->scores == NULL ||
        all->tokens == NULL || all->taken == NULL || all->candidates == NULL ||
        (search->no_repeat > 0 && all->lines == NULL))
        return no_memory(error);
    all->active = all->rows = (int64_t)count;
    for (int64_t b = 0; b < all->active; b++) {
        all->sequences[b] =
            (sequence){.number = b, .first = b, .rows = 1, .finished = all->finished + b * search->beam};
        all->open[b] = (open_one){-1, 0};
        all->row_sequence[b] = b;
    }
    return ADM_OK;
}

static adm_status search_all(beam_search *all, const adm_run *run, adm_error *error)
{
    adm_status status;
    while ((status = choose(all, run, error)) == ADM_OK && (status = branch_all(all, error)) == ADM_OK &&
           all->rows > 0) {
        status = adm_decoder_reorder(all->decoder, all->parents, all->rows, error);
        if (status == ADM_OK)
            status = adm_decoder_step(all->decoder, all->ids, run, error);
        if (status != ADM_OK)
            return status;
    }
    return status;
}

adm_status adm_beam_search(adm_decoder *decoder, const adm_batch *batch, bool pack, const adm_search *search,
                           const adm_run *run, adm_found_list *found, adm_error *error)
{
    beam_search all = {
        .search = search, .decoder = decoder, .prefixes = adm_decoded(&decoder->reader->params, batch)};
    *found = (adm_found_list){0};
    adm_status status = adm_search_check(decoder, search, all.prefixes, error);
    if (status != ADM_OK)
        return status;
    all.looked_at = 2 * search->beam;
    all.width = adm_min(all.looked_at, decoder->reader->config.vocab_size);
    status = adm_decoder_begin(decoder, batch, pack, run, error);
    if (status == ADM_OK)
        status = make_search(&all, error);
    if (status == ADM_OK)
        status = search_all(&all, run, error);
    if (status == ADM_OK)
        status = list_found(&all, found, error);
    free_search(&all);
    adm_decoder_reorder(decoder, NULL, 0, error); /* none is left */
    return status;
}
