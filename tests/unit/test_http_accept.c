#include "exporter/http_accept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Prometheus, a browser, curl, and clients that weigh in every way ask for metrics. */
static void test_format(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum page_format format;
    } cases[] = {
        {"", PAGE_TEXT},
        {"*/*", PAGE_TEXT},
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
         "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         PAGE_OPENMETRICS},
        {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", PAGE_TEXT},
        {"application/openmetrics-text", PAGE_OPENMETRICS},
        {"Application/OpenMetrics-Text; Version=\"1.0.0\"", PAGE_OPENMETRICS},
        {"application/openmetrics-text;version=0.0.1", PAGE_TEXT},
        {"application/openmetrics-text;q=0", PAGE_TEXT},
        {"application/openmetrics-text;q=0,*/*", PAGE_TEXT},
        {"application/openmetrics-text;q=0.4, text/plain;q=0.5", PAGE_TEXT},
        {"application/openmetrics-text ; q=0.6 , text/plain ; q=0.5", PAGE_OPENMETRICS},
        {"text/plain;q=0.5,application/openmetrics-text;q=0.5", PAGE_OPENMETRICS},
        {"application/openmetrics-text;q=0.4,text/*;q=0.5", PAGE_TEXT},
        {"application/openmetrics-text;q=0.4,text/*;q=0.5,text/plain;q=0.1", PAGE_OPENMETRICS},
        {"application/openmetrics-text;q=0.4,*/*", PAGE_TEXT},
        {"application/openmetrics-text;q=2", PAGE_TEXT},
        {"application/openmetrics-text;q=1.5,text/plain", PAGE_OPENMETRICS},
        {"application/openmetrics-text;q=nonsense", PAGE_TEXT},
        {"application/openmetrics-text;q=0.0001", PAGE_TEXT},
        {",;,=;q=,,application/openmetrics-text", PAGE_OPENMETRICS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (accept_format(cases[i].accept) != cases[i].format)
            fail_msg("%s", cases[i].accept);
}

/* Clients want the answer compressed, or not. */
static void test_gzip(void **state)
{
    (void)state;
    static const struct {
        const char *accept_encoding;
        bool gzip;
    } cases[] = {
        {"", false},
        {"gzip", true},
        {"GZIP", true},
        {"x-gzip", true},
        {"deflate", false},
        {"gzip, deflate, br", true},
        {"gzip;q=0", false},
        {"gzip;q=0,*", false},
        {"*", true},
        {"*;q=0", false},
        {"identity", false},
        {"identity, gzip;q=0.5", false},
        {"identity;q=0.5, gzip;q=0.5", true},
        {"br, *;q=0.1", true},
        {"gzippy", false},
        {"gzip;q=0.001", true},
        {" gzip ; q = 1", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (accept_gzip(cases[i].accept_encoding) != cases[i].gzip)
            fail_msg("%s", cases[i].accept_encoding);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_gzip),
    };
    return cmocka_run_group_tests_name("http_accept", tests, NULL, NULL);
}
