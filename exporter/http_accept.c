#include "exporter/http_accept.h"

#include <ctype.h>
#include <strings.h>

/* Weights are counted in thousandths, which is as fine as the header can tell. */
enum { UNNAMED = -1, FULL_WEIGHT = 1000 };

static struct str trim(struct str text)
{
    while (text.length > 0 && isspace((unsigned char)text.bytes[0]))
        text = (struct str){text.bytes + 1, text.length - 1};
    while (text.length > 0 && isspace((unsigned char)text.bytes[text.length - 1]))
        text.length--;
    return text;
}

/* Takes what stands before the separator, or all that is left, off the front of `rest`. */
static struct str take(struct str *rest, char separator)
{
    const char *end = memchr(rest->bytes, separator, rest->length);
    size_t length = end == NULL ? rest->length : (size_t)(end - rest->bytes), used = length + (end != NULL);
    struct str taken = {rest->bytes, length};
    *rest = (struct str){rest->bytes + used, rest->length - used};
    return trim(taken);
}

static bool is(struct str text, const char *name)
{
    return text.length == strlen(name) && strncasecmp(text.bytes, name, text.length) == 0;
}

/* What follows `name` in `text`, without quotes; false when something else stands there. */
static bool takes_value(struct str text, const char *name, struct str *value)
{
    size_t length = strlen(name);
    if (text.length < length || strncasecmp(text.bytes, name, length) != 0)
        return false;
    *value = (struct str){text.bytes + length, text.length - length};
    if (value->length >= 2 && value->bytes[0] == '"' && value->bytes[value->length - 1] == '"')
        *value = (struct str){value->bytes + 1, value->length - 2};
    return true;
}

/* "0.75" is 750. What is no weight weighs nothing. */
static int parse_weight(struct str text)
{
    if (text.length == 0 || text.length > 5 || (text.bytes[0] != '0' && text.bytes[0] != '1'))
        return 0;
    int weight = (text.bytes[0] - '0') * FULL_WEIGHT;
    if (text.length > 1 && text.bytes[1] != '.')
        return 0;
    int place = FULL_WEIGHT / 10;
    for (size_t i = 2; i < text.length; i++, place /= 10) {
        if (!isdigit((unsigned char)text.bytes[i]))
            return 0;
        weight += (text.bytes[i] - '0') * place;
    }
    return weight <= FULL_WEIGHT ? weight : FULL_WEIGHT;
}

/* One element of the header: what it names, its version (empty if none) and its weight. */
struct choice {
    struct str name, version;
    int weight;
};

/* Takes the next element off the front of `rest`; false when there is none. */
static bool next_choice(struct str *rest, struct choice *choice)
{
    if (rest->length == 0)
        return false;
    struct str element = take(rest, ','), value;
    *choice = (struct choice){.name = take(&element, ';'), .version = STR_LITERAL(""), .weight = FULL_WEIGHT};
    while (element.length > 0) {
        struct str parameter = take(&element, ';');
        if (takes_value(parameter, "q=", &value))
            choice->weight = parse_weight(value);
        else if (takes_value(parameter, "version=", &value))
            choice->version = value;
    }
    return true;
}

static bool has_version(const struct choice *choice, const char *version)
{
    return choice->version.length == 0 || is(choice->version, version);
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

enum page_format accept_format(const char *accept)
{
    int openmetrics = UNNAMED, text = UNNAMED, any_text = UNNAMED, anything = UNNAMED;
    struct str rest = str_of(accept);
    for (struct choice choice; next_choice(&rest, &choice);) {
        if (is(choice.name, "application/openmetrics-text") && has_version(&choice, "1.0.0"))
            openmetrics = larger(openmetrics, choice.weight);
        else if (is(choice.name, "text/plain") && has_version(&choice, "0.0.4"))
            text = larger(text, choice.weight);
        else if (is(choice.name, "text/*"))
            any_text = larger(any_text, choice.weight);
        else if (is(choice.name, "*/*"))
            anything = larger(anything, choice.weight);
    }
    /* The most specific that fits counts. */
    if (text == UNNAMED)
        text = any_text != UNNAMED ? any_text : anything;
    return openmetrics > 0 && openmetrics >= text ? PAGE_OPENMETRICS : PAGE_TEXT;
}

bool accept_gzip(const char *accept_encoding)
{
    int gzip = UNNAMED, identity = UNNAMED, anything = UNNAMED;
    struct str rest = str_of(accept_encoding);
    for (struct choice choice; next_choice(&rest, &choice);) {
        if (is(choice.name, "gzip") || is(choice.name, "x-gzip"))
            gzip = larger(gzip, choice.weight);
        else if (is(choice.name, "identity"))
            identity = larger(identity, choice.weight);
        else if (is(choice.name, "*"))
            anything = larger(anything, choice.weight);
    }
    if (gzip == UNNAMED)
        gzip = anything;
    return gzip > 0 && gzip >= identity;
}
