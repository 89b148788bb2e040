#include "exporter/web/assets.h"

/* The compiler is run in the root of the project; the Makefile knows that this file depends on those. */
#define EMBED(symbol, path)                                                                                  \
    __asm__(".section .rodata\n.global " #symbol "\n.balign 16\n" #symbol ":\n.incbin \"" path               \
            "\"\n.byte 0\n.previous\n")

EMBED(web_screen_css, "exporter/web/screen.css");
EMBED(web_screen_js, "exporter/web/screen.js");
