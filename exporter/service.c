#include "exporter/service.h"

#include "exporter/base/clock.h"
#include "exporter/base/log.h"
#include "exporter/base/mem.h"
#include "exporter/config_json.h"
#include "exporter/encode.h"
#include "exporter/http.h"
#include "exporter/notify.h"
#include "exporter/publish.h"
#include "exporter/reload_record.h"
#include "exporter/sources.h"
#include "exporter/state_file.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct service {
    const struct service_environment *environment;
    struct shared_config *started; /* what it was started with: for what a reload doesn't change */
    struct shared_config *current; /* the one in force */
    pthread_mutex_t current_lock;
    struct program_facts program;
    struct publish *publish;
    struct sources *sources;
    struct http *http;
    struct reload_record reloads;
    struct state_folder *state; /* NULL: nothing is kept */
    pthread_mutex_t reloading;  /* guards `sources` and `http` while both main and a reload use them */
};

enum { PIECE = 256 * 1024, PIECE_LIMIT = 64 * 1024 * 1024, STOP_US = 1800 * 1000, NAMES_LIMIT = 1000 };

static void free_service(struct service **service)
{
    struct service *s = *service;
    http_stop(&s->http);
    sources_free(&s->sources);
    publish_free(&s->publish);
    shared_config_release(&s->started);
    shared_config_release(&s->current);
    pthread_mutex_destroy(&s->current_lock);
    pthread_mutex_destroy(&s->reloading);
    state_folder_free(&s->state);
    free(s);
    *service = NULL;
}

/* The sources are configured: what else depends on the configuration. */
static void put_in_force(struct service *service, struct shared_config *shared)
{
    const struct config *config = &shared->config;
    publish_set_policy(service->publish, page_policy_new(&config->metrics, config->max_series));
    pthread_mutex_lock(&service->current_lock);
    struct shared_config *before = service->current;
    service->current = shared_config_hold(shared);
    pthread_mutex_unlock(&service->current_lock);
    shared_config_release(&before);
}

static void describe_for_http(void *context, struct buf *out)
{
    struct service *service = context;
    pthread_mutex_lock(&service->current_lock);
    struct shared_config *shared = shared_config_hold(service->current);
    pthread_mutex_unlock(&service->current_lock);
    config_json_add(out, &shared->config);
    shared_config_release(&shared);
}

static bool open_state(struct service *service, const char *folder, struct error *error)
{
    if (folder[0] == '\0')
        return true;
    service->state = state_folder_new(folder, error);
    return service->state != NULL;
}

struct service *service_new(struct shared_config *shared, const struct service_environment *environment,
                            struct error *error)
{
    struct service *service = MEM_NEW(struct service);
    service->environment = environment;
    service->started = shared_config_hold(shared);
    service->program = (struct program_facts){
        .version = environment->version,
        .librdkafka_version = environment->librdkafka_version,
        .cluster_label = shared->config.cluster_label,
        .reloads = &service->reloads,
    };
    atomic_init(&service->reloads.failed, false);
    atomic_init(&service->reloads.last_success, clock_wall_ms());
    pthread_mutex_init(&service->current_lock, NULL);
    pthread_mutex_init(&service->reloading, NULL); /* can't fail with default attributes on Linux */
    service->publish = publish_new(NULL, 0);
    bool opened = open_state(service, shared->config.state_dir, error);
    service->sources = sources_new(environment->kinds, service->publish, service->state);
    if (opened && sources_configure(service->sources, shared, error))
        put_in_force(service, shared);
    else
        free_service(&service);
    return service;
}

static bool reload_for_http(void *context, struct error *error)
{
    return service_reload(context, error);
}

bool service_start(struct service *service, uint16_t port, struct error *error)
{
    const struct config *config = &service->started->config;
    struct http_config http = {
        .host = config->host,
        .port = port,
        .web_config_file = config->web_config_file,
        .program = &service->program,
        .reload = config->lifecycle ? reload_for_http : NULL,
        .describe = describe_for_http,
        .context = service,
    };
    /* As soon as it listens, somebody may ask for a reload. */
    pthread_mutex_lock(&service->reloading);
    service->http = http_start(&http, service->publish, error);
    bool started = service->http != NULL;
    if (started)
        sources_start(service->sources);
    pthread_mutex_unlock(&service->reloading);
    return started;
}

/* --- reloading ----------------------------------------------------------------------------------------- */

static void add_name(struct buf *names, const char *name)
{
    buf_add_format(names, "%s%s", names->length > 0 ? "," : "", name);
}

/* Puts back what stood there before; whether something else did. */
static bool keep_text(const char *before, char **text)
{
    if (strcmp(before, *text) == 0)
        return false;
    free(*text);
    *text = mem_copy_text(before);
    return true;
}

/* What the listening socket, the pages and the pollers' files are made with can't be changed under those who
 * use them: it stays as it was at the start, for sources that come later too. Returns the names of what
 * differs. */
static struct buf keep_until_restart(const struct config *started, struct config *config)
{
    struct buf names = buf_make(NAMES_LIMIT);
    bool port = started->port != config->port;
    config->port = started->port;
    if (keep_text(started->host, &config->host) || port)
        add_name(&names, "listen");
    if (keep_text(started->cluster_label, &config->cluster_label))
        add_name(&names, "cluster_label");
    if (keep_text(started->state_dir, &config->state_dir))
        add_name(&names, "state_dir");
    if (keep_text(started->record, &config->record))
        add_name(&names, "record");
    return names;
}

static bool reload(struct service *service, struct error *error)
{
    struct config config = config_default();
    if (service->environment->read_config == NULL)
        error_set(error, ERROR_UNSUPPORTED, "there is no configuration to be read again");
    bool done = service->environment->read_config != NULL &&
                service->environment->read_config(service->environment->context, &config, error);
    struct buf kept = keep_until_restart(&service->started->config, &config);
    struct shared_config *shared = shared_config_new(&config);
    done = done && (service->http == NULL || http_reload(service->http, error)) &&
           sources_configure(service->sources, shared, error);
    if (done) {
        put_in_force(service, shared);
        log_set_format(shared->config.log_format);
        log_set_level(shared->config.log_level);
        if (kept.length > 0)
            log_event(LOG_LEVEL_WARN, "some settings change at the next start only",
                      LOG_FIELDS(log_str("settings", buf_str(&kept))));
    }
    buf_free(&kept);
    shared_config_release(&shared);
    return done;
}

bool service_reload(struct service *service, struct error *error)
{
    pthread_mutex_lock(&service->reloading);
    notify_reloading();
    bool done = reload(service, error);
    atomic_store(&service->reloads.failed, !done);
    if (done) {
        atomic_store(&service->reloads.last_success, clock_wall_ms());
        log_event(LOG_LEVEL_INFO, "configuration reloaded", LOG_NO_FIELDS);
    } else {
        log_event(LOG_LEVEL_ERROR, "configuration not reloaded: the one before stays in force",
                  LOG_FIELDS(log_text("reason", error_text(error))));
    }
    notify_ready();
    pthread_mutex_unlock(&service->reloading);
    return done;
}

bool service_alive(struct service *service)
{
    struct view *view = publish_view(service->publish);
    view_release(&view);
    return true;
}

uint16_t service_port(const struct service *service)
{
    return http_port(service->http);
}

static bool print_page(struct service *service, FILE *out, struct error *error)
{
    struct page_facts facts = page_facts_now(&service->program);
    struct page *page = page_new(publish_view(service->publish), &facts, PAGE_TEXT, NULL);
    struct buf piece = buf_make(PIECE_LIMIT);
    bool more = true, written = true;
    while (more && written) {
        buf_reset(&piece);
        more = page_render(page, &piece, PIECE);
        /* A page may be empty: metrics can be filtered away. */
        written = buf_ok(&piece) &&
                  (piece.length == 0 || fwrite(piece.bytes, 1, piece.length, out) == piece.length);
    }
    if (!written || fflush(out) != 0) {
        error_set(error, ERROR_IO, "the page can't be written");
        written = false;
    }
    buf_free(&piece);
    page_free(&page);
    return written;
}

bool service_print_once(struct service *service, FILE *out, struct error *error)
{
    bool any = sources_poll_once(service->sources);
    if (!any)
        error_set(error, ERROR_UNAVAILABLE, "no source could be observed");
    return print_page(service, out, error) && any;
}

bool service_stop(struct service **service)
{
    struct service *s = *service;
    if (s == NULL)
        return true;
    int64_t deadline = clock_monotonic_us() + STOP_US;
    pthread_mutex_lock(&s->reloading);
    sources_request_stop(s->sources);
    pthread_mutex_unlock(&s->reloading);
    http_stop(&s->http);
    bool ended = sources_stop(s->sources, deadline);
    if (ended)
        free_service(service);
    *service = NULL;
    return ended;
}
