#include "exporter/html_parts.h"

#include "exporter/base/human.h"

#include <inttypes.h>

/* Curves as SVG (https://www.w3.org/TR/SVG11/). Colours are the style sheet's. */

enum { SPARK_WIDTH = 90, SPARK_HEIGHT = 22, WIDTH = 640, HEIGHT = 120 };

typedef int64_t sample_value(const struct chart_sample *sample);

static int64_t lag_of(const struct chart_sample *sample)
{
    return sample->lag;
}

static int64_t lag_ms_of(const struct chart_sample *sample)
{
    return sample->lag_ms;
}

static int64_t largest(const struct chart_past *past, sample_value *value)
{
    int64_t most = 0;
    for (uint32_t i = 0; i < past->count; i++)
        if (value(&past->samples[i]) > most)
            most = value(&past->samples[i]);
    return most;
}

/* A curve from the oldest sample to the last one, broken where the value isn't known. */
static void add_curve(struct buf *out, const struct chart_past *past, sample_value *value, int width,
                      int height)
{
    int64_t first = past->samples[0].time, span = past->samples[past->count - 1].time - first;
    int64_t most = largest(past, value);
    bool down = false;
    buf_add_text(out, "<path d=\"");
    for (uint32_t i = 0; i < past->count; i++) {
        const struct chart_sample *sample = &past->samples[i];
        if (value(sample) == UNKNOWN) {
            down = false;
            continue;
        }
        double x = span > 0 ? (double)(sample->time - first) / (double)span * width : 0;
        double y = most > 0 ? (double)value(sample) / (double)most * (height - 2) : 0;
        buf_add_format(out, "%s%.1f %.1f", down ? "L" : "M", x, height - 1 - y);
        down = true;
    }
    buf_add_text(out, "\"/>");
}

void html_add_sparkline(struct buf *out, const struct chart *chart)
{
    struct chart_past past;
    chart_read(chart, &past);
    if (past.count < 2)
        return;
    buf_add_format(out, "<svg class=spark viewBox=\"0 0 %d %d\" role=img aria-label=\"lag lately\">",
                   SPARK_WIDTH, SPARK_HEIGHT);
    add_curve(out, &past, lag_of, SPARK_WIDTH, SPARK_HEIGHT);
    buf_add_text(out, "</svg>");
}

static void add_full(struct buf *out, const struct chart_past *past, const char *title, sample_value *value,
                     void (*add)(struct buf *, int64_t))
{
    const struct chart_sample *last = &past->samples[past->count - 1];
    buf_add_format(out, "<figure><figcaption>%s, at most <b>", title);
    add(out, largest(past, value));
    buf_add_text(out, "</b> in the last ");
    human_add_duration(out, last->time - past->samples[0].time);
    buf_add_format(out,
                   "</figcaption><svg class=chart viewBox=\"0 0 %d %d\" preserveAspectRatio=none role=img "
                   "aria-label=\"%s\">",
                   WIDTH, HEIGHT, title);
    add_curve(out, past, value, WIDTH, HEIGHT);
    buf_add_text(out, "</svg><div class=axis><span>");
    human_add_time(out, past->samples[0].time);
    buf_add_text(out, "</span><span>");
    human_add_time(out, last->time);
    buf_add_text(out, "</span></div></figure>\n");
}

void html_add_chart(struct buf *out, const struct chart *chart)
{
    struct chart_past past;
    chart_read(chart, &past);
    if (past.count < 2)
        return;
    buf_add_text(out, "<div class=charts>");
    add_full(out, &past, "Lag in messages", lag_of, human_add_count);
    add_full(out, &past, "Time lag", lag_ms_of, human_add_duration);
    buf_add_text(out, "</div>");
}
