#include "model/branch.h"

#include "layers/attention_block.h"
#include "layers/feed_forward.h"
#include "model/resolve.h"

#include <math.h>

/* ---- attention ---- */

adm_scoring adm_scoring_of(const adm_config *config)
{
    const double given = config->attention.scale, cap = config->attention.score_cap;
    const double scale = given > 0 ? given : 1.0 / sqrt((double)adm_head_width(config));
    if (cap > 0)
        return (adm_scoring){1, {(adm_real)(scale / cap), (adm_real)cap}};
    return (adm_scoring){(adm_real)scale, {0, 0}};
}

/* Of queries and keys, which lie side by side; those that read a memory have no positions. */
static adm_rotary_rows rotary_rows_of(const adm_sublayer_view *view)
{
    const adm_config *config = view->model;
    return (adm_rotary_rows){
        .rotation =
            {
                .heads = config->heads + adm_kv_heads(config),
                .width = adm_head_width(config),
                .rotated = view->params->kind->reads_memory ? 0 : adm_rotary_width(config),
                .interleaved = config->attention.rotary.interleaved,
            },
        .table = view->angles,
        .offsets = view->offsets,
        .starts = view->starts,
        .sequence = view->first_sequence,
        .row = view->first,
        .rows = view->rows,
        .stride = view->maps[ADM_MAP_IN].matrix.outputs,
    };
}

static adm_attention_block attention_block_of(const adm_sublayer_view *view)
{
    const adm_sublayer *sub = view->params;
    const bool reads_memory = sub->kind->reads_memory;
    const adm_config *config = view->model;
    return (adm_attention_block){
        .attention =
            {
                .heads = config->heads,
                .kv_heads = adm_kv_heads(config),
                .width = adm_head_width(config),
                .scoring = adm_scoring_of(config),
                .causal = !reads_memory && view->stack->causal,
                .window = view->config->window,
                .dropout = view->inner_dropout,
                .q_stride = sub->maps[ADM_MAP_IN].outputs,
                .kv_stride = sub->maps[reads_memory ? ADM_MAP_KV : ADM_MAP_IN].outputs,
                .ctx_stride = sub->maps[ADM_MAP_OUT].inputs,
            },
        .q_norm = view->q_norm,
        .k_norm = view->k_norm,
        .rotary = rotary_rows_of(view),
        .in = &view->maps[ADM_MAP_IN],
        .kv = reads_memory ? &view->maps[ADM_MAP_KV] : NULL,
        .dcontext = view->maps[ADM_MAP_OUT].dx,
        .offsets = view->offsets,
        .key_offsets = reads_memory ? view->memory_offsets : view->offsets,
        .first = view->first_sequence,
        .last = view->last_sequence,
        .row = view->first,
        .key_row = reads_memory ? view->memory_first : view->first,
        .context = view->inner_values,
        .lse = view->lse,
    };
}

static void attention_forward_in(adm_worker *worker, const adm_sublayer_view *view)
{
    const adm_attention_block block = attention_block_of(view);
    adm_attention_block_forward_in(worker, &block);
}

static void attention_backward_rows(adm_worker *worker, const adm_sublayer_view *view)
{
    const adm_attention_block block = attention_block_of(view);
    adm_attention_block_backward_rows(worker, &block);
}

static adm_attention_share share_of(const adm_sublayer_view *view, int64_t first_head, int64_t last_head)
{
    return (adm_attention_share){first_head, last_head, view->part, view->parts, view->attended};
}

void adm_branch_forward_heads(adm_worker *worker, const adm_sublayer_view *view, int64_t first, int64_t last)
{
    const adm_attention_block block = attention_block_of(view);
    const adm_attention_share share = share_of(view, first, last);
    adm_attention_block_forward_heads(worker, &block, &share);
}

void adm_branch_backward_heads(adm_worker *worker, const adm_sublayer_view *view, int64_t first, int64_t last)
{
    const adm_attention_block block = attention_block_of(view);
    const adm_attention_share share = share_of(view, first, last);
    adm_attention_block_backward_heads(worker, &block, &share);
}

/* ---- feed-forward ---- */

static adm_feed_forward feed_forward_of(const adm_sublayer_view *view)
{
    return (adm_feed_forward){
        .activation = view->model->activation,
        .gated = view->params->kind->gated,
        .dropout = view->inner_dropout,
        .row = view->first,
        .in = &view->maps[ADM_MAP_IN],
        .width = view->maps[ADM_MAP_OUT].matrix.inputs,
        .dhidden = view->maps[ADM_MAP_OUT].dx,
        .hidden = view->inner_values,
    };
}

static void feed_forward_forward_in(adm_worker *worker, const adm_sublayer_view *view)
{
    const adm_feed_forward block = feed_forward_of(view);
    adm_feed_forward_forward_in(worker, &block);
}

static void feed_forward_backward_rows(adm_worker *worker, const adm_sublayer_view *view)
{
    const adm_feed_forward block = feed_forward_of(view);
    adm_feed_forward_backward_rows(worker, &block);
}

/* ---- the table ---- */

#define ATTENTION_OUT {1, {"out"}, {ADM_PARAM_WEIGHT_OUT}, {ADM_WIDTH_MODEL}, ADM_WIDTH_QUERIES}

#define FEED_FORWARD_OUT {1, {"fc2"}, {ADM_PARAM_WEIGHT_FC2}, {ADM_WIDTH_MODEL}, ADM_WIDTH_HIDDEN}

enum { GATED_FEED_FORWARD = ADM_BRANCH_FEED_FORWARD + 1 };

static const adm_branch branches[] = {
    [ADM_BRANCH_SELF_ATTENTION] =
        {
            .name = "self_attn",
            .maps = {[ADM_MAP_IN] = {3,
                                     {"q", "k", "v"},
                                     {ADM_PARAM_WEIGHT_Q, ADM_PARAM_WEIGHT_K, ADM_PARAM_WEIGHT_V},
                                     {ADM_WIDTH_QUERIES, ADM_WIDTH_KEYS, ADM_WIDTH_KEYS},
                                     ADM_WIDTH_MODEL},
                     [ADM_MAP_OUT] = ATTENTION_OUT},
            .inner = ADM_WIDTH_QUERIES,
            .attends = true,
            .forward_in = attention_forward_in,
            .backward_rows = attention_backward_rows,
        },
    [ADM_BRANCH_CROSS_ATTENTION] =
        {
            .name = "cross_attn",
            .maps = {[ADM_MAP_IN] = {1, {"q"}, {ADM_PARAM_WEIGHT_Q}, {ADM_WIDTH_QUERIES}, ADM_WIDTH_MODEL},
                     [ADM_MAP_OUT] = ATTENTION_OUT,
                     [ADM_MAP_KV] = {2,
                                     {"k", "v"},
                                     {ADM_PARAM_WEIGHT_K, ADM_PARAM_WEIGHT_V},
                                     {ADM_WIDTH_KEYS, ADM_WIDTH_KEYS},
                                     ADM_WIDTH_MODEL}},
            .inner = ADM_WIDTH_QUERIES,
            .attends = true,
            .reads_memory = true,
            .forward_in = attention_forward_in,
            .backward_rows = attention_backward_rows,
        },
    [ADM_BRANCH_FEED_FORWARD] =
        {
            .name = "feed_forward",
            .maps = {[ADM_MAP_IN] = {1, {"fc1"}, {ADM_PARAM_WEIGHT_FC1}, {ADM_WIDTH_HIDDEN}, ADM_WIDTH_MODEL},
                     [ADM_MAP_OUT] = FEED_FORWARD_OUT},
            .inner = ADM_WIDTH_HIDDEN,
            .forward_in = feed_forward_forward_in,
            .backward_rows = feed_forward_backward_rows,
        },
    [GATED_FEED_FORWARD] =
        {
            .name = "feed_forward",
            .maps = {[ADM_MAP_IN] = {2,
                                     {"fc1", "gate"},
                                     {ADM_PARAM_WEIGHT_FC1, ADM_PARAM_WEIGHT_GATE},
                                     {ADM_WIDTH_HIDDEN, ADM_WIDTH_HIDDEN},
                                     ADM_WIDTH_MODEL},
                     [ADM_MAP_OUT] = FEED_FORWARD_OUT},
            .inner = ADM_WIDTH_HIDDEN,
            .gated = true,
            .forward_in = feed_forward_forward_in,
            .backward_rows = feed_forward_backward_rows,
        },
};

const adm_branch *adm_branch_of(const adm_config *config, adm_branch_kind kind)
{
    const bool gated = kind == ADM_BRANCH_FEED_FORWARD && config->gated;
    return &branches[gated ? GATED_FEED_FORWARD : kind];
}
