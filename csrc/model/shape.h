/* What a batch asks of a workspace, and how it is cut into chunks of whole sequences, or of parts of long ones: by its
   shape alone. */
#ifndef ADM_MODEL_SHAPE_H
#define ADM_MODEL_SHAPE_H

#include "admin/model.h"
#include "model/params.h"

typedef enum adm_keep {
    ADM_KEEP_NOTHING = 0, /* forward only: sub-layers share their buffers */
    ADM_KEEP_BACKWARD,    /* what the backward pass reads and cannot cheaply compute again */
    ADM_KEEP_BRANCHES     /* everything */
} adm_keep;

/* What the plan of a workspace depends on. */
typedef struct adm_shape {
    int64_t count;       /* B */
    int64_t rows[2];     /* of the stacks; 0 where one is absent */
    int64_t memory_rows; /* that cross-attention reads */
    int64_t longest;     /* sequence that a stack reads */
    int64_t chunks;
    bool cut;   /* into parts of sequences */
    bool steps; /* of decoding: sequences of one token, at positions of their own */
    adm_keep keep;
    bool backward, hidden;
    bool segmented;      /* sub-layers of all segments use the same buffers */
    int64_t segment[2];  /* sub-layers of a segment; of the stack where not segmented */
    bool keep_gradients; /* of activations */
} adm_shape;

/* The length of sequence b that a stack reads: predicted tokens are one fewer than those given. */
typedef struct adm_side {
    const int64_t *offsets; /* [B + 1], or NULL: the stack is absent */
    int64_t unread;         /* 1 where the last token is only predicted */
} adm_side;

/* What a backward pass keeps: all that an observed one may be asked for, unless it is to compute it again. */
static inline adm_keep adm_keep_backward(const adm_run *run)
{
    return run->observe && run->segment_layers == 0 ? ADM_KEEP_BRANCHES : ADM_KEEP_BACKWARD;
}

/* The sequences that the decoder reads. */
const adm_sequences *adm_decoded(const adm_params *params, const adm_batch *batch);

void adm_batch_sides(const adm_params *params, const adm_batch *batch, adm_side sides[2]);
void adm_hidden_sides(const adm_hidden *input, adm_side sides[2]);
/* Where a chunk begins; it ends where the next one does. */
typedef struct adm_chunk {
    int64_t sequence;
    int64_t part, parts; /* of that sequence, each a chunk; or 0 of 1 where sequences are whole */
    int64_t rows[2];     /* of both sides before it */
} adm_chunk;

/* Chunks [first, last). */
typedef struct adm_chunks {
    int64_t first, last;
} adm_chunks;

/* Cuts `count` sequences into chunks; returns how many, and writes them [chunks + 1] if chunks is not NULL. */
int64_t adm_cut_chunks(const adm_side sides[2], int64_t count, adm_chunk *chunks);

adm_shape adm_shape_of_batch(const adm_params *params, const adm_batch *batch, const adm_run *run,
                             adm_keep keep, bool backward);
/* Of a batch that is thought of: no array is as long as it has sequences. */
adm_shape adm_shape_of_lengths(const adm_params *params, const adm_lengths *lengths, const adm_run *run);
/* Of so many rows of decoding, in chunks for so many threads. */
adm_shape adm_shape_of_steps(const adm_params *params, int64_t rows, int threads);
/* Rows of such a chunk; the last may have fewer. */
int64_t adm_step_chunk(int64_t rows, int threads);
adm_shape adm_shape_of_hidden(const adm_params *params, const adm_hidden *input, const adm_run *run,
                              adm_keep keep, bool backward);

#endif
