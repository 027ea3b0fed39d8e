/* The kinds of branch, one row of a table each: what parameters it has, what is kept of it, and how it is computed. */
#ifndef ADM_MODEL_BRANCH_H
#define ADM_MODEL_BRANCH_H

#include "admin/model.h"
#include "layers/attention.h"

/* The linear maps of a branch, in the order in which their weight gradients are summed. */
typedef enum adm_map {
    ADM_MAP_IN = 0, /* q k v; q of cross-attention; fc1; fc1 gate */
    ADM_MAP_OUT,    /* out; fc2 */
    ADM_MAP_KV,     /* k v of cross-attention */
    ADM_NUM_MAPS
} adm_map;

/* Features of a row: D, H K, G K, F. */
typedef enum adm_width {
    ADM_WIDTH_MODEL,
    ADM_WIDTH_QUERIES,
    ADM_WIDTH_KEYS,
    ADM_WIDTH_HIDDEN,
    ADM_NUM_WIDTHS
} adm_width;

static inline int64_t adm_head_width(const adm_config *config) /* K */
{
    const int64_t width = config->attention.head_width;
    return width > 0 ? width : config->d_model / config->heads;
}

static inline int64_t adm_rotary_width(const adm_config *config) /* 0: there are no rotary positions */
{
    const int64_t width = config->attention.rotary.width;
    return config->positions != ADM_POSITIONS_ROTARY ? 0 : width > 0 ? width : adm_head_width(config);
}

static inline int64_t adm_kv_heads(const adm_config *config) /* G */
{
    return config->attention.kv_heads > 0 ? config->attention.kv_heads : config->heads;
}

static inline int64_t adm_width_of(const adm_config *config, adm_width width)
{
    switch (width) {
    case ADM_WIDTH_QUERIES:
        return config->heads * adm_head_width(config);
    case ADM_WIDTH_KEYS:
        return adm_kv_heads(config) * adm_head_width(config);
    case ADM_WIDTH_HIDDEN:
        return config->d_ff;
    default:
        return config->d_model;
    }
}

adm_scoring adm_scoring_of(const adm_config *config);

/* One linear map of matrices [outputs, inputs] below each other. */
typedef struct adm_branch_map {
    int count; /* of matrices; 0: the branch has no such map */
    const char *names[3];
    adm_param_kind kinds[3];
    adm_width outputs[3], inputs;
} adm_branch_map;

struct adm_sublayer_view;

typedef struct adm_branch {
    const char *name; /* in the names of parameters */
    adm_branch_map maps[ADM_NUM_MAPS];
    adm_width inner;   /* of what the last map reads */
    bool attends;      /* keeps the softmax's statistics [M, H]; else `in` has an activation, ... */
    bool gated;        /* ... of one half of what it computes, by which the other half is multiplied */
    bool reads_memory; /* its keys and values are those of the memory, all of which every query sees */
    /* From h to what attention or the last map reads. */
    void (*forward_in)(adm_worker *worker, const struct adm_sublayer_view *view);
    /* From the gradients of q, k, v or of the hidden units to dproj, dkv; adds to a chunk's partial gradients. */
    void (*backward_rows)(adm_worker *worker, const struct adm_sublayer_view *view);
} adm_branch;

const adm_branch *adm_branch_of(const adm_config *config, adm_branch_kind kind);

/* What lies between the two where a branch attends: heads [first, last). */
void adm_branch_forward_heads(adm_worker *worker, const struct adm_sublayer_view *view, int64_t first,
                              int64_t last);
void adm_branch_backward_heads(adm_worker *worker, const struct adm_sublayer_view *view, int64_t first,
                               int64_t last);

#endif
