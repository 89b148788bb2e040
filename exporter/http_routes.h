#ifndef TIDEMARK_HTTP_ROUTES_H
#define TIDEMARK_HTTP_ROUTES_H

#include "exporter/http_server.h"

/* Answers by the table of routes: 404 for a path that is not in it, 405 for a method that the path does not
 * take, both in plain words. `request->rest` is set here. */
enum MHD_Result route_request(struct request *request);

/* What the routes lead to, by file. */

/* http_metrics.c */
answer_request answer_metrics;

/* http_pages.c */
answer_request answer_screen;
answer_request answer_group_screen;
answer_request answer_ledger;
answer_request answer_css;
answer_request answer_js;
answer_request answer_health;
answer_request answer_ready;

/* http_api.c */
answer_request answer_groups;
answer_request answer_group; /* the one whose name follows */
answer_request answer_clusters;
answer_request answer_topics;
answer_request answer_events;
answer_request answer_config;

/* http_reload.c */
answer_request answer_reload;

#endif
