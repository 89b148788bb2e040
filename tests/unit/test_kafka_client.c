#include "collectors/kafka/client.h"
#include "exporter/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include <dlfcn.h>

/* librdkafka's function, which this one stands before: it may be told to wait for ever, as 2.0.2 does now and
 * then after a topic was deleted. */
static bool has_to_hang;

void rd_kafka_destroy_flags(rd_kafka_t *handle, int flags)
{
    void (*destroy)(rd_kafka_t *, int);
    *(void **)&destroy = dlsym(RTLD_NEXT, "rd_kafka_destroy_flags");
    while (has_to_hang)
        pause();
    destroy(handle, flags);
}

/* How long it takes to end a client whose cluster can't be reached, in milliseconds. */
static int64_t end_a_client(void)
{
    struct source_config config = {.address = "127.0.0.1:1"};
    struct error error = {0};
    struct kafka_client *client = kafka_client_new(&config, KAFKA_READER, &error);
    assert_non_null(client);
    int64_t begun = clock_monotonic_us();
    kafka_client_free(&client);
    assert_null(client);
    return (clock_monotonic_us() - begun) / 1000;
}

/* Nothing is left of it. */
static void test_a_client_is_ended(void **state)
{
    (void)state;
    int before = rd_kafka_thread_cnt();
    end_a_client();
    for (int i = 0; i < 6000 && rd_kafka_thread_cnt() != before; i++)
        usleep(10 * 1000); /* it has taken longer than a poll waits for it */
    assert_int_equal(rd_kafka_thread_cnt(), before);
}

/* It holds nobody up. */
static void test_a_client_that_does_not_end(void **state)
{
    (void)state;
    has_to_hang = true;
    assert_in_range(end_a_client(), 500, 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_client_is_ended),
        cmocka_unit_test(test_a_client_that_does_not_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
