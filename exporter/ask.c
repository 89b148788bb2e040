#include "exporter/ask.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_SECONDS = 5, ANSWER_SECONDS = 30 };

static size_t take(char *bytes, size_t size, size_t count, void *context)
{
    struct buf *answer = context;
    buf_add(answer, bytes, size * count);
    return buf_ok(answer) ? size * count : 0;
}

static bool judge_status(const struct ask *ask, long status, bool *found, struct error *error)
{
    *found = status == 200;
    if (status == 200 || status == 404)
        return true;
    if (status == 401 || status == 403)
        error_set(error, ERROR_DENIED,
                  "%s wants a user and a password; give them in --url "
                  "https://USER:PASSWORD@HOST:PORT",
                  ask->url);
    else
        error_set(error, ERROR_UNAVAILABLE, "%s answered with status %ld", ask->url, status);
    return false;
}

static bool perform(CURL *curl, const struct ask *ask, const char *address, struct buf *answer, bool *found,
                    struct error *error)
{
    char reason[CURL_ERROR_SIZE] = "";
    long status = 0;
    bool set = curl_easy_setopt(curl, CURLOPT_URL, address) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ANSWER_SECONDS) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer) == CURLE_OK &&
               (ask->ca_certificate == NULL ||
                curl_easy_setopt(curl, CURLOPT_CAINFO, ask->ca_certificate) == CURLE_OK);
    /* What this build of the library doesn't take, it is asked for without. */
    (void)curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip");
    CURLcode code = set ? curl_easy_perform(curl) : CURLE_FAILED_INIT;
    if (code != CURLE_OK) {
        error_set(error, ERROR_UNAVAILABLE,
                  "no answer from %s: %s; is tidemark serve running there? --url says "
                  "where",
                  ask->url, *reason != '\0' ? reason : curl_easy_strerror(code));
        return false;
    }
    if (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK)
        status = 0;
    return judge_status(ask, status, found, error);
}

bool ask_get(const struct ask *ask, const char *path, struct buf *answer, bool *found, struct error *error)
{
    struct buf address = buf_make(1 << 20);
    size_t length = strlen(ask->url);
    while (length > 0 && ask->url[length - 1] == '/')
        length--;
    buf_add(&address, ask->url, length);
    buf_add_text(&address, path);
    buf_add_char(&address, '\0');
    CURL *curl = curl_easy_init();
    bool done = false;
    if (curl == NULL || !buf_ok(&address))
        error_set(error, ERROR_MEMORY, "no memory to ask %s", ask->url);
    else
        done = perform(curl, ask, address.bytes, answer, found, error);
    curl_easy_cleanup(curl);
    buf_free(&address);
    return done;
}

void ask_add_encoded(struct buf *path, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (isalnum(c) || strchr("-._~", c) != NULL)
            buf_add_char(path, (char)c);
        else
            buf_add_format(path, "%%%02X", c);
    }
}
