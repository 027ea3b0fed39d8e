#include "library/json.h"

#include <string.h>

static void skip_space(adm_json *json)
{
    while (json->at < json->end && strchr(" \t\n\r", *json->at) != NULL && *json->at != '\0')
        json->at++;
}

bool adm_json_take(adm_json *json, char sign)
{
    skip_space(json);
    if (json->at == json->end || *json->at != sign)
        return false;
    json->at++;
    return true;
}

bool adm_json_string(adm_json *json, adm_json_text *text)
{
    if (!adm_json_take(json, '"'))
        return false;
    text->begin = json->at;
    while (json->at < json->end && *json->at != '"' && (unsigned char)*json->at >= ' ')
        json->at += *json->at == '\\' && json->end - json->at > 1 ? 2 : 1;
    text->length = (size_t)(json->at - text->begin);
    return adm_json_take(json, '"');
}

bool adm_json_integer(adm_json *json, int64_t *value)
{
    skip_space(json);
    const char *first = json->at;
    int64_t number = 0;
    for (; json->at < json->end && *json->at >= '0' && *json->at <= '9'; json->at++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *json->at - '0', &number))
            return false;
    *value = number;
    return json->at > first;
}

bool adm_json_key(adm_json *json, adm_json_text *name)
{
    return adm_json_string(json, name) && adm_json_take(json, ':');
}

bool adm_json_ended(adm_json *json)
{
    skip_space(json);
    return json->at == json->end;
}

bool adm_json_equal(adm_json_text text, const char *expected)
{
    return text.length == strlen(expected) && memcmp(text.begin, expected, text.length) == 0;
}
