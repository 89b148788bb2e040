#include "exporter/service.h"

#include "exporter/base/clock.h"
#include "exporter/base/mem.h"
#include "exporter/encode.h"
#include "exporter/http.h"
#include "exporter/poller.h"
#include "exporter/publish.h"

#include <stdlib.h>
#include <string.h>

struct service {
    const struct config *config;
    const struct service_environment *environment;
    struct program_facts program;
    struct publish *publish;
    struct poller **pollers; /* as many as there are sources; NULL where none was made */
    struct http *http;
};

enum { PIECE = 256 * 1024, PIECE_LIMIT = 64 * 1024 * 1024, STOP_US = 1800 * 1000 };

static const struct collector_kind *find_kind(const struct collector_kind *const *kinds, const char *name)
{
    while (*kinds != NULL && strcmp((*kinds)->name, name) != 0)
        kinds++;
    return *kinds;
}

static void free_service(struct service **service)
{
    struct service *s = *service;
    http_stop(&s->http);
    for (size_t i = 0; i < s->config->source_count; i++)
        poller_free(&s->pollers[i]);
    publish_free(&s->publish);
    free(s->pollers);
    free(s);
    *service = NULL;
}

static bool open_sources(struct service *service, struct error *error)
{
    const struct config *config = service->config;
    struct source_status *statuses = MEM_ARRAY(config->source_count, struct source_status);
    const struct collector_kind **kinds = MEM_ARRAY(config->source_count, const struct collector_kind *);
    bool known = true;
    for (size_t i = 0; i < config->source_count && known; i++) {
        kinds[i] = find_kind(service->environment->kinds, config->sources[i].kind);
        known = kinds[i] != NULL;
        if (known)
            statuses[i] = poller_first_status(&config->sources[i], kinds[i]);
        else
            error_set(error, ERROR_USAGE, "source \"%s\": there is no kind \"%s\"", config->sources[i].name,
                      config->sources[i].kind);
    }
    bool opened = known;
    if (known)
        service->publish = publish_new(statuses, config->source_count);
    for (size_t i = 0; i < config->source_count && opened; i++) {
        service->pollers[i] =
            poller_new(&config->sources[i], kinds[i], &config->rules, service->publish, i, error);
        opened = service->pollers[i] != NULL;
    }
    free(statuses);
    free(kinds);
    return opened;
}

struct service *service_new(const struct config *config, const struct service_environment *environment,
                            struct error *error)
{
    struct service *service = MEM_NEW(struct service);
    service->config = config;
    service->environment = environment;
    service->program = (struct program_facts){
        .version = environment->version,
        .librdkafka_version = environment->librdkafka_version,
        .cluster_label = config->cluster_label,
    };
    service->pollers = MEM_ARRAY(config->source_count, struct poller *);
    if (!open_sources(service, error))
        free_service(&service);
    return service;
}

bool service_start(struct service *service, struct error *error)
{
    const struct config *config = service->config;
    struct http_config http = {
        .host = config->host,
        .port = config->port,
        .program = &service->program,
    };
    service->http = http_start(&http, service->publish, error);
    if (service->http == NULL)
        return false;
    for (size_t i = 0; i < config->source_count; i++)
        if (!poller_start(service->pollers[i], error))
            return false;
    return true;
}

uint16_t service_port(const struct service *service)
{
    return http_port(service->http);
}

static bool print_page(struct service *service, FILE *out, struct error *error)
{
    struct page_facts facts = page_facts_now(&service->program);
    struct page *page = page_new(publish_view(service->publish), &facts, PAGE_TEXT);
    struct buf piece = buf_make(PIECE_LIMIT);
    bool more = true, written = true;
    while (more && written) {
        buf_reset(&piece);
        more = page_render(page, &piece, PIECE);
        written = buf_ok(&piece) && fwrite(piece.bytes, 1, piece.length, out) == piece.length;
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
    bool any = false;
    for (size_t i = 0; i < service->config->source_count; i++) {
        struct error failure = {0};
        any |= poller_poll(service->pollers[i], &failure);
        error_clear(&failure); /* logged */
    }
    if (!any)
        error_set(error, ERROR_UNAVAILABLE, "no source could be observed");
    return print_page(service, out, error) && any;
}

bool service_stop(struct service **service)
{
    struct service *s = *service;
    if (s == NULL)
        return true;
    http_stop(&s->http);
    int64_t deadline = clock_monotonic_us() + STOP_US;
    bool joined = true;
    for (size_t i = 0; i < s->config->source_count; i++)
        poller_request_stop(s->pollers[i]);
    for (size_t i = 0; i < s->config->source_count; i++)
        joined &= poller_join(s->pollers[i], deadline);
    if (joined)
        free_service(service);
    *service = NULL;
    return joined;
}
