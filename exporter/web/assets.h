#ifndef TIDEMARK_WEB_ASSETS_H
#define TIDEMARK_WEB_ASSETS_H

/* The screen's style sheet and script, embedded when the program is built; static, ending in NUL. */
extern const char web_screen_css[];
extern const char web_screen_js[];

#endif
