#include "exporter/status_answer.h"

#include "exporter/base/human.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ANSWER_LIMIT = 256 * 1024 * 1024 };

static const char default_url[] = "http://127.0.0.1:9308";

/* --- flags --------------------------------------------------------------------------------------------- */

/* The value of the flag at argv[*i], "--flag=value" or "--flag value"; NULL when it isn't that flag. */
static const char *flag_value(int argc, char **argv, int *i, const char *flag, struct error *error)
{
    size_t length = strlen(flag);
    if (strncmp(argv[*i], flag, length) != 0)
        return NULL;
    if (argv[*i][length] == '=')
        return argv[*i] + length + 1;
    if (argv[*i][length] != '\0')
        return NULL;
    if (*i + 1 < argc && argv[*i + 1] != NULL)
        return argv[++*i];
    error_set(error, ERROR_USAGE, "%s needs a value", flag);
    return NULL;
}

static bool take_flag(int argc, char **argv, int *i, struct status_flags *flags, struct error *error)
{
    const struct {
        const char *name;
        const char **value;
    } known[] = {
        {"--url", &flags->ask.url}, {"--cacert", &flags->ask.ca_certificate}, {"--cluster", &flags->cluster}};
    for (size_t k = 0; k < sizeof known / sizeof *known && error->code == ERROR_NONE; k++) {
        const char *value = flag_value(argc, argv, i, known[k].name, error);
        if (value == NULL)
            continue;
        *known[k].value = value;
        return true;
    }
    if (error->code == ERROR_NONE)
        error_set(error, ERROR_USAGE, "%s: there is no such flag; --help lists them", argv[*i]);
    return false;
}

bool status_parse_flags(int argc, char **argv, bool takes_argument, struct status_flags *flags,
                        struct error *error)
{
    bool flags_end = false;
    *flags = (struct status_flags){.ask.url = default_url};
    for (int i = 1; i < argc; i++) {
        bool flag = !flags_end && strncmp(argv[i], "-", 1) == 0 && argv[i][1] != '\0';
        if (flag && strcmp(argv[i], "--") == 0) {
            flags_end = true;
        } else if (flag && strcmp(argv[i], "--json") == 0) {
            flags->json = true;
        } else if (flag && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            flags->help = true;
            return true;
        } else if (flag) {
            if (!take_flag(argc, argv, &i, flags, error))
                return false;
        } else if (takes_argument && flags->argument == NULL) {
            flags->argument = argv[i];
        } else {
            error_set(error, ERROR_USAGE, "%s: not expected here; --help tells what is", argv[i]);
            return false;
        }
    }
    if (takes_argument && flags->argument == NULL)
        error_set(error, ERROR_USAGE, "which group? tidemark status lists them");
    return error->code == ERROR_NONE;
}

/* --- answers ------------------------------------------------------------------------------------------- */

json_t *status_ask(const struct status_flags *flags, const char *path, const char *list, struct buf *text,
                   struct error *error)
{
    bool found = false;
    *text = buf_make(ANSWER_LIMIT);
    if (!ask_get(&flags->ask, path, text, &found, error))
        return NULL;
    json_error_t reason;
    json_t *answer = found ? json_loadb(text->bytes, text->length, 0, &reason) : NULL;
    if (!found)
        error_set(error, ERROR_NOT_FOUND, "%s knows no %s; is it a Tidemark of this version?", flags->ask.url,
                  path);
    else if (answer == NULL)
        error_set(error, ERROR_CORRUPT, "the answer of %s is no JSON: %s", flags->ask.url, reason.text);
    if (answer == NULL || json_is_array(json_object_get(answer, list)))
        return answer;
    error_set(error, ERROR_CORRUPT, "the answer of %s has no list of %s; is it a Tidemark of this version?",
              flags->ask.url, list);
    json_decref(answer);
    return NULL;
}

struct str status_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return STR_LITERAL("");
    return (struct str){json_string_value(value), json_string_length(value)};
}

bool status_number(const json_t *object, const char *key, double *value)
{
    const json_t *number = json_object_get(object, key);
    *value = json_number_value(number);
    return json_is_number(number) && isfinite(*value) && fabs(*value) < 1e15;
}

void status_add_count(struct buf *out, const json_t *object, const char *key, const char *absent)
{
    const json_t *number = json_object_get(object, key);
    if (json_is_integer(number))
        human_add_count(out, json_integer_value(number));
    else
        buf_add_text(out, absent);
}

void status_add_duration(struct buf *out, const json_t *object, const char *key, const char *absent)
{
    double seconds;
    if (status_number(object, key, &seconds))
        human_add_duration(out, (int64_t)(seconds * 1000));
    else
        buf_add_text(out, absent);
}

void status_add_time(struct buf *out, const json_t *object, const char *key, const char *absent)
{
    double seconds;
    if (status_number(object, key, &seconds))
        human_add_time(out, (int64_t)(seconds * 1000));
    else
        buf_add_text(out, absent);
}

static bool has_grade(const json_t *object, const char *grade)
{
    return str_equal(status_text(object, "grade"), str_of(grade));
}

int status_grade(const json_t *object)
{
    if (has_grade(object, "critical"))
        return STATUS_CRITICAL;
    if (has_grade(object, "warning"))
        return STATUS_WARNING;
    return has_grade(object, "ok") || has_grade(object, "info") ? STATUS_OK : STATUS_UNKNOWN;
}

enum colour status_colour(const json_t *object)
{
    static const enum colour colours[] = {
        [STATUS_OK] = COLOUR_GREEN,
        [STATUS_WARNING] = COLOUR_YELLOW,
        [STATUS_CRITICAL] = COLOUR_RED,
        [STATUS_UNKNOWN] = COLOUR_BOLD,
    };
    return has_grade(object, "info") ? COLOUR_BLUE : colours[status_grade(object)];
}

int status_fail(const char *command, struct error *error)
{
    struct buf line = buf_make(ANSWER_LIMIT);
    buf_add_format(&line, "tidemark %s: ", command);
    terminal_add(&line, str_of(error_text(error)));
    buf_add_char(&line, '\n');
    (void)fwrite(line.bytes, 1, line.length, stderr); /* the exit code says it, too */
    buf_free(&line);
    error_clear(error);
    return STATUS_UNKNOWN;
}

bool status_print(const struct buf *out)
{
    return buf_ok(out) && (out->length == 0 || fwrite(out->bytes, 1, out->length, stdout) == out->length) &&
           fflush(stdout) == 0;
}
