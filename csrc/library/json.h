/* Reading JSON that nobody has vouched for, piece by piece: no copies, no recursion, no number beyond an int64_t. */
#ifndef ADM_LIBRARY_JSON_H
#define ADM_LIBRARY_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is left of a text. Each function steps over white space and what it takes, or returns false. */
typedef struct adm_json {
    const char *at, *end;
} adm_json;

/* A string as it stands between its quotes: what is escaped in it stays so. */
typedef struct adm_json_text {
    const char *begin;
    size_t length;
} adm_json_text;

bool adm_json_take(adm_json *json, char sign);
bool adm_json_string(adm_json *json, adm_json_text *text);
/* From 0 on. */
bool adm_json_integer(adm_json *json, int64_t *value);
/* "name": */
bool adm_json_key(adm_json *json, adm_json_text *name);
/* Nothing is left. */
bool adm_json_ended(adm_json *json);
bool adm_json_equal(adm_json_text text, const char *expected);

#endif
