/* A text that grows. */
#ifndef ADM_LIBRARY_TEXT_H
#define ADM_LIBRARY_TEXT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct adm_text {
    char *bytes; /* [length], and a 0 */
    size_t length, room;
    bool failed; /* there was no memory */
} adm_text;

void adm_text_add(adm_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* With 17 digits, as JSON writes numbers, whatever the program's locale writes for a point. */
void adm_text_add_number(adm_text *text, double value);
void adm_text_free(adm_text *text);

#endif
