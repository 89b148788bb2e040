#include "exporter/config_reader.h"

#include "exporter/base/file.h"
#include "exporter/base/mem.h"
#include "exporter/config_yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_LIMIT = 16 * 1024 * 1024, PATH_LIMIT = FILE_LIMIT };

/* --- errors -------------------------------------------------------------------------------------------- */

/* A text that is quoted may have line breaks, which a complaint in one line must not. */
static void make_one_line(char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        if ((unsigned char)*text < ' ')
            *text = ' ';
}

/* Puts file, line and path in front of the error that is there. Always false. */
bool config_fail_with_error(struct config_reader *reader)
{
    make_one_line(reader->error->text);
    int length = reader->path.length > INT32_MAX ? INT32_MAX : (int)reader->path.length;
    if (length > 0)
        error_wrap(reader->error, "%.*s", length, reader->path.bytes);
    size_t line = config_yaml_line(reader->text.bytes, reader->text.length, buf_str(&reader->path));
    if (line > 0)
        error_wrap(reader->error, "%s:%zu", reader->name, line);
    else
        error_wrap(reader->error, "%s", reader->name);
    return false;
}

bool config_fail(struct config_reader *reader, const char *format, ...)
{
    struct buf text = buf_make(PATH_LIMIT);
    va_list arguments;
    va_start(arguments, format);
    char *line = NULL;
    if (vasprintf(&line, format, arguments) >= 0)
        buf_add_text(&text, line);
    va_end(arguments);
    free(line);
    error_set(reader->error, ERROR_USAGE, "%.*s", (int)text.length, text.length > 0 ? text.bytes : "");
    buf_free(&text);
    return config_fail_with_error(reader);
}

const char *config_type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    default:
        return "null";
    }
}

/* Levenshtein's distance between a and b, whose length is at most 31; more when it is longer. */
static size_t distance(const char *a, const char *b)
{
    enum { LONGEST = 32 };
    size_t row[LONGEST], length = strlen(b);
    if (length >= LONGEST)
        return SIZE_MAX;
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0]++;
        for (size_t j = 0; j < length; j++) {
            size_t replaced = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            size_t least = row[j] < diagonal ? row[j] + 1 : diagonal + 1;
            row[j + 1] = least < replaced ? least : replaced;
        }
    }
    return row[length];
}

static bool fail_unknown_key(struct config_reader *reader, const struct config_key *keys, const char *name)
{
    const struct config_key *nearest = keys;
    for (const struct config_key *key = keys; key->name != NULL; key++)
        if (distance(name, key->name) < distance(name, nearest->name))
            nearest = key;
    return config_fail(reader, "unknown key; the nearest that there is: \"%s\"", nearest->name);
}

/* --- shapes -------------------------------------------------------------------------------------------- */

/* Reads an object by its table of keys, which ends with a NULL name. */
bool config_read_object(struct config_reader *reader, json_t *value, const struct config_key *keys,
                        void *target)
{
    if (!json_is_object(value))
        return config_fail(reader, "expected an object, {…}, not %s", config_type_name(value));
    size_t length = reader->path.length;
    const char *name;
    json_t *member;
    json_object_foreach(value, name, member)
    {
        config_path_enter_key(&reader->path, name);
        const struct config_key *key = keys;
        while (key->name != NULL && strcmp(key->name, name) != 0)
            key++;
        if (key->name == NULL)
            return fail_unknown_key(reader, keys, name);
        if (!key->read(reader, member, target))
            return false;
        reader->path.length = length;
    }
    return true;
}

/* Reads each element of a list with `read`. */
bool config_read_list(struct config_reader *reader, json_t *value, config_read *read, void *target)
{
    if (!json_is_array(value))
        return config_fail(reader, "expected a list, […], not %s", config_type_name(value));
    size_t length = reader->path.length, i;
    json_t *element;
    json_array_foreach(value, i, element)
    {
        config_path_enter_index(&reader->path, i);
        if (!read(reader, element, target))
            return false;
        reader->path.length = length;
    }
    return true;
}

/* The text of a string; NULL with the error for anything else. */
const char *config_read_value_text(struct config_reader *reader, const json_t *value, const char *example)
{
    if (json_is_string(value) && json_string_length(value) > 0)
        return json_string_value(value);
    config_fail(reader, "expected a text, such as \"%s\", not %s", example,
                json_is_string(value) ? "an empty one" : config_type_name(value));
    return NULL;
}

/* A text, number or truth value as text, to be freed; NULL with the error for anything else. */
char *config_read_scalar(struct config_reader *reader, const json_t *value)
{
    if (json_is_string(value))
        return mem_copy_text(json_string_value(value));
    char *text = json_is_number(value) || json_is_boolean(value)
                     ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))
                     : NULL;
    if (text == NULL)
        config_fail(reader, "expected a text or a number, not %s", config_type_name(value));
    return text;
}

/* --- whole files --------------------------------------------------------------------------------------- */

static bool is_yaml(const char *name)
{
    const char *ending = strrchr(name, '.');
    return ending != NULL && (strcmp(ending, ".yaml") == 0 || strcmp(ending, ".yml") == 0);
}

static json_t *read_json(const char *name, struct str text, struct error *error)
{
    json_error_t reason;
    json_t *root = json_loadb(text.bytes, text.length, JSON_REJECT_DUPLICATES, &reason);
    if (root == NULL)
        error_set(error, ERROR_USAGE, "%s: line %d, column %d: no JSON: %s", name, reason.line, reason.column,
                  reason.text);
    return root;
}

bool config_read_whole_text(const char *name, const char *text, size_t length, const struct config_key *keys,
                            void *target, struct error *error)
{
    json_t *root = is_yaml(name) ? config_yaml_read(name, text, length, error)
                                 : read_json(name, (struct str){text, length}, error);
    if (root == NULL)
        return false;
    struct config_reader reader = {
        .name = name,
        .text = {text, length},
        .path = buf_make(PATH_LIMIT),
        .error = error,
    };
    bool done = config_read_object(&reader, root, keys, target);
    buf_free(&reader.path);
    json_decref(root);
    return done;
}

bool config_read_whole_file(const char *path, const struct config_key *keys, void *target,
                            struct error *error)
{
    int fd = file_open(path, error);
    if (fd < 0) {
        error_wrap(error, "can't open configuration file %s", path);
        error->code = ERROR_USAGE;
        return false;
    }
    struct buf content = buf_make(FILE_LIMIT);
    bool done = file_read(fd, &content);
    int reason = errno;
    (void)close(fd); /* nothing was written */
    if (!done)
        error_set_errno(error, ERROR_USAGE, reason, "can't read configuration file %s", path);
    else if (!buf_ok(&content)) {
        error_set(error, ERROR_USAGE, "configuration file %s is larger than %d bytes", path, FILE_LIMIT);
        done = false;
    } else
        done = config_read_whole_text(path, content.length > 0 ? content.bytes : "", content.length, keys,
                                      target, error);
    buf_free(&content);
    return done;
}
