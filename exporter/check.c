#include "exporter/check.h"

#include <string.h>

static const char *grade_name(enum check_grade grade)
{
    static const char *const names[] = {
        [CHECK_OK] = "ok", [CHECK_LIMITED] = "limited", [CHECK_FAILED] = "failed"};
    return names[grade];
}

static void print(const struct source_config *source, const struct check_list *list, FILE *out)
{
    fprintf(out, "%s (%s %s)\n", source->name, source->kind, source->address);
    for (size_t i = 0; i < list->count; i++) {
        const struct check_line *line = &list->lines[i];
        fprintf(out, "  %-8s %s%s%s\n", grade_name(line->grade), line->what,
                line->remedy != NULL ? "; to mend it: " : "", line->remedy != NULL ? line->remedy : "");
    }
}

enum check_grade check_sources(const struct config *config, const struct collector_kind *const *kinds,
                               FILE *out)
{
    enum check_grade worst = CHECK_OK;
    for (size_t i = 0; i < config->source_count; i++) {
        const struct source_config *source = &config->sources[i];
        struct check_list list = {0};
        for (const struct collector_kind *const *kind = kinds; *kind != NULL; kind++)
            if (strcmp((*kind)->name, source->kind) == 0)
                (*kind)->check(source, &list);
        print(source, &list, out);
        enum check_grade grade = check_list_worst(&list);
        worst = grade > worst ? grade : worst;
        check_list_free(&list);
    }
    return worst;
}
