#include "exporter/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char WHOLE[] =
    "{\"listen\": \"[::1]:9400\", \"poll_interval\": \"30s\", \"timeout\": \"2s\", \"log_format\": \"json\","
    " \"cluster_label\": \"kafka_cluster\", \"rules\": {\"objective\": \"1m\"},"
    " \"sources\": [{\"name\": \"prod\", \"kafka\": \"a:9092,b:9092\","
    "   \"properties\": {\"security.protocol\": \"SSL\", \"socket.timeout.ms\": 5000, \"log_cache\": true},"
    "   \"topics\": {\"include\": [\"orders|pay.*\"], \"exclude\": [\"pay-test\"]},"
    "   \"groups\": {\"exclude\": [\"console-.*\"]}, \"poll_interval\": \"5s\"},"
    "  {\"name\": \"local\", \"logstore\": \"/srv/log\", \"timeout\": \"1s\"}]}";

/* A file says everything that can be said. */
static void test_whole_file(void **state)
{
    (void)state;
    struct error error = {0};
    struct config config = config_default();
    assert_true(config_read_text(&config, "f", WHOLE, strlen(WHOLE), &error));
    assert_true(config_complete(&config, &error));
    assert_string_equal(config.host, "::1");
    assert_int_equal(config.port, 9400);
    assert_string_equal(config.cluster_label, "kafka_cluster");
    assert_int_equal(config.log_format, LOG_FORMAT_JSON);
    assert_int_equal(config.rules.objective_ms, 60000);
    assert_int_equal(config.source_count, 2);
    const struct source_config *prod = &config.sources[0], *local = &config.sources[1];
    assert_string_equal(prod->name, "prod");
    assert_string_equal(prod->kind, "kafka");
    assert_string_equal(prod->address, "a:9092,b:9092");
    assert_int_equal(prod->property_count, 3);
    assert_string_equal(prod->properties[1].name, "socket.timeout.ms");
    assert_string_equal(prod->properties[1].value, "5000");
    assert_string_equal(prod->properties[2].value, "true");
    assert_true(name_filter_passes(&prod->topics, STR_LITERAL("payments")));
    assert_false(name_filter_passes(&prod->topics, STR_LITERAL("pay-test")));
    assert_false(name_filter_passes(&prod->topics, STR_LITERAL("clicks")));
    assert_false(name_filter_passes(&prod->groups, STR_LITERAL("console-1")));
    assert_int_equal(prod->poll_interval_ms, 5000);
    assert_int_equal(prod->timeout_ms, 2000);
    assert_string_equal(local->kind, "logstore");
    assert_int_equal(local->poll_interval_ms, 30000);
    assert_int_equal(local->timeout_ms, 1000);
    config_free(&config);
}

static const char WHOLE_YAML[] = "# All of it.\n"
                                 "listen: \"[::1]:9400\"\n"
                                 "poll_interval: 30s\n"
                                 "timeout: 2s\n"
                                 "log_format: json\n"
                                 "cluster_label: kafka_cluster\n"
                                 "rules: {objective: 1m, horizon_share: 0.3, rebalance_count: 6}\n"
                                 "sources:\n"
                                 "  - name: prod\n"
                                 "    kafka: a:9092,b:9092\n"
                                 "    properties:\n"
                                 "      security.protocol: SSL\n"
                                 "      socket.timeout.ms: 5000\n"
                                 "      log_cache: true\n"
                                 "      sasl.password: '0123'\n"
                                 "      client.id: off\n"
                                 "    topics: {include: [orders|pay.*], exclude: [pay-test]}\n"
                                 "    groups:\n"
                                 "      exclude:\n"
                                 "        - console-.*\n"
                                 "    poll_interval: 5s\n"
                                 "  - name: local\n"
                                 "    logstore: /srv/log\n"
                                 "    timeout: 1s\n";

/* The file's name ends in .yaml: the same can be said, and texts that only look like something else stay. */
static void test_whole_yaml_file(void **state)
{
    (void)state;
    struct error error = {0};
    struct config config = config_default();
    bool read = config_read_text(&config, "f.yaml", WHOLE_YAML, strlen(WHOLE_YAML), &error);
    assert_string_equal(error_text(&error), "no error");
    assert_true(read && config_complete(&config, &error));
    assert_string_equal(config.host, "::1");
    assert_int_equal(config.rules.objective_ms, 60000);
    assert_true(config.rules.horizon_share == 0.3);
    assert_int_equal(config.rules.rebalance_count, 6);
    const struct source_config *prod = &config.sources[0], *local = &config.sources[1];
    assert_string_equal(prod->address, "a:9092,b:9092");
    assert_int_equal(prod->property_count, 5);
    static const char *const values[] = {"SSL", "5000", "true", "0123", "off"};
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(prod->properties[i].value, values[i]);
    assert_true(name_filter_passes(&prod->topics, STR_LITERAL("payments")));
    assert_false(name_filter_passes(&prod->groups, STR_LITERAL("console-1")));
    assert_int_equal(prod->poll_interval_ms, 5000);
    assert_string_equal(local->address, "/srv/log");
    assert_int_equal(local->timeout_ms, 1000);
    config_free(&config);
}

/* Two overrides: the later one wins where both fit, and what neither names stays. */
static void test_overrides(void **state)
{
    (void)state;
    static const char text[] =
        "overrides:\n"
        "  - {clusters: prod, groups: batch-.*, rules: {objective: 1h, stuck_after: 20m}}\n"
        "  - {groups: batch-fast, topics: orders, rules: {objective: 2m}}\n";
    struct error error = {0};
    struct config config = config_default();
    bool read = config_read_text(&config, "f.yaml", text, strlen(text), &error);
    assert_string_equal(error_text(&error), "no error");
    assert_true(read);
    const struct str prod = STR_LITERAL("prod"), other = STR_LITERAL("other"),
                     fast = STR_LITERAL("batch-fast");
    const struct str orders = STR_LITERAL("orders");
    struct rules rules = overrides_apply(&config.overrides, &config.rules, &prod, &fast, NULL);
    assert_int_equal(rules.objective_ms, 3600000);
    assert_int_equal(rules.stuck_after_ms, 1200000);
    assert_int_equal(rules.stopped_after_ms, rules_default().stopped_after_ms);
    rules = overrides_apply(&config.overrides, &config.rules, &prod, &fast, &orders);
    assert_int_equal(rules.objective_ms, 120000);
    assert_int_equal(rules.stuck_after_ms, 1200000);
    rules = overrides_apply(&config.overrides, &config.rules, &other, &fast, NULL);
    assert_int_equal(rules.objective_ms, rules_default().objective_ms);
    config_free(&config);
}

/* Flags alone: a cluster without a name is the default one, others have names. */
static void test_flags(void **state)
{
    (void)state;
    struct error error = {0};
    struct config config = config_default();
    assert_true(config_set_flag(&config, "kafka", "a:9092", &error));
    assert_true(config_set_flag(&config, "kafka", "west=b:9092,c:9092", &error));
    assert_true(config_set_flag(&config, "logstore", "./a=b", &error) == true);
    assert_true(config_set_flag(&config, "poll-interval", "1m", &error));
    assert_true(config_set_flag(&config, "listen", ":0", &error));
    assert_string_equal(config.sources[0].name, "default");
    assert_string_equal(config.sources[1].name, "west");
    assert_string_equal(config.sources[1].address, "b:9092,c:9092");
    assert_string_equal(config.sources[2].address, "./a=b");
    assert_string_equal(config.host, "");
    assert_int_equal(config.port, 0);
    assert_false(config_complete(&config, &error));
    assert_non_null(strstr(error_text(&error), "sources[0] and sources[2] are both named \"default\""));
    error_clear(&error);
    config_free(&config);
}

/* Each mistake in a file is answered with its place and what would be right. */
static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        {"", "f: line 1, column 0: no JSON"},
        {"{\n\"listen\": }", "f: line 2, column 11: no JSON"},
        {"[]", "f:1: expected an object, {…}, not a list"},
        {"{\"polinterval\": 1}",
         "f:1: polinterval: unknown key; the nearest that there is: \"poll_interval\""},
        {"{\"listen\": 9308}", "f:1: listen: expected a text, such as"},
        {"{\"listen\": \"localhost\"}", "f:1: listen: \"localhost\" has no port"},
        {"{\"listen\": \"::1:9308\"}", "f:1: listen: \"::1:9308\": write an IPv6 address in brackets"},
        {"{\"poll_interval\": \"\"}",
         "f:1: poll_interval: expected a text, such as \"15s\", not an empty one"},
        {"{\"poll_interval\": \"15\"}", "f:1: poll_interval: \"15\" is no duration"},
        {"{\"listen\": \":1\", \"listen\": \":2\"}", "no JSON: duplicate object key"},
        {"{\"rules\": {\"objektive\": \"1m\"}}", "f:1: rules.objektive: "},
        {"{\"rules\": {\"objective\": [1]}}",
         "f:1: rules.objective: expected a text or a number, not a list"},
        {"{\"sources\": {}}", "f:1: sources: expected a list"},
        {"{\"sources\": [3]}", "f:1: sources[0]: expected an object, {…}, not a number"},
        {"{\"sources\": [{\"name\": \"a\"}]}", "f:1: sources[0]: a source needs \"kafka\""},
        {"{\"sources\": [{\"kafka\": \"a\"}]}", "f:1: sources[0]: a source needs a \"name\""},
        {"{\"sources\": [{\"name\": \"a\", \"kafka\": \"a\", \"logstore\": \"b\"}]}",
         "f:1: sources[0].logstore: a source is one thing: this one has \"kafka\" already"},
        {"{\"sources\": [{\"name\": \"a\", \"kafka\": \"a\"}, {\"topics\": {\"include\": [\"b\", \"a(\"]}}]}",
         "f:1: sources[1].topics.include[1]: \"a(\" is no POSIX extended regular expression"},
        {"{\"sources\": [{\"name\": \"a\", \"kafka\": \"a\", \"properties\": {\"x\": null}}]}",
         "f:1: sources[0].properties.x: expected a text or a number, not null"},
        {"{\"cluster_label\": \"topic\"}", "f:1: cluster_label: \"topic\" can't name the label"},
        {"{\"listen\": \"a\\u0000b:1\"}", "f: line 1, column "},
        {"{\"overrides\": {}}", "f:1: overrides: expected a list"},
        {"{\"overrides\": [{\"groups\": \"a\"}]}", "f:1: overrides[0]: an override changes nothing without"},
        {"{\"overrides\": [{\"groups\": \"a(\", \"rules\": {\"objective\": \"1h\"}}]}",
         "f:1: overrides[0].groups: \"a(\" is no POSIX extended regular expression"},
        {"{\"overrides\": [{\"rules\": {\"objective\": \"soon\"}}]}",
         "f:1: overrides[0].rules.objective: rule \"objective\": \"soon\" is not a duration such as"},
        {"{\"overrides\": [{\"groups\": \"a\", \"rules\": {\"objective\": \"1h\", \"recovery_window\": "
         "\"1h\"}}]}",
         "f:1: overrides[0].groups: rule \"recovery_window\" belongs to a topic and can't differ by groups; "
         "leave"},
        {"{\"overrides\": [{\n\"groups\": \"a\",\n\"topics\": \"a\", \"rules\": {\"stopped_after\": "
         "\"1h\"}}]}",
         "f:3: overrides[0].topics: rule \"stopped_after\" belongs to a group and can't differ by topics; "
         "leave"},
        {"{\"overrides\": [{\"group\": \"a\"}]}",
         "f:1: overrides[0].group: unknown key; the nearest that there is: \"groups\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {0};
        struct config config = config_default();
        assert_false(config_read_text(&config, "f", cases[i].text, strlen(cases[i].text), &error));
        if (strstr(error_text(&error), cases[i].complaint) == NULL)
            print_error("%s\n    says: %s\n    not: %s\n", cases[i].text, error_text(&error),
                        cases[i].complaint);
        assert_non_null(strstr(error_text(&error), cases[i].complaint));
        assert_null(strchr(error_text(&error), '\n'));
        assert_int_equal(error.code, ERROR_USAGE);
        error_clear(&error);
        config_free(&config);
    }
}

static size_t count_refused(const char *name, const char *whole, size_t length)
{
    static const char bytes[] = "\0\"\\{}[],:0a\xff\n";
    char *text = malloc(length);
    assert_non_null(text);
    size_t refused = 0;
    for (size_t at = 0; at < length; at++) {
        for (size_t b = 0; b < sizeof bytes - 1; b++) {
            memcpy(text, whole, length);
            text[at] = bytes[b];
            struct error error = {0};
            struct config config = config_default();
            if (!config_read_text(&config, name, text, length, &error)) {
                assert_int_equal(strncmp(error_text(&error), name, strlen(name)), 0);
                assert_null(strchr(error_text(&error), '\n'));
                refused++;
            }
            error_clear(&error);
            config_free(&config);
        }
    }
    free(text);
    return refused;
}

/* A file is damaged in one byte, in any place and in many ways: it is read or refused in one line, and
 * nothing else. */
static void test_damaged_files(void **state)
{
    (void)state;
    assert_true(count_refused("f", WHOLE, strlen(WHOLE)) > 1000);
    assert_true(count_refused("f.yaml", WHOLE_YAML, strlen(WHOLE_YAML)) > 1000);
}

/* The file isn't there, or is a folder. */
static void test_unreadable_files(void **state)
{
    (void)state;
    static const struct {
        const char *path, *complaint;
    } cases[] = {
        {"/nonexistent/a.json",
         "can't open configuration file /nonexistent/a.json: No such file or directory"},
        {"/", "can't open configuration file /: it is no regular file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {0};
        struct config config = config_default();
        assert_false(config_read_file(&config, cases[i].path, &error));
        assert_string_equal(error_text(&error), cases[i].complaint);
        error_clear(&error);
        config_free(&config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_file),       cmocka_unit_test(test_whole_yaml_file),
        cmocka_unit_test(test_overrides),        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_mistakes),         cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_unreadable_files),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
