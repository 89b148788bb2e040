#include "logstore/cli/cli.h"

#include "logstore/cli/verbs.h"

#include <stdio.h>
#include <string.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const struct verb *const ALL_VERBS[] = {topic_verbs, record_verbs, group_verbs};

enum { VERB_FILES = sizeof ALL_VERBS / sizeof ALL_VERBS[0] };

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERB_FILES; i++)
        for (const struct verb *verb = ALL_VERBS[i]; verb->name != NULL; verb++)
            if (strcmp(verb->name, name) == 0)
                return verb;
    return NULL;
}

static void print_overview(FILE *to)
{
    fputs("Usage: tidemark log VERB DIR …\n\nA log store in a folder: topics, records, groups.\n\n", to);
    for (size_t i = 0; i < VERB_FILES; i++)
        for (const struct verb *verb = ALL_VERBS[i]; verb->name != NULL; verb++)
            fprintf(to, "  %-8s %s\n", verb->name, verb->summary);
    fputs("\ntidemark log VERB --help says more.\n", to);
}

static void print_help(const struct verb *verb)
{
    printf("Usage: tidemark log %s %s [options]\n\n%s\n", verb->name, verb->positional, verb->summary);
    for (const struct option *option = verb->options; option != NULL && option->name != NULL; option++)
        printf("%s  --%s%s%s\n        %s\n", option == verb->options ? "\n" : "", option->name,
               option->value != NULL ? " " : "", option->value != NULL ? option->value : "", option->help);
    printf("\nExample:\n  %s\n", verb->example);
}

static bool asks_for_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int complain(const char *verb, struct error *error)
{
    int code = error->code == ERROR_USAGE ? EXIT_USAGE : EXIT_FAILED;
    fprintf(stderr, "tidemark log %s: %s\n", verb, error_text(error));
    error_clear(error);
    return code;
}

static bool run(const struct verb *verb, int argc, char **argv, struct error *error)
{
    struct arguments arguments;
    if (!arguments_parse(&arguments, verb->options, argc, argv, error))
        return false;
    if (arguments.positional_count < verb->least || arguments.positional_count > verb->most) {
        error_set(error, ERROR_USAGE, "expected %s; --help says more", verb->positional);
        return false;
    }
    if (!verb->run(&arguments, error))
        return false;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    error_set(error, ERROR_IO, "the output could not be written");
    return false;
}

int logstore_command(int argc, char **argv)
{
    struct error error = {0};
    if (argc < 2 || asks_for_help(argv[1])) {
        print_overview(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_DONE;
    }
    const struct verb *verb = find_verb(argv[1]);
    if (verb == NULL) {
        error_set(&error, ERROR_USAGE, "there is no such verb; tidemark log --help lists them");
        return complain(argv[1], &error);
    }
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (asks_for_help(argv[i])) {
            print_help(verb);
            return EXIT_DONE;
        }
    return run(verb, argc - 2, argv + 2, &error) ? EXIT_DONE : complain(verb->name, &error);
}

struct logstore *verb_open(const struct arguments *arguments, enum logstore_access access,
                           struct error *error)
{
    static const char *const MODES[] = {"always", "interval", "never"};
    struct logstore_options options = {.access = access};
    const char *mode = argument_value(arguments, "fsync");
    for (int i = 0; mode != NULL; i++) {
        if (i == 3) {
            error_set(error, ERROR_USAGE, "--fsync must be always, interval or never, not \"%s\"", mode);
            return NULL;
        }
        if (strcmp(mode, MODES[i]) == 0) {
            options.fsync = (enum logstore_fsync)i;
            break;
        }
    }
    return logstore_open(arguments->positional[0], &options, error);
}

bool verb_pass_deleted(struct logstore *store, struct str topic, uint32_t partition,
                       struct logstore_reader *reader, int64_t *deleted, struct error *error)
{
    struct error missing = *error;
    int64_t start, end, offset = logstore_reader_offset(reader);
    *error = (struct error){0};
    if (!logstore_offsets(store, topic, partition, &start, &end, error)) {
        error_clear(&missing);
        return false;
    }
    if (start <= offset) {
        *error = missing;
        return false;
    }
    error_clear(&missing);
    *deleted = start - offset;
    logstore_reader_seek(reader, start);
    return true;
}
