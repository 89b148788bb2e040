#include "collectors/kafka/kafka.h"
#include "collectors/logstore/logstore_collector.h"
#include "exporter/base/error.h"
#include "exporter/base/log.h"
#include "exporter/check.h"
#include "exporter/config.h"
#include "exporter/config_schema.h"
#include "exporter/demo.h"
#include "exporter/metrics.h"
#include "exporter/notify.h"
#include "exporter/replay.h"
#include "exporter/service.h"
#include "exporter/status.h"
#include "exporter/version.h"
#include "logstore/cli/cli.h"

#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Arguments, subcommands, wiring: the only file that knows everybody. */

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_WRONG_USE = 2 };

static const struct collector_kind *const kinds[] = {&kafka_collector, &logstore_collector, NULL};

static struct service_environment environment(void)
{
    return (struct service_environment){
        .version = TIDEMARK_VERSION,
        .librdkafka_version = kafka_client_version(),
        .kinds = kinds,
    };
}

/* One line on standard error; the exit code that belongs to the error. Clears it. */
static int complain(const char *command, struct error *error)
{
    int code = error->code == ERROR_USAGE ? EXIT_WRONG_USE : EXIT_FAILED;
    fprintf(stderr, "tidemark %s: %s\n", command, error_text(error));
    error_clear(error);
    return code;
}

/* --- flags --------------------------------------------------------------------------------------------- */

/* What the command line of `serve` and `demo` says besides the configuration. */
struct options {
    const char *const *refused; /* flags that the command hasn't, without their dashes; ends with NULL */
    bool once, help;
    bool listen; /* where to listen was said */
};

/* Whether the argument is "--flag" or "--flag=value". */
static bool is_flag(const char *argument, const char *flag)
{
    size_t length = strlen(flag);
    return strncmp(argument, "--", 2) == 0 && strncmp(argument + 2, flag, length) == 0 &&
           (argument[2 + length] == '\0' || argument[2 + length] == '=');
}

static bool is_refused(const char *argument, const struct options *options)
{
    for (const char *const *flag = options->refused; *flag != NULL; flag++)
        if (is_flag(argument, *flag))
            return true;
    return false;
}

static void refuse_flag(const char *argument, struct error *error)
{
    error_set(error, ERROR_USAGE, "%s: there is no such flag; --help lists them", argument);
}

/* The value of the flag at argv[*i], which is "--flag=value" or "--flag value"; moves *i on. */
static const char *flag_value(int argc, char **argv, int *i, struct error *error)
{
    const char *equals = strchr(argv[*i], '=');
    if (equals != NULL)
        return equals + 1;
    if (*i + 1 < argc)
        return argv[++*i];
    error_set(error, ERROR_USAGE, "%s needs a value", argv[*i]);
    return NULL;
}

static bool take_flag(struct config *config, const char *argument, const char *value, struct error *error)
{
    size_t length = strcspn(argument + 2, "=");
    char *flag = strndup(argument + 2, length);
    if (flag == NULL) {
        error_set(error, ERROR_MEMORY, "out of memory");
        return false;
    }
    bool taken = config_set_flag(config, flag, value, error);
    free(flag);
    if (!taken && error->code == ERROR_NOT_FOUND)
        refuse_flag(argument, error);
    return taken;
}

/* Flags win over the file, wherever --config stands: the file is taken in the first of two passes. */
static bool parse_flags(int argc, char **argv, bool file_pass, struct config *config, struct options *options,
                        struct error *error)
{
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        if (is_refused(argument, options)) {
            refuse_flag(argument, error);
            return false;
        } else if (strcmp(argument, "--web.enable-lifecycle") == 0) {
            config->lifecycle = true;
        } else if (strcmp(argument, "--once") == 0) {
            options->once = true;
        } else if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            options->help = true;
            return true;
        } else if (strncmp(argument, "--", 2) != 0) {
            error_set(error, ERROR_USAGE, "%s: not expected here; flags begin with --, and --help lists them",
                      argument);
            return false;
        } else {
            const char *value = flag_value(argc, argv, &i, error);
            bool file = is_flag(argument, "config");
            options->listen |= is_flag(argument, "listen");
            if (value == NULL || (file == file_pass && !take_flag(config, argument, value, error)))
                return false;
        }
    }
    return true;
}

static bool parse(int argc, char **argv, struct config *config, struct options *options, struct error *error)
{
    return parse_flags(argc, argv, true, config, options, error) &&
           (options->help || parse_flags(argc, argv, false, config, options, error));
}

/* --- serving ------------------------------------------------------------------------------------------- */

/* Blocks the signals that are waited for, for this thread and those that it starts: those that end the
 * program, and `further` (0: none). */
static sigset_t block_signals(int further)
{
    sigset_t awaited;
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGINT);
    sigaddset(&awaited, SIGTERM);
    if (further != 0)
        sigaddset(&awaited, further);
    pthread_sigmask(SIG_BLOCK, &awaited, NULL); /* fails only for a `how` that doesn't exist */
    signal(SIGPIPE, SIG_IGN);
    return awaited;
}

static int await_signal(const sigset_t *awaited)
{
    int caught;
    while (sigwait(awaited, &caught) != 0)
        ;
    return caught;
}

static void log_listening(const struct config *config, uint16_t port)
{
    log_event(LOG_LEVEL_INFO, "listening",
              LOG_FIELDS(log_text("address", config->host), log_int("port", port),
                         log_text("version", TIDEMARK_VERSION)));
}

/* Where a source still hangs, its thread uses what would be freed now: the process ends without waiting. */
static void end_at_once(int code)
{
    log_event(LOG_LEVEL_WARN, "ended without waiting for a source that doesn't answer", LOG_NO_FIELDS);
    fflush(stdout);
    _exit(code);
}

/* A signal, or 0 when none came in that time (0: however long it takes). */
static int await_signal_for(const sigset_t *awaited, int64_t us)
{
    struct timespec time = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
    int caught = us == 0 ? await_signal(awaited) : sigtimedwait(awaited, NULL, &time);
    return caught > 0 ? caught : 0;
}

/* Serves until a signal comes that ends it. */
static bool serve_until_signal(const struct config *config, struct service *service, const sigset_t *awaited,
                               struct error *error)
{
    if (!service_start(service, config->port, error))
        return false;
    log_listening(config, service_port(service));
    notify_ready();
    int64_t watchdog_us = notify_watchdog_us();
    int caught;
    while ((caught = await_signal_for(awaited, watchdog_us / 2)) == SIGHUP || caught == 0) {
        struct error failure = {0};
        if (caught == SIGHUP)
            service_reload(service, &failure);
        error_clear(&failure); /* logged */
        if (watchdog_us > 0 && service_alive(service))
            notify_alive();
    }
    notify_stopping();
    log_event(LOG_LEVEL_INFO, "ending",
              LOG_FIELDS(log_text("signal", caught == SIGINT ? "SIGINT" : "SIGTERM")));
    return true;
}

/* What can't be had from the start (an address in use, say) is wrong use, whatever its reason. */
static int complain_about_start(struct error *error)
{
    error->code = ERROR_USAGE;
    return complain("serve", error);
}

/* The command line of `serve`, which a reload reads again. */
struct command_line {
    int argc;
    char **argv;
};

static bool read_config(void *context, struct config *config, struct error *error)
{
    static const char *const refused[] = {NULL};
    struct command_line *line = context;
    struct options options = {.refused = refused};
    return parse(line->argc, line->argv, config, &options, error) && config_complete(config, error);
}

static int serve(struct shared_config *shared, struct command_line *line, bool once)
{
    struct error error = {0};
    struct service_environment around = environment();
    around.read_config = read_config;
    around.context = line;
    /* A single page has nothing to clean up: there a signal ends the program at once. */
    sigset_t awaited = {0};
    if (!once)
        awaited = block_signals(SIGHUP);
    log_set_format(shared->config.log_format);
    log_set_level(shared->config.log_level);
    struct service *service = service_new(shared, &around, &error);
    int code = EXIT_DONE;
    if (service == NULL)
        return complain("serve", &error);
    if (once) {
        if (!service_print_once(service, stdout, &error))
            code = complain("serve", &error);
    } else if (!serve_until_signal(&shared->config, service, &awaited, &error)) {
        code = complain_about_start(&error);
    }
    if (!service_stop(&service))
        end_at_once(code);
    return code;
}

static const char serve_help[] =
    "tidemark serve: watch Kafka clusters and log stores, and serve what is found at /metrics\n\n"
    "  --kafka [NAME=]HOST:PORT[,HOST:PORT…]  a Kafka cluster, named \"default\" unless said otherwise\n"
    "  --logstore [NAME=]DIR                  a log store\n"
    "  --config FILE                          JSON, or YAML if it ends in .yaml, for all of this and more\n"
    "  --listen ADDRESS:PORT                  where to serve (default :9308)\n"
    "  --poll-interval DURATION               how often to look (default 15s)\n"
    "  --timeout DURATION                     for each request to a source (default 10s)\n"
    "  --rule NAME=VALUE                      a number that the conditions depend on, such as objective=5m\n"
    "  --granularity partition|topic|group    how finely series tell subjects apart (default partition)\n"
    "  --metrics-include PATTERN              only families whose names match; --metrics-exclude: all but "
    "them\n"
    "  --max-series N                         the most series on a page; the gravest groups stay\n"
    "  --cluster-label NAME                   name of the label `cluster`\n"
    "  --state-dir DIR                        keep the past there, so that a restart forgets nothing\n"
    "  --record FILE                          append what is observed, for `tidemark replay`\n"
    "  --log-format logfmt|json\n"
    "  --log-level info|warn|error            the least grave messages that are logged (default info)\n"
    "  --web.config.file FILE                 TLS, client certificates and passwords, as Prometheus has it\n"
    "  --web.enable-lifecycle                 POST /-/reload reads the configuration again, as SIGHUP does\n"
    "  --once                                 print one page of metrics and end\n\n"
    "Example: tidemark serve --kafka broker-1:9092 --listen 127.0.0.1:9308\n";

static int serve_command(int argc, char **argv)
{
    static const char *const refused[] = {NULL};
    struct error error = {0};
    struct options options = {.refused = refused};
    struct config config = config_default();
    int code = EXIT_DONE;
    if (!parse(argc, argv, &config, &options, &error) || (!options.help && !config_complete(&config, &error)))
        code = complain("serve", &error);
    else if (options.help)
        fputs(serve_help, stdout);
    else {
        struct shared_config *shared = shared_config_new(&config);
        code = serve(shared, &(struct command_line){argc, argv}, options.once);
        shared_config_release(&shared);
    }
    config_free(&config);
    return code;
}

/* --- checking ------------------------------------------------------------------------------------------ */

static const char check_help[] =
    "tidemark check: configuration, connection and permissions: what works, what doesn't, how to mend it\n\n"
    "It takes the flags of `tidemark serve` that tell of sources: --kafka, --logstore, --config, --timeout.\n"
    "Exit code: 0 all is well, 1 something is missing, 2 the configuration is wrong.\n\n"
    "Example: tidemark check --kafka broker-1:9092\n";

static int check_command(int argc, char **argv)
{
    static const char *const refused[] = {"once", NULL};
    struct error error = {0};
    struct options options = {.refused = refused};
    struct config config = config_default();
    int code = EXIT_DONE;
    signal(SIGPIPE, SIG_IGN);
    if (!parse(argc, argv, &config, &options, &error) || (!options.help && !config_complete(&config, &error)))
        code = complain("check", &error);
    else if (options.help)
        fputs(check_help, stdout);
    else if (check_sources(&config, kinds, stdout) != CHECK_OK)
        code = EXIT_FAILED;
    config_free(&config);
    return code;
}

/* --- the demo ------------------------------------------------------------------------------------------ */

static const char demo_help[] =
    "tidemark demo: a log store in which typical failures happen, and the daemon on top\n\n"
    "  --listen ADDRESS:PORT      where to serve (default 127.0.0.1:9308, or a free port where that is "
    "taken)\n"
    "  --poll-interval DURATION   how often to look (default 1s)\n"
    "  --rule NAME=VALUE          a number that the conditions depend on; those of the demo are short\n"
    "  --cluster-label NAME       name of the label `cluster`\n"
    "  --log-format logfmt|json\n\n"
    "Example: tidemark demo --listen 127.0.0.1:9400\n";

static const char demo_listen[] = "127.0.0.1:9308";

/* The demo's own settings; what the user says comes later and wins. */
static bool configure_demo(struct config *config, struct error *error)
{
    bool done =
        config_set(config, "listen", demo_listen, error) && config_set(config, "poll_interval", "1s", error);
    for (const char *const *rule = demo_rules(); done && *rule != NULL; rule++)
        done = config_set_flag(config, "rule", *rule, error);
    return done;
}

/* Where the default port is taken, a free one does: the demo prints it anyway. One that was asked for has to
 * be had. */
static bool start_listening(uint16_t port, bool asked_for, struct service *service, struct error *error)
{
    if (service_start(service, port, error))
        return true;
    if (error->code != ERROR_UNAVAILABLE || asked_for)
        return false;
    printf("Port %u is taken, so here is another.\n", (unsigned)port);
    error_clear(error);
    return service_start(service, 0, error);
}

static void print_guide(const struct config *config, const struct demo *demo, const struct service *service)
{
    char *address = NULL;
    bool v6 = strchr(config->host, ':') != NULL;
    const char *host = *config->host != '\0' ? config->host : "127.0.0.1";
    if (asprintf(&address, "http://%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "",
                 (unsigned)service_port(service)) < 0)
        return;
    demo_print_guide(demo, address);
    fflush(stdout);
    free(address);
}

/* Serves the demo's store until a signal comes. False: a source still hangs, and the process has to end at
 * once. */
static bool run_demo(struct config *config, const struct options *options, const struct demo *demo,
                     const sigset_t *ending, int *code)
{
    struct error error = {0};
    struct service_environment around = environment();
    config_add_source(config, "logstore", "demo", demo_folder(demo));
    bool complete = config_complete(config, &error);
    struct shared_config *shared = shared_config_new(config);
    struct service *service = complete ? service_new(shared, &around, &error) : NULL;
    if (service != NULL && start_listening(shared->config.port, options->listen, service, &error)) {
        print_guide(&shared->config, demo, service);
        await_signal(ending);
    } else {
        error.code = ERROR_USAGE; /* as of serve: what can't be had from the start is wrong use */
        *code = complain("demo", &error);
    }
    shared_config_release(&shared);
    return service_stop(&service);
}

static int demo_command(int argc, char **argv)
{
    /* The demo has a store and a configuration of its own, and goes on. */
    static const char *const refused[] = {
        "kafka",     "logstore", "config", "timeout", "once", "web.config.file", "web.enable-lifecycle",
        "state-dir", NULL};
    struct error error = {0};
    struct options options = {.refused = refused};
    struct config config = config_default();
    if (!configure_demo(&config, &error) || !parse(argc, argv, &config, &options, &error)) {
        config_free(&config);
        return complain("demo", &error);
    }
    int code = EXIT_DONE;
    if (options.help) {
        fputs(demo_help, stdout);
    } else {
        /* First the signals, so that none comes between making the folder and being able to remove it. Then
         * the demo, before there is a thread, since it makes processes. */
        sigset_t ending = block_signals(0);
        struct demo *demo = demo_start(&error);
        bool ended = true;
        if (demo != NULL)
            ended = run_demo(&config, &options, demo, &ending, &code);
        else
            code = complain("demo", &error);
        demo_stop(&demo);
        if (!ended)
            end_at_once(code);
    }
    config_free(&config);
    return code;
}

/* --- the commands -------------------------------------------------------------------------------------- */

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *purpose;
} commands[] = {
    {"serve", serve_command, "watch Kafka clusters and log stores, and serve metrics"},
    {"demo", demo_command,
     "see it work: a log store in which typical failures happen, and the daemon on top"},
    {"status", status_command, "ask a running daemon: the groups, the worst first, in plain words"},
    {"explain", explain_command, "ask it about one group: why, since when, where, and what to do"},
    {"check", check_command, "look at configuration, connection and permissions, and say how to mend them"},
    {"replay", replay_command, "judge recorded observations"},
    {"metrics", metrics_command, "the catalogue of metrics, as text, --json or --markdown"},
    {"schema", config_schema_command, "the JSON Schema of the configuration file"},
    {"log", logstore_command, "the bundled log store: create, append, read, commit, groups …"},
};

static void print_help(FILE *out)
{
    fputs("Tidemark watches consumer groups: how far behind they are, why, and what is about to be lost.\n\n",
          out);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(out, "  tidemark %-8s %s\n", commands[i].name, commands[i].purpose);
    fputs("\nEach takes --help. To begin with: tidemark demo\n", out);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(argc > 1 ? stdout : stderr);
        return argc > 1 ? EXIT_DONE : EXIT_WRONG_USE;
    }
    if (strcmp(name, "--version") == 0) {
        printf("tidemark %s (librdkafka %s)\n", TIDEMARK_VERSION, kafka_client_version());
        return EXIT_DONE;
    }
    /* Client libraries have many threads, and an arena for each keeps what another poll could use. */
    mallopt(M_ARENA_MAX, 2);
    /* What is as large as a snapshot goes back to the system when it is freed, and doesn't leave a gap that
     * what is small then settles in. */
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "tidemark: %s: there is no such command; tidemark --help lists them\n", name);
    return EXIT_WRONG_USE;
}
