#include "exporter/http_packed.h"

#include "exporter/base/mem.h"
#include "exporter/gzip.h"
#include "exporter/http_exposition.h"
#include "exporter/http_stream.h"

#include <pthread.h>
#include <stdlib.h>

enum { PACKED_LIMIT = 1 << 30, PIECE = 64 * 1024 };

/* The page of one format. The library counts those who read a response, so the response is what is shared. */
struct packed_page {
    struct MHD_Response *response; /* NULL: none was made yet, or none could be made */
    uint64_t number;               /* of the view that it shows */
    bool asked;                    /* somebody asked since it was made */
    bool wanted;                   /* to be made now */
    bool is_being_made;
};

struct packed {
    struct http *http;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows; taken after that of `publish`, never before */
    pthread_cond_t changed;
    struct packed_page pages[PAGE_FORMATS];
    struct MHD_Connection **waiting;
    size_t waiting_count, waiting_capacity;
    bool published; /* something new, since it was last looked */
    bool stop;
};

/* --- making -------------------------------------------------------------------------------------------- */

static bool compress_page(struct page *page, struct buf *out)
{
    struct gzip *gzip = gzip_new();
    if (gzip == NULL)
        return false;
    struct buf piece = buf_make(PACKED_LIMIT);
    bool more = true;
    while (more) {
        buf_reset(&piece);
        more = page_render(page, &piece, PIECE);
        gzip_add(gzip, buf_str(&piece), out);
    }
    gzip_end(gzip, out);
    out->failed |= piece.failed;
    buf_free(&piece);
    gzip_free(&gzip);
    return buf_ok(out);
}

/* The page of what is published now, and the number of the view. NULL: none could be made. */
static struct MHD_Response *make_response(struct packed *packed, enum page_format format, uint64_t *number)
{
    struct page *page = exposition_page(packed->http, format, NULL, number);
    exposition_note_dropped(packed->http, page_dropped(page));
    struct buf bytes = buf_make(PACKED_LIMIT);
    struct MHD_Response *response = NULL;
    if (compress_page(page, &bytes))
        response = MHD_create_response_from_buffer(bytes.length, bytes.bytes, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        buf_free(&bytes);
    page_free(&page);
    if (response != NULL && !exposition_add_headers(packed->http, response, format, true)) {
        MHD_destroy_response(response);
        response = NULL;
    }
    return response;
}

/* With the lock held. */
static void resume_all(struct packed *packed)
{
    for (size_t i = 0; i < packed->waiting_count; i++)
        MHD_resume_connection(packed->waiting[i]);
    packed->waiting_count = 0;
}

/* With the lock held, which it gives back while it works. */
static void make(struct packed *packed, enum page_format format)
{
    struct packed_page *page = &packed->pages[format];
    page->wanted = page->asked = false;
    page->is_being_made = true;
    pthread_mutex_unlock(&packed->lock);
    uint64_t number;
    struct MHD_Response *made = make_response(packed, format, &number);
    pthread_mutex_lock(&packed->lock);
    if (page->response != NULL)
        MHD_destroy_response(page->response);
    page->response = made;
    page->number = number;
    page->is_being_made = false;
    resume_all(packed); /* who waits for another format asks again */
}

/* What plain pages need is little, so it is done first. With the lock held, which it gives back while it
 * works. False: nothing was to be done. */
static bool prepare_plain_pages(struct packed *packed)
{
    if (!packed->published)
        return false;
    packed->published = false;
    pthread_mutex_unlock(&packed->lock);
    stream_prepare(packed->http);
    pthread_mutex_lock(&packed->lock);
    return true;
}

static void *run(void *context)
{
    struct packed *packed = context;
    pthread_mutex_lock(&packed->lock);
    while (!packed->stop) {
        bool made = prepare_plain_pages(packed);
        for (int format = 0; format < PAGE_FORMATS; format++) {
            if (packed->pages[format].wanted && !packed->stop) {
                make(packed, (enum page_format)format);
                made = true;
            }
        }
        if (!made && !packed->stop)
            pthread_cond_wait(&packed->changed, &packed->lock);
    }
    pthread_mutex_unlock(&packed->lock);
    return NULL;
}

/* Something new is published: what somebody asked for is made anew, before it is asked for again. */
static void renew(void *context)
{
    struct packed *packed = context;
    pthread_mutex_lock(&packed->lock);
    packed->published = true;
    for (int format = 0; format < PAGE_FORMATS; format++)
        packed->pages[format].wanted |= packed->pages[format].asked;
    pthread_cond_signal(&packed->changed);
    pthread_mutex_unlock(&packed->lock);
}

/* --- answering ----------------------------------------------------------------------------------------- */

/* With the lock held. What is being made may be what is waited for; who finds it too old asks again. */
static void wait_for_page(struct packed *packed, const struct request *request, struct packed_page *page)
{
    MHD_suspend_connection(request->connection);
    packed->waiting = mem_grow(packed->waiting, &packed->waiting_capacity, packed->waiting_count + 1,
                               sizeof(struct MHD_Connection *));
    packed->waiting[packed->waiting_count++] = request->connection;
    page->wanted |= !page->is_being_made;
    pthread_cond_signal(&packed->changed);
}

bool packed_answer(struct packed *packed, const struct request *request, enum page_format format,
                   enum MHD_Result *result)
{
    /* Of what was published when the request came: who has waited takes it, though there be newer by now. */
    uint64_t *number = &request->exchange->view_number;
    if (*number == 0)
        *number = publish_number(packed->http->publish);
    struct packed_page *page = &packed->pages[format];
    bool answered = true;
    pthread_mutex_lock(&packed->lock);
    page->asked = true;
    if (page->number >= *number && page->response != NULL) {
        *result = MHD_queue_response(request->connection, MHD_HTTP_OK, page->response);
    } else if (page->number < *number && !packed->stop) {
        wait_for_page(packed, request, page);
        *result = MHD_YES;
    } else {
        answered = false;
    }
    pthread_mutex_unlock(&packed->lock);
    return answered;
}

/* --- its life ------------------------------------------------------------------------------------------ */

struct packed *packed_start(struct http *http, struct error *error)
{
    struct packed *packed = MEM_NEW(struct packed);
    packed->http = http;
    pthread_mutex_init(&packed->lock, NULL); /* neither can fail with default attributes on Linux */
    pthread_cond_init(&packed->changed, NULL);
    int code = pthread_create(&packed->thread, NULL, run, packed);
    if (code != 0) {
        error_set_errno(error, ERROR_IO, code, "start the thread that compresses pages");
        packed_free(&packed);
        return NULL;
    }
    publish_watch(http->publish, renew, packed);
    return packed;
}

void packed_stop(struct packed *packed)
{
    publish_watch(packed->http->publish, NULL, NULL);
    pthread_mutex_lock(&packed->lock);
    packed->stop = true;
    resume_all(packed);
    pthread_cond_signal(&packed->changed);
    pthread_mutex_unlock(&packed->lock);
    pthread_join(packed->thread, NULL); /* can't fail for a thread that was started and never joined */
}

void packed_free(struct packed **packed)
{
    struct packed *p = *packed;
    *packed = NULL;
    if (p == NULL)
        return;
    for (int format = 0; format < PAGE_FORMATS; format++)
        if (p->pages[format].response != NULL)
            MHD_destroy_response(p->pages[format].response);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p->waiting);
    free(p);
}
