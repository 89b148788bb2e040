#include "exporter/config_yaml.h"

#include "exporter/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* Each text is a scalar of the core schema, or one that only looks like it. */
static void test_scalars(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        {"", "null"},
        {"~", "null"},
        {"null", "null"},
        {"Null", "null"},
        {"nULL", "\"nULL\""},
        {"True", "true"},
        {"FALSE", "false"},
        {"yes", "\"yes\""},
        {"off", "\"off\""},
        {"0", "0"},
        {"-7", "-7"},
        {"0.25", "0.25"},
        {"-1.5", "-1.5"},
        {"15s", "\"15s\""},
        {"12:30:45", "\"12:30:45\""},
        {"1_000", "\"1_000\""},
        {"2026-11-24", "\"2026-11-24\""},
        {".", "\".\""},
        {"+", "\"+\""},
        {"0x", "\"0x\""},
        {"1.2.3", "\"1.2.3\""},
        {"'0123'", "\"0123\""},
        {"\"true\"", "\"true\""},
        {"!!str 5000", "\"5000\""},
        {"|\n  two\n  lines\n", "\"two\\nlines\\n\""},
        {"[1, {a: b}, [], {}]", "[1, {\"a\": \"b\"}, [], {}]"},
        {"{\"a\": [true], 'b': null}", "{\"a\": [true], \"b\": null}"},
        {"a:\n- 1\n- b: 2\n  c:\n", "{\"a\": [1, {\"b\": 2, \"c\": null}]}"},
        {"# nothing\n", "null"},
        {"---\na: 1\n...\n", "{\"a\": 1}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {0};
        json_t *tree = config_yaml_read("f", cases[i].yaml, strlen(cases[i].yaml), &error);
        if (tree == NULL)
            print_error("%s: %s\n", cases[i].yaml, error_text(&error));
        assert_non_null(tree);
        char *json = json_dumps(tree, JSON_ENCODE_ANY);
        assert_string_equal(json, cases[i].json);
        free(json);
        json_decref(tree);
    }
}

/* Each text would mean something else than it shows, or nothing: the place is named. */
static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *complaint;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n", "f:3:1: this key stands here for the second time"},
        {"a: &x 1\n", "f:1:4: anchors (&name) are not taken"},
        {"a: &x [1]\n", "f:1:4: anchors (&name) are not taken"},
        {"a: *x\n", "f:1:4: aliases (*name) are not taken"},
        {"a: 0123\n", "f:1:4: write this number as JSON does"},
        {"a: 0x1F\n", "f:1:4: write this number as JSON does"},
        {"a: 1.10\n", "f:1:4: write this number as JSON does"},
        {"a: +1\n", "f:1:4: write this number as JSON does"},
        {"a: 99999999999999999999\n", "f:1:4: write this number as JSON does"},
        {"a: -.INF\n", "f:1:4: write this number as JSON does"},
        {"a: !!int 5\n", "f:1:4: no tag but !!str is taken"},
        {"a: !mine {}\n", "f:1:4: no tag but !!str is taken"},
        {"a: \"x\\0y\"\n", "f:1:4: a text can't have a NUL in it"},
        {"[a]: 1\n", "f:1:1: a key has to be a text"},
        {"a: 1\n---\nb: 2\n", "f:2:1: a second document begins"},
        {"a:\n\t- 1\n", "f:2:1: no YAML: "},
        {"a: [1\n", "f:2:1: no YAML: "},
        {"a: \xff\n", "f:1:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {0};
        assert_null(config_yaml_read("f", cases[i].yaml, strlen(cases[i].yaml), &error));
        if (strncmp(error_text(&error), cases[i].complaint, strlen(cases[i].complaint)) != 0)
            print_error("%s says %s\n", cases[i].yaml, error_text(&error));
        assert_int_equal(strncmp(error_text(&error), cases[i].complaint, strlen(cases[i].complaint)), 0);
        assert_int_equal(error.code, ERROR_USAGE);
        error_clear(&error);
    }
}

/* Ten thousand lists, each in the next: refused, not followed until the stack is full. */
static void test_depth(void **state)
{
    (void)state;
    char deep[10000];
    memset(deep, '[', sizeof deep);
    struct error error = {0};
    assert_null(config_yaml_read("f", deep, sizeof deep, &error));
    assert_string_equal(error_text(&error), "f:1:65: nested too deeply");
    error_clear(&error);
}

/* A mistake is known by its path; the file may be YAML or JSON. */
static void test_lines(void **state)
{
    (void)state;
    static const char yaml[] = "listen: x\n\nsources:\n  - name: a\n    kafka: b\n  -\n    name: c\n"
                               "    properties:\n      ssl.ca.location: d\n    names: [e,\n      f]\n";
    static const char json[] =
        "{\n  \"sources\": [\n    {\"name\": \"a\"},\n    {\n      \"name\": \"b\"}\n  ]\n}";
    static const struct {
        const char *text, *path;
        size_t line;
    } cases[] = {
        {yaml, "", 1},
        {yaml, "listen", 1},
        {yaml, "sources", 3},
        {yaml, "sources[0].kafka", 5},
        {yaml, "sources[1]", 7},
        {yaml, "sources[1].properties[\"ssl.ca.location\"]", 9},
        {yaml, "sources[1].names[1]", 11},
        {yaml, "sources[1].name", 7},
        {yaml, "sources[1].nowhere", 7},
        {json, "sources[0].name", 3},
        {json, "sources[1].name", 5},
        {"[", "[0]", 1},
        {"\xff", "a", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(config_yaml_line(cases[i].text, strlen(cases[i].text), str_of(cases[i].path)),
                         cases[i].line);
}

/* A key may be any text: in a path it stays on its line and can't be taken for another's. */
static void test_paths(void **state)
{
    (void)state;
    struct buf path = buf_make(1000);
    config_path_enter_key(&path, "properties");
    config_path_enter_key(&path, "a.b");
    config_path_enter_index(&path, 12);
    config_path_enter_key(&path, "say \"no\"\n");
    config_path_enter_key(&path, "plain_1");
    char *text = mem_copy_str(buf_str(&path));
    assert_string_equal(text, "properties[\"a.b\"][12][\"say \\\"no\\\"\\n\"].plain_1");
    free(text);
    buf_free(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars), cmocka_unit_test(test_refusals), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_lines),   cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests_name("config_yaml", tests, NULL, NULL);
}
