#include "collectors/check_list.h"

#include "exporter/base/buf.h"
#include "exporter/base/mem.h"
#include "exporter/base/utf8.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The text with what a terminal would take for a command made visible. */
static char *printable(const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        return mem_copy_text("?");
    struct buf shown = buf_make(SIZE_MAX);
    utf8_add_printable(&shown, str_of(text));
    free(text);
    char *copy = mem_copy_str(buf_str(&shown));
    buf_free(&shown);
    return copy;
}

static void add(struct check_list *list, enum check_grade grade, const char *remedy, char *what)
{
    list->lines = mem_grow(list->lines, &list->capacity, list->count + 1, sizeof *list->lines);
    list->lines[list->count++] =
        (struct check_line){grade, what, remedy != NULL ? mem_copy_text(remedy) : NULL};
}

void check_list_ok(struct check_list *list, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(list, CHECK_OK, NULL, printable(format, arguments));
    va_end(arguments);
}

void check_list_problem(struct check_list *list, enum check_grade grade, const char *remedy,
                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(list, grade, remedy, printable(format, arguments));
    va_end(arguments);
}

enum check_grade check_list_worst(const struct check_list *list)
{
    enum check_grade worst = CHECK_OK;
    for (size_t i = 0; i < list->count; i++)
        if (list->lines[i].grade > worst)
            worst = list->lines[i].grade;
    return worst;
}

void check_list_free(struct check_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->lines[i].what);
        free(list->lines[i].remedy);
    }
    free(list->lines);
    *list = (struct check_list){0};
}
