#include "exporter/memory.h"

#include <string.h>

/* A wait is remembered for an hour, or for eight times as long as it was. */
enum { WAIT_KEPT_S = 3600, WAIT_KEPT_CYCLES = 8 };
static const int64_t hour_ms = 3600 * 1000;
static const int64_t mark_every_ms = 3 * 60 * 1000;
static const int64_t saw_ms = 60 * 1000; /* cycles longer than this make a saw of the time lag */
enum { SKIP_LEAST = 50 };
static const uint32_t low_unknown = UINT32_MAX;

static uint32_t seconds_since(const struct history *history, int64_t time)
{
    return (uint32_t)((time - history->began) / 1000);
}

static bool forgotten(const struct wait *wait, uint32_t now_s)
{
    uint32_t kept = wait->lasted_s * WAIT_KEPT_CYCLES;
    return now_s > wait->ended_s && now_s - wait->ended_s > (kept > WAIT_KEPT_S ? kept : WAIT_KEPT_S);
}

/* How much longer the longest of regular waits may be than another that lasted so long. */
static uint32_t regular_s(uint32_t lasted_s)
{
    return lasted_s / 16 + 15;
}

/* One that is longer than the shortest takes its place, or that of one that may be forgotten. Of another it
 * is known that waits were about so long again: so that what is regular isn't forgotten. */
static void remember_wait(struct position_memory *memory, const struct history *history, int64_t lasted_ms)
{
    uint32_t now_s = seconds_since(history, history->time), lasted_s = (uint32_t)(lasted_ms / 1000);
    struct wait *least = &memory->waits[0], *stale = NULL;
    for (int i = 0; i < WAITS; i++) {
        struct wait *wait = &memory->waits[i];
        if (forgotten(wait, now_s))
            wait->lasted_s = 0;
        if (wait->lasted_s < least->lasted_s)
            least = wait;
        bool alike = wait->lasted_s >= lasted_s && wait->lasted_s - lasted_s <= regular_s(lasted_s);
        if (alike && (stale == NULL || wait->ended_s < stale->ended_s))
            stale = wait;
    }
    if (lasted_s > least->lasted_s)
        *least = (struct wait){.ended_s = now_s, .lasted_s = lasted_s};
    else if (stale != NULL)
        stale->ended_s = now_s;
}

/* The waits that were remembered when the present one began, the longest first; 0 where there is none. */
struct longest {
    uint32_t s[WAITS];
};

static struct longest longest_waits(const struct position_memory *memory, const struct history *history)
{
    int64_t began = memory->unread_since != UNKNOWN ? memory->unread_since : history->time;
    uint32_t now_s = seconds_since(history, began);
    struct longest found = {{0}};
    for (int i = 0; i < WAITS; i++) {
        uint32_t wait = forgotten(&memory->waits[i], now_s) ? 0 : memory->waits[i].lasted_s;
        for (int rank = 0; rank < WAITS; rank++) {
            if (wait <= found.s[rank])
                continue;
            uint32_t shorter = found.s[rank];
            found.s[rank] = wait;
            wait = shorter;
        }
    }
    return found;
}

/* Whether it is known how the reader works: it moves often, or as regularly as polls can tell. */
static bool familiar(const struct position_memory *memory, const struct longest *waits)
{
    uint32_t first = waits->s[0], last = waits->s[WAITS - 1], moves = position_moves(memory);
    return moves >= FAMILIAR_MOVES ||
           (moves >= REGULAR_MOVES && last >= saw_ms / 1000 && first - last <= regular_s(last));
}

static int64_t cycle_of(const struct position_memory *memory, const struct longest *waits)
{
    /* The longest may be an outlier, but who has hardly been seen to move may as well have been seen in the
     * middle of the others. */
    return (int64_t)waits->s[familiar(memory, waits) ? 1 : 0] * 1000;
}

int64_t position_cycle(const struct position_memory *memory, const struct history *history)
{
    struct longest waits = longest_waits(memory, history);
    return cycle_of(memory, &waits);
}

uint32_t position_moves(const struct position_memory *memory)
{
    return (uint32_t)memory->moves_now + memory->moves_before;
}

/* Whether one that moves now and then, and did so last at that time, is taken to stand still. */
static bool is_overdue(const struct position_memory *memory, const struct history *history, int64_t last)
{
    int64_t waited = history->time - last - saw_ms;
    return waited > 0 && waited > position_cycle(memory, history); /* which costs more to know */
}

bool position_stands_still(const struct position_memory *memory, const struct history *history)
{
    return memory->unread_since != UNKNOWN && is_overdue(memory, history, memory->unread_since);
}

double position_speed(const struct position_memory *memory, const struct history *history)
{
    const struct mark *mark = &memory->marks[0];
    int64_t until = memory->unread_since > mark->time ? memory->unread_since : history->time;
    if (position_stands_still(memory, history))
        return 0;
    return until > mark->time
               ? ((double)memory->committed - (double)mark->committed) / (double)(until - mark->time)
               : 0;
}

bool position_seen_moving(const struct position_memory *memory)
{
    return memory->rest_s != low_unknown;
}

static bool is_dated(const struct snap_position *position)
{
    return position->next_ts != UNKNOWN && position->next_ts != NO_RECORD && position->next_ts != UNDATED;
}

bool position_unread(const struct position_memory *memory, const struct history *history,
                     const struct snap_partition *seen, const struct snap_position *position)
{
    int64_t lag = position_lag(seen, position);
    if (lag == UNKNOWN || lag == 0 || position->next_ts == NO_RECORD)
        return false;
    if (lag > 2 || is_dated(position) || position->next_ts == UNDATED || memory->dated_here)
        return true;
    if (history->dates) /* the source dates what is there to be read: here nothing is */
        return false;
    return !memory->rests_before_end;
}

/* When the first unread message was written. A source that looks times up has the right one soon: only of
 * others the long way from the log's start is taken for an answer. */
static int64_t when_written(const struct surroundings *around, const struct snap_position *position,
                            int64_t next)
{
    if (is_dated(position))
        return position->next_ts;
    int64_t written = partition_written(around->partition, next);
    return written != UNKNOWN || around->history->tells_no_record
               ? written
               : partition_written_before(around->partition, around->seen, next);
}

static int64_t time_lag(const struct position_memory *memory, const struct surroundings *around,
                        const struct snap_position *position)
{
    int64_t lag = position_lag(around->seen, position), now = around->history->time;
    if (lag == UNKNOWN)
        return UNKNOWN;
    if (lag == 0 || position->next_ts == NO_RECORD)
        return 0;
    if (!position_unread(memory, around->history, around->seen, position))
        return around->history->tells_no_record ? UNKNOWN : 0; /* it was not looked up yet */
    int64_t start = around->seen->start, next = position->committed > start ? position->committed : start;
    int64_t written = when_written(around, position, next);
    if (written == UNKNOWN)
        return UNKNOWN;
    /* A producer's clock may be ahead; but what is there was written before it was seen. */
    int64_t seen = written > now ? partition_seen(around->partition, next) : UNKNOWN;
    if (seen != UNKNOWN)
        written = seen;
    return now > written ? now - written : 0;
}

static void note_low(struct position_memory *memory, const struct history *history)
{
    int64_t cycle = position_cycle(memory, history);
    int64_t window = cycle + cycle / 8;
    uint32_t lag_s = memory->lag_ms == UNKNOWN ? low_unknown : (uint32_t)(memory->lag_ms / 1000);
    if (history->time - memory->low_turned >= (window > saw_ms ? window : saw_ms)) {
        memory->low_before_s = memory->low_now_s;
        memory->low_now_s = low_unknown;
        memory->low_turned = history->time;
    }
    if (lag_s < memory->low_now_s)
        memory->low_now_s = lag_s;
}

/* Of a reader of which little is known: it may be in the midst of a batch, which may take long. */
static int64_t unfamiliar_patience(int64_t may_take_ms)
{
    int64_t batch = may_take_ms < MAY_TAKE_MOST_MS ? may_take_ms : MAY_TAKE_MOST_MS;
    return batch + 60000 > UNFAMILIAR_MS ? batch + 60000 : UNFAMILIAR_MS;
}

static int64_t patience(const struct position_memory *memory, const struct longest *waits,
                        int64_t may_take_ms)
{
    int64_t cycle = cycle_of(memory, waits);
    int64_t least = familiar(memory, waits) ? 0 : unfamiliar_patience(may_take_ms);
    int64_t usual = cycle > 0 ? cycle + cycle * 6 / 10 + 30000 : 0;
    return usual > least ? usual : least;
}

int64_t position_patience(const struct position_memory *memory, const struct history *history,
                          int64_t may_take_ms)
{
    struct longest waits = longest_waits(memory, history);
    return patience(memory, &waits, may_take_ms);
}

static int64_t least_of(int64_t lag_ms, uint32_t low_s)
{
    return low_s != low_unknown && (int64_t)low_s * 1000 < lag_ms ? (int64_t)low_s * 1000 : lag_ms;
}

int64_t position_lowest_lag(const struct position_memory *memory)
{
    uint32_t low = memory->low_now_s < memory->low_before_s ? memory->low_now_s : memory->low_before_s;
    return least_of(memory->lag_ms, low);
}

static int64_t steady_lag(const struct position_memory *memory, const struct surroundings *around)
{
    const struct history *history = around->history;
    int64_t now = history->time;
    if (memory->lag_ms == UNKNOWN || memory->lag_ms == 0)
        return memory->lag_ms;
    struct longest waits = longest_waits(memory, history);
    if (familiar(memory, &waits))
        return cycle_of(memory, &waits) < saw_ms ? memory->lag_ms : position_lowest_lag(memory);
    int64_t granted = patience(memory, &waits, around->may_take_ms);
    if (memory->unread_since == UNKNOWN || now - memory->unread_since >= granted)
        return memory->lag_ms;
    if (position_seen_moving(memory))
        return least_of(position_lowest_lag(memory), memory->rest_s);
    /* What is older than any cycle that is granted is no saw. */
    return memory->lag_ms >= granted ? memory->lag_ms : UNKNOWN;
}

/* A jump is no speed: what was measured before it doesn't belong to what comes after. */
static void forget_speed(struct position_memory *memory, const struct history *history)
{
    memory->marks[0] = memory->marks[1] = (struct mark){history->time, memory->committed, memory->lag_ms};
    memory->low_before_s = low_unknown;
    memory->low_now_s = low_unknown;
    memory->low_turned = history->time;
}

static void note_mark(struct position_memory *memory, const struct history *history, bool moved)
{
    int64_t due = memory->marks[1].time + mark_every_ms;
    if (history->time < due || (!moved && !is_overdue(memory, history, due)))
        return;
    memory->marks[0] = memory->marks[1];
    memory->marks[1] = (struct mark){history->time, memory->committed, memory->steady_ms};
}

/* Whether it is seen to stand beyond the end for the second time: leaders change, so one poll that shows it
 * is not enough. An end that isn't known changes nothing. */
static bool note_beyond(struct position_memory *memory, const struct surroundings *around)
{
    int64_t end = around->seen->end;
    bool stands = memory->committed > end, before = memory->beyond;
    if (end == UNKNOWN)
        return false;
    memory->beyond = stands && memory->beyond_since != UNKNOWN;
    if (!stands)
        memory->beyond_since = UNKNOWN;
    else if (!memory->beyond)
        memory->beyond_since = around->history->time;
    return memory->beyond && !before;
}

void position_begin(struct position_memory *memory, const struct surroundings *around,
                    const struct snap_position *position)
{
    int64_t now = around->history->time;
    *memory = (struct position_memory){
        .committed = position->committed,
        .start_seen = around->seen->start,
        .unread_since = UNKNOWN,
        .beyond_since = UNKNOWN,
        .low_turned = now,
        .low_now_s = low_unknown,
        .low_before_s = low_unknown,
        .rest_s = low_unknown,
        .life = around->partition->life,
        .number = around->seen->number,
        .present = true,
        .dated_here = is_dated(position),
        .rests_before_end = position_lag(around->seen, position) == 1,
    };
    (void)note_beyond(memory, around); /* it can't be the second time */
    memory->lag_ms = time_lag(memory, around, position);
    if (position_unread(memory, around->history, around->seen, position))
        memory->unread_since = now;
    memory->marks[0] = memory->marks[1] = (struct mark){now, position->committed, memory->lag_ms};
    note_low(memory, around->history);
    memory->steady_ms = steady_lag(memory, around);
}

static void note_move(struct position_memory *memory, const struct surroundings *around)
{
    const struct history *history = around->history;
    int64_t hour = history->time / hour_ms, hour_before = history->before / hour_ms;
    if (hour != hour_before) {
        memory->moves_before = hour == hour_before + 1 ? memory->moves_now : 0;
        memory->moves_now = 0;
    }
}

/* The first offset that can have been taken from the log since the position was last seen. */
static int64_t first_taken(const struct position_memory *memory)
{
    return memory->committed > memory->start_seen ? memory->committed : memory->start_seen;
}

/* Messages that were taken from the log before the reader can have read them. */
static int64_t taken_unread(const struct position_memory *memory, const struct surroundings *around,
                            const struct snap_position *position)
{
    int64_t start = around->seen->start, before = memory->start_seen;
    if (start == UNKNOWN || before == UNKNOWN || start <= memory->committed)
        return 0;
    int64_t from = first_taken(memory);
    if (position->committed < start) /* it still stands before the edge */
        return start - (position->committed > from ? position->committed : from);
    /* It moved on beyond the edge: read up to it if that was quick enough to be likely. */
    int64_t aged = memory->marks[1].time - memory->marks[0].time;
    double speed = aged > 0 ? (double)(memory->marks[1].committed - memory->marks[0].committed) / (double)aged
                            : around->partition->rate / 1000;
    /* A reader that was set back has a speed below 0. */
    double readable = speed > 0 ? speed * 3 * (double)around->elapsed : 0;
    return (double)(start - from) > readable + SKIP_LEAST ? start - from - (int64_t)(readable / 3) : 0;
}

void position_begin_again(struct position_memory *memory, const struct surroundings *around,
                          const struct snap_position *position)
{
    struct position_memory known = *memory;
    position_begin(memory, around, position);
    memcpy(memory->waits, known.waits, sizeof memory->waits);
    memory->moves_before = known.moves_now > known.moves_before ? known.moves_now : known.moves_before;
}

struct movement position_resume(struct position_memory *memory, const struct surroundings *around,
                                const struct snap_position *position)
{
    struct position_memory known = *memory;
    struct movement movement = {.from = known.committed, .lost_from = first_taken(memory)};
    /* Of one that has moved on beyond the edge nobody knows what it read. */
    if (position->committed < around->seen->start)
        movement.lost = taken_unread(memory, around, position);
    position_begin_again(memory, around, position);
    if (memory->beyond_since != UNKNOWN && known.beyond) {
        memory->beyond_since = known.beyond_since;
        memory->beyond = true;
    }
    return movement;
}

struct movement position_observe(struct position_memory *memory, const struct surroundings *around,
                                 const struct snap_position *position)
{
    const struct history *history = around->history;
    struct movement movement = {.from = memory->committed, .lost_from = first_taken(memory)};
    note_move(memory, around);
    int64_t moved = position->committed - memory->committed;
    movement.lost = taken_unread(memory, around, position);
    if (moved > 0) {
        movement.read = moved;
        if (around->resettable && memory->unread_since != UNKNOWN && history->before > memory->unread_since &&
            moved - movement.lost >= SKIP_LEAST)
            movement.skipped = moved - movement.lost;
        if (memory->unread_since != UNKNOWN && history->before > memory->unread_since)
            remember_wait(memory, history, history->before - memory->unread_since);
        if (memory->moves_now < UINT16_MAX)
            memory->moves_now++;
    } else if (moved < 0) {
        movement.rewound = -moved;
    }
    if (moved != 0) {
        memory->committed = position->committed;
        memory->unread_since = UNKNOWN;
        memory->dated_here = false;
        memory->rests_before_end = position_lag(around->seen, position) == 1;
    }
    if (around->seen->start != UNKNOWN)
        memory->start_seen = around->seen->start;
    memory->dated_here |= is_dated(position);
    /* Without both ends nothing is known: what was unread before may be so still. */
    bool known = around->seen->end != UNKNOWN && around->seen->start != UNKNOWN;
    if (known && !position_unread(memory, history, around->seen, position))
        memory->unread_since = UNKNOWN;
    else if (known && memory->unread_since == UNKNOWN)
        memory->unread_since = history->time;
    movement.beyond = note_beyond(memory, around);
    memory->lag_ms = time_lag(memory, around, position);
    if (moved != 0)
        memory->rest_s = memory->lag_ms == UNKNOWN ? low_unknown : (uint32_t)(memory->lag_ms / 1000);
    if (movement.skipped > 0 || movement.rewound > 0)
        forget_speed(memory, history);
    note_low(memory, history);
    memory->steady_ms = steady_lag(memory, around);
    note_mark(memory, history, moved != 0);
    return movement;
}
