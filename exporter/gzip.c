#include "exporter/gzip.h"

#include "exporter/base/mem.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

struct gzip {
    z_stream stream;
};

/* Level 1: the page shrinks to a twelfth; higher levels cost twice the time to save little more. Window bits
 * above 15 ask for gzip's own header and checksum. */
enum { LEVEL = 1, GZIP_WINDOW = 15 + 16, MEMORY = 8, PIECE = 32 * 1024 };

struct gzip *gzip_new(void)
{
    struct gzip *gzip = MEM_NEW(struct gzip);
    if (deflateInit2(&gzip->stream, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEMORY, Z_DEFAULT_STRATEGY) == Z_OK)
        return gzip;
    free(gzip);
    return NULL;
}

/* Runs until the input is used up, or to the end of the member. */
static void run(struct gzip *gzip, int flush, struct buf *out)
{
    z_stream *stream = &gzip->stream;
    int result = Z_OK;
    do {
        char *room = buf_room(out, PIECE);
        if (room == NULL)
            return;
        stream->next_out = (Bytef *)room;
        stream->avail_out = PIECE;
        result = deflate(stream, flush);
        buf_claim(out, PIECE - stream->avail_out);
    } while (flush == Z_FINISH ? result == Z_OK : stream->avail_out == 0);
    out->failed |= result == Z_STREAM_ERROR;
}

void gzip_add(struct gzip *gzip, struct str bytes, struct buf *out)
{
    while (bytes.length > 0) {
        size_t count = bytes.length < UINT_MAX ? bytes.length : UINT_MAX;
        gzip->stream.next_in = (Bytef *)(uintptr_t)bytes.bytes;
        gzip->stream.avail_in = (uInt)count;
        run(gzip, Z_NO_FLUSH, out);
        bytes = (struct str){bytes.bytes + count, bytes.length - count};
    }
}

void gzip_end(struct gzip *gzip, struct buf *out)
{
    gzip->stream.avail_in = 0;
    run(gzip, Z_FINISH, out);
}

void gzip_free(struct gzip **gzip)
{
    if (*gzip == NULL)
        return;
    (void)deflateEnd(&(*gzip)->stream); /* complains only if something is left over */
    free(*gzip);
    *gzip = NULL;
}
