#include "exporter/evaluate.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * A process that does nothing but save its history is killed, again and again, at any moment: what is in the
 * file is always one whole history, and none older than the last one that was said to be saved.
 */

enum { ROUNDS = 30, GROUPS = 300, LONGEST_US = 20000 };

static char folder[] = "/tmp/tidemark-history-kill-XXXXXX";
static char path[64], fresh[64], damaged[64];

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_true(snprintf(path, sizeof path, "%s/history", folder) > 0);
    assert_true(snprintf(fresh, sizeof fresh, "%s.new", path) > 0);
    assert_true(snprintf(damaged, sizeof damaged, "%s.damaged", path) > 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(fresh);
    (void)unlink(damaged);
    return rmdir(folder);
}

/* The nth poll, of many groups, each of which has rebalanced n times, unless generations aren't told. */
static struct findings *poll(struct history *history, int64_t number, bool generations)
{
    struct rules rules = rules_default();
    struct snapshot *s = snapshot_new();
    uint32_t topic = (uint32_t)snapshot_add_topic(s, STR_LITERAL("orders"), 1);
    s->partitions[0].start = 0;
    s->partitions[0].end = 1000 + number;
    for (int g = 0; g < GROUPS; g++) {
        char name[16];
        int length = snprintf(name, sizeof name, "group-%d", g);
        uint32_t group = (uint32_t)snapshot_add_group(s, (struct str){name, (size_t)length});
        s->groups[group].members = 1;
        if (generations)
            s->groups[group].generation = number;
        assert_non_null(snapshot_add_position(s, group, topic, 0, 1000 + number));
    }
    snapshot_seal(s, INT64_C(1764000000000) + number * 15000);
    history_observe(history, s);
    struct findings *findings = evaluate(history, s, s->time, &rules);
    snapshot_free(&s);
    return findings;
}

/* From that poll on, saves after each and says so, until it is killed. */
static void save_for_ever(int64_t number, int say)
{
    struct error error = {0};
    struct history *history = history_load(path, &error);
    if (history == NULL)
        history = history_new();
    error_clear(&error);
    for (;; number++) {
        struct findings *findings = poll(history, number, true);
        int64_t count = findings->groups[0].rebalances_total;
        findings_free(&findings);
        if (!history_save(history, path, &error) || write(say, &count, sizeof count) != sizeof count)
            _exit(1);
    }
}

/* Lets a process save from that poll on, and kills it some time after it has saved for the first time.
 * Returns what it said last. */
static int64_t save_until_killed(int64_t number, long after_us)
{
    int64_t count, last = -1;
    int pipes[2], status;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        (void)close(pipes[0]);
        save_for_ever(number, pipes[1]);
    }
    assert_int_equal(close(pipes[1]), 0);
    assert_int_equal(read(pipes[0], &last, sizeof last), sizeof last);
    const struct timespec time = {.tv_nsec = after_us * 1000};
    assert_int_equal(nanosleep(&time, NULL), 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (read(pipes[0], &count, sizeof count) == sizeof count)
        last = count;
    assert_int_equal(close(pipes[0]), 0);
    return last;
}

/* The number of rebalances that the file's history has, which is the same for each group. */
static int64_t count_kept(void)
{
    struct error error = {0};
    struct history *history = history_load(path, &error);
    assert_non_null(history);
    struct findings *findings = poll(history, 1000000, false);
    int64_t count = findings->groups[0].rebalances_total;
    for (int g = 0; g < GROUPS; g++)
        assert_int_equal(findings->groups[g].rebalances_total, count);
    findings_free(&findings);
    history_free(&history);
    return count;
}

static void test_killed_while_saving(void **state)
{
    (void)state;
    unsigned seed = 1;
    int amid = 0;
    int64_t kept = -1;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t said = save_until_killed(kept + 1, rand_r(&seed) % LONGEST_US);
        amid += access(fresh, F_OK) == 0; /* a file that was being written is left over */
        kept = count_kept();
        assert_in_range(kept, said, said + 1);
        assert_int_equal(access(damaged, F_OK), -1);
    }
    printf("%d of %d kills came in the midst of writing\n", amid, ROUNDS);
    assert_true(amid > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_killed_while_saving)};
    return cmocka_run_group_tests_name("history_kill", tests, set_up, tear_down);
}
