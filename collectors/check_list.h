#ifndef TIDEMARK_CHECK_LIST_H
#define TIDEMARK_CHECK_LIST_H

#include <stddef.h>

/* What was found out about a source for a person who sets it up: a line each. One thread. */

enum check_grade {
    CHECK_OK,
    CHECK_LIMITED, /* the source can be observed, and something of it can't */
    CHECK_FAILED,  /* the source can't be observed */
};

struct check_line {
    enum check_grade grade;
    char *what;   /* owned; what is so, in a line */
    char *remedy; /* owned; what to do about it; NULL when there is nothing to do */
};

/* All zero at first. */
struct check_list {
    struct check_line *lines;
    size_t count, capacity;
};

/* Adds what is as it should be. */
void check_list_ok(struct check_list *list, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds a problem; the remedy is copied. */
void check_list_problem(struct check_list *list, enum check_grade grade, const char *remedy,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The worst grade; CHECK_OK when there is no line. */
enum check_grade check_list_worst(const struct check_list *list);

void check_list_free(struct check_list *list);

#endif
