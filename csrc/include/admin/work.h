/* Kinds of work that the core's time goes to. */
#ifndef ADMIN_WORK_H
#define ADMIN_WORK_H

typedef enum adm_work {
    ADM_WORK_PRODUCTS = 0, /* matrix products of linear maps and of the logits, and packing for them */
    ADM_WORK_ATTENTION,
    ADM_WORK_ROWS, /* norms, residuals, dropout, activations, embeddings, sums over rows */
    ADM_WORK_LOSS, /* softmax and cross-entropy of the logits */
    ADM_WORK_KINDS
} adm_work;

#endif
