#ifndef TIDEMARK_HTTP_ANSWER_H
#define TIDEMARK_HTTP_ANSWER_H

#include "exporter/base/buf.h"
#include "exporter/http_server.h"

/* The ways to answer. Each sets the headers that every answer has, and returns what the library wants to
 * hear: MHD_NO ends the connection. */

enum { ANSWER_LIMIT = 64 * 1024 * 1024 }; /* bytes of an answer that is made in memory */

/* Content types. */
#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_HTML "text/html; charset=utf-8"
#define TYPE_JSON "application/json"
#define TYPE_CSS  "text/css; charset=utf-8"
#define TYPE_JS   "text/javascript; charset=utf-8"

/* Gives the response the headers that every answer has; false when there is no memory for them. */
bool answer_add_headers(const struct http *http, struct MHD_Response *response, const char *type);

/* Gives the response its headers and sends it; takes it over. NULL: there was no memory for one. */
enum MHD_Result answer_response(const struct request *request, unsigned status, const char *type,
                                struct MHD_Response *response);

/* `text` is static. */
enum MHD_Result answer_text(const struct request *request, unsigned status, const char *text);

/* 200 with a text that is static. */
enum MHD_Result answer_static(const struct request *request, const char *type, const char *text);

/* 405, with the methods that the path takes; both texts are static. */
enum MHD_Result answer_text_allowing(const struct request *request, const char *text, const char *methods);

/* Takes the bytes over; 500 when the buffer has failed. */
enum MHD_Result answer_buf(const struct request *request, unsigned status, const char *type, struct buf *buf);

/* 401: a name and a password are wanted. */
enum MHD_Result answer_unauthorized(const struct request *request);

#endif
