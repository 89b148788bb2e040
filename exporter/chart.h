#ifndef TIDEMARK_CHART_H
#define TIDEMARK_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The past of a group on a topic, to be drawn: close together lately and far apart long ago, so that few
 * samples show both the last minutes and the last days. The history replaces a chart by one with a further
 * sample; findings hold the one that belongs to them.
 */

enum { CHART_SAMPLES = 48 };

struct chart_sample {
    int64_t time;
    int64_t committed, end, lag; /* sums over the positions whose lag is known */
    int64_t lag_ms;              /* the worst time lag; UNKNOWN */
    int64_t positions;           /* how many are summed up: sums of different ones can't be compared */
};

/* Immutable, and alive as long as somebody holds it. Its samples are packed: there is one chart for each
 * group on each topic in the history, and another one in what is published. */
struct chart;

/* The samples of a chart, unpacked; the oldest first. */
struct chart_past {
    uint32_t count; /* at most CHART_SAMPLES */
    struct chart_sample samples[CHART_SAMPLES];
};

/* A chart with this sample after those of `chart`, whose hold is given back; NULL there: the first sample. */
struct chart *chart_add(struct chart *chart, const struct chart_sample *sample);

/* Unpacks its samples; of NULL there are none. Returns how many bytes they take while they are packed. */
size_t chart_read(const struct chart *chart, struct chart_past *past);

/* A further hold of the chart. */
struct chart *chart_hold(struct chart *chart);

/* Gives a hold back and sets *chart to NULL; NULL is accepted. Any thread. */
void chart_release(struct chart **chart);

/* Messages a second over the last minutes. False when it isn't known yet. NULL is accepted. */
struct chart_rates {
    double written, read;
};
bool chart_rates(const struct chart *chart, struct chart_rates *rates);

#endif
