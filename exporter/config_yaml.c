#include "exporter/config_yaml.h"

#include "exporter/base/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { DEEPEST = 64, KEY_LIMIT = 16 * 1024 * 1024 };

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the one under way, owned */
    const char *name;
    unsigned depth;
    struct error *error;
};

/* --- events -------------------------------------------------------------------------------------------- */

/* Always false. */
static bool fail_at(struct reader *reader, yaml_mark_t mark, const char *reason)
{
    error_set(reader->error, ERROR_USAGE, "%s:%zu:%zu: %s", reader->name, mark.line + 1, mark.column + 1,
              reason);
    return false;
}

static bool fail_here(struct reader *reader, const char *reason)
{
    return fail_at(reader, reader->event.start_mark, reason);
}

/* Goes on to the next event. */
static bool advance(struct reader *reader)
{
    yaml_event_delete(&reader->event);
    if (yaml_parser_parse(&reader->parser, &reader->event) != 0)
        return true;
    yaml_mark_t mark = reader->parser.problem_mark;
    const char *problem = reader->parser.problem;
    /* The library has no mark for bytes that are no UTF-8; how far it has read is near enough. */
    if (reader->parser.error == YAML_READER_ERROR)
        mark = reader->parser.mark;
    char *reason = NULL;
    if (asprintf(&reason, "no YAML: %s", problem != NULL ? problem : "out of memory") < 0)
        reason = NULL;
    fail_at(reader, mark, reason != NULL ? reason : "no YAML");
    free(reason);
    return false;
}

/* Ready for the first node, or at the end of a text that has none. */
static bool open_text(struct reader *reader, const char *text, size_t length)
{
    if (yaml_parser_initialize(&reader->parser) == 0) {
        error_set(reader->error, ERROR_MEMORY, "%s: out of memory", reader->name);
        return false;
    }
    yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, length);
    bool opened = advance(reader);      /* the stream begins */
    opened = opened && advance(reader); /* a document begins, or there is none */
    if (opened && reader->event.type == YAML_DOCUMENT_START_EVENT)
        opened = advance(reader);
    return opened;
}

static void close_text(struct reader *reader)
{
    yaml_event_delete(&reader->event);
    yaml_parser_delete(&reader->parser);
}

/* --- scalars ------------------------------------------------------------------------------------------- */

static bool is_one_of(const char *text, const char *const *words)
{
    while (*words != NULL && strcmp(*words, text) != 0)
        words++;
    return *words != NULL;
}

static const char *skip_digits(const char *text, const char *digits)
{
    return text + strspn(text, digits);
}

/* The core schema's integers: [-+]?[0-9]+, 0o[0-7]+, 0x[0-9a-fA-F]+ */
static bool is_integer(const char *text)
{
    if (text[0] == '0' && (text[1] == 'o' || text[1] == 'x')) {
        const char *digits = text[1] == 'o' ? "01234567" : "0123456789abcdefABCDEF";
        return text[2] != '\0' && *skip_digits(text + 2, digits) == '\0';
    }
    text += *text == '-' || *text == '+';
    return *text != '\0' && *skip_digits(text, "0123456789") == '\0';
}

/* The core schema's floats: [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?, and infinity and NaN. */
static bool is_float(const char *text)
{
    static const char *const not_finite[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL};
    const char *number = text + (*text == '-' || *text == '+');
    if (is_one_of(number, not_finite))
        return true;
    const char *end = skip_digits(number, "0123456789");
    bool digits = end > number;
    if (*end == '.') {
        const char *fraction = end + 1;
        end = skip_digits(fraction, "0123456789");
        digits |= end > fraction;
    }
    if (digits && (*end == 'e' || *end == 'E')) {
        const char *exponent = end + 1 + (end[1] == '-' || end[1] == '+');
        end = skip_digits(exponent, "0123456789");
        digits = end > exponent;
    }
    return digits && *end == '\0';
}

/* NULL where the number is not written as JSON writes it. */
static json_t *read_number(const char *text)
{
    json_t *number = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!json_is_number(number)) {
        json_decref(number);
        return NULL;
    }
    char *written = json_dumps(number, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    bool same = written != NULL && strcmp(written, text) == 0;
    free(written);
    if (!same) {
        json_decref(number);
        return NULL;
    }
    return number;
}

static json_t *read_plain(struct reader *reader, const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    if (is_one_of(text, nulls))
        return json_null();
    if (is_one_of(text, trues))
        return json_true();
    if (is_one_of(text, falses))
        return json_false();
    if (!is_integer(text) && !is_float(text))
        return json_string(text);
    json_t *number = read_number(text);
    if (number == NULL)
        fail_here(reader, "write this number as JSON does, or put it in quotes if it is meant as a text");
    return number;
}

/* The text of the scalar under way, which must be one that can be shown; NULL with the error. */
static const char *scalar_text(struct reader *reader)
{
    const char *text = (const char *)reader->event.data.scalar.value;
    const char *tag = (const char *)reader->event.data.scalar.tag;
    if (strlen(text) != reader->event.data.scalar.length)
        fail_here(reader, "a text can't have a NUL in it");
    else if (reader->event.data.scalar.anchor != NULL)
        fail_here(reader, "anchors (&name) are not taken; write the value where it is wanted");
    else if (tag != NULL && strcmp(tag, YAML_STR_TAG) != 0)
        fail_here(reader, "no tag but !!str is taken");
    else
        return text;
    return NULL;
}

static json_t *read_scalar(struct reader *reader)
{
    const char *text = scalar_text(reader);
    if (text == NULL)
        return NULL;
    bool plain =
        reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && reader->event.data.scalar.tag == NULL;
    json_t *value = plain ? read_plain(reader, text) : json_string(text);
    if (value == NULL && reader->error->code == ERROR_NONE)
        error_set(reader->error, ERROR_MEMORY, "%s: out of memory", reader->name);
    if (value != NULL && !advance(reader)) {
        json_decref(value);
        return NULL;
    }
    return value;
}

/* --- collections --------------------------------------------------------------------------------------- */

static json_t *read_node(struct reader *reader);

/* Goes into the list or object under way, to its first child. */
static bool enter(struct reader *reader)
{
    bool list = reader->event.type == YAML_SEQUENCE_START_EVENT;
    const yaml_char_t *anchor =
        list ? reader->event.data.sequence_start.anchor : reader->event.data.mapping_start.anchor;
    const yaml_char_t *tag =
        list ? reader->event.data.sequence_start.tag : reader->event.data.mapping_start.tag;
    if (anchor != NULL)
        return fail_here(reader, "anchors (&name) are not taken; write the value where it is wanted");
    if (tag != NULL)
        return fail_here(reader, "no tag but !!str is taken");
    if (++reader->depth > DEEPEST)
        return fail_here(reader, "nested too deeply");
    return advance(reader);
}

/* Behind the end of the list or object. */
static bool leave(struct reader *reader)
{
    reader->depth--;
    return advance(reader);
}

static bool read_elements(struct reader *reader, json_t *list)
{
    if (!enter(reader))
        return false;
    while (reader->event.type != YAML_SEQUENCE_END_EVENT) {
        json_t *element = read_node(reader);
        if (element == NULL || json_array_append_new(list, element) != 0)
            return false;
    }
    return leave(reader);
}

/* The key under way, to be freed; NULL with the error. */
static char *read_key(struct reader *reader, const json_t *object)
{
    if (reader->event.type != YAML_SCALAR_EVENT) {
        fail_here(reader, "a key has to be a text");
        return NULL;
    }
    const char *text = scalar_text(reader);
    if (text != NULL && json_object_get(object, text) != NULL) {
        fail_here(reader, "this key stands here for the second time");
        return NULL;
    }
    char *key = text == NULL ? NULL : mem_copy_text(text);
    if (key != NULL && !advance(reader)) {
        free(key);
        return NULL;
    }
    return key;
}

static bool read_members(struct reader *reader, json_t *object)
{
    if (!enter(reader))
        return false;
    while (reader->event.type != YAML_MAPPING_END_EVENT) {
        char *key = read_key(reader, object);
        json_t *value = key == NULL ? NULL : read_node(reader);
        bool set = value != NULL && json_object_set_new(object, key, value) == 0;
        free(key);
        if (!set)
            return false;
    }
    return leave(reader);
}

static json_t *read_collection(struct reader *reader, json_t *empty,
                               bool (*read)(struct reader *reader, json_t *into))
{
    if (read(reader, empty))
        return empty;
    json_decref(empty);
    if (reader->error->code == ERROR_NONE)
        error_set(reader->error, ERROR_MEMORY, "%s: out of memory", reader->name);
    return NULL;
}

/* The node under way; behind it afterwards. */
static json_t *read_node(struct reader *reader)
{
    switch (reader->event.type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(reader);
    case YAML_SEQUENCE_START_EVENT:
        return read_collection(reader, json_array(), read_elements);
    case YAML_MAPPING_START_EVENT:
        return read_collection(reader, json_object(), read_members);
    case YAML_ALIAS_EVENT:
        fail_here(reader, "aliases (*name) are not taken; write the value where it is wanted");
        return NULL;
    default:
        return json_null(); /* a text without a document */
    }
}

/* Whether nothing but the end follows. */
static bool at_end(struct reader *reader)
{
    if (reader->event.type == YAML_DOCUMENT_END_EVENT && !advance(reader))
        return false;
    return reader->event.type == YAML_STREAM_END_EVENT ||
           fail_here(reader, "a second document begins; there can be one only");
}

json_t *config_yaml_read(const char *name, const char *text, size_t length, struct error *error)
{
    struct reader reader = {.name = name, .error = error};
    json_t *root = open_text(&reader, text, length) ? read_node(&reader) : NULL;
    if (root != NULL && !at_end(&reader)) {
        json_decref(root);
        root = NULL;
    }
    close_text(&reader);
    return root;
}

/* --- places -------------------------------------------------------------------------------------------- */

void config_path_enter_key(struct buf *path, const char *key)
{
    size_t plain = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    if (plain > 0 && key[plain] == '\0') {
        if (path->length > 0)
            buf_add_char(path, '.');
        buf_add_text(path, key);
        return;
    }
    json_t *text = json_string(key);
    char *quoted = text == NULL ? NULL : json_dumps(text, JSON_ENCODE_ANY);
    buf_add_char(path, '[');
    buf_add_text(path, quoted != NULL ? quoted : "?");
    buf_add_char(path, ']');
    free(quoted);
    json_decref(text);
}

void config_path_enter_index(struct buf *path, size_t index)
{
    buf_add_format(path, "[%zu]", index);
}

/* Whether `path` is `wanted` or holds it. */
static bool leads_to(struct str path, struct str wanted)
{
    if (path.length > wanted.length || memcmp(path.bytes, wanted.bytes, path.length) != 0)
        return false;
    return path.length == wanted.length || wanted.bytes[path.length] == '.' ||
           wanted.bytes[path.length] == '[';
}

/* Passes the node under way, whatever it holds. */
static bool skip_node(struct reader *reader)
{
    unsigned open = 0;
    do {
        yaml_event_type_t type = reader->event.type;
        open += type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT;
        open -= type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT;
        if (!advance(reader))
            return false;
    } while (open > 0);
    return true;
}

/* Goes down from node to node, as long as one leads to `wanted`; the line of the last. */
static size_t find_line(struct reader *reader, struct str wanted)
{
    struct buf path = buf_make(KEY_LIMIT);
    size_t line = reader->event.start_mark.line + 1, index = 0;
    bool list = reader->event.type == YAML_SEQUENCE_START_EVENT;
    bool more = (list || reader->event.type == YAML_MAPPING_START_EVENT) && advance(reader);
    while (more && reader->event.type != YAML_SEQUENCE_END_EVENT &&
           reader->event.type != YAML_MAPPING_END_EVENT) {
        size_t start = reader->event.start_mark.line + 1, length = path.length;
        if (list)
            config_path_enter_index(&path, index++);
        else if (reader->event.type != YAML_SCALAR_EVENT)
            break;
        else
            config_path_enter_key(&path, (const char *)reader->event.data.scalar.value);
        more = list || advance(reader);
        if (more && leads_to(buf_str(&path), wanted)) {
            line = start;
            index = 0;
            list = reader->event.type == YAML_SEQUENCE_START_EVENT;
            more = (list || reader->event.type == YAML_MAPPING_START_EVENT) && advance(reader);
        } else {
            path.length = length;
            more = more && skip_node(reader);
        }
    }
    buf_free(&path);
    return line;
}

size_t config_yaml_line(const char *text, size_t length, struct str path)
{
    struct error error = {0};
    struct reader reader = {.name = "", .error = &error};
    size_t line = open_text(&reader, text, length) ? find_line(&reader, path) : 0;
    close_text(&reader);
    error_clear(&error);
    return line;
}
