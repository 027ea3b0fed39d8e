#include "library/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(adm_text *text, size_t more)
{
    if (text->length + more < text->room)
        return true;
    const size_t room = 2 * (text->length + more) + 1024;
    char *bytes = realloc(text->bytes, room);
    text->failed |= bytes == NULL;
    if (bytes == NULL)
        return false;
    text->bytes = bytes;
    text->room = room;
    return true;
}

void adm_text_add(adm_text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    if (length >= 0 && make_room(text, (size_t)length + 1)) {
        vsnprintf(text->bytes + text->length, text->room - text->length, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
    va_end(arguments);
}

void adm_text_add_number(adm_text *text, double value)
{
    char number[64], plain[64];
    size_t length = 0;
    snprintf(number, sizeof number, "%.17g", value);
    for (const char *c = number; *c != '\0'; c++) {
        const bool known = strchr("0123456789+-e", *c) != NULL;
        if (known || length == 0 || plain[length - 1] != '.') /* a point may be several bytes */
            plain[length++] = known ? *c : '.';
    }
    adm_text_add(text, "%.*s", (int)length, plain);
}

void adm_text_free(adm_text *text)
{
    free(text->bytes);
    *text = (adm_text){0};
}
