/* Teams of threads, for parallel.c alone. */
#ifndef ADM_POOL_H
#define ADM_POOL_H

#define ADM_TEAM_MAX 256 /* threads of a team */

typedef struct adm_team adm_team;
typedef void (*adm_body_fn)(void *context, int thread);

/* Of the calling thread alone, which is its number 0; NULL: no memory. */
adm_team *adm_team_new(void);
/* As many threads as it has then, at most `wanted`: fewer where the system makes no more. */
int adm_team_grow(adm_team *team, int wanted);
/* body(context, thread) on `threads` of them; returns when all have. */
void adm_team_run(adm_team *team, int threads, adm_body_fn body, void *context);
void adm_team_end(adm_team *team);
/* In the child of a fork, where the others are not. */
void adm_team_forget(adm_team *team);

#endif
