#include "exporter/memory.h"

#include <string.h>

/* A wait is remembered for an hour, or for eight times as long as it was. */
enum { WAIT_KEPT_S = 3600, WAIT_KEPT_CYCLES = 8 };
static const int64_t hour_ms = 3600 * 1000;
static const int64_t mark_every_ms = 6 * 60 * 1000;
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
    return now_s - wait->ended_s > (kept > WAIT_KEPT_S ? kept : WAIT_KEPT_S);
}

/* Takes the place of the shortest, or of one that may be forgotten. */
static void remember_wait(struct position_memory *memory, const struct history *history, int64_t lasted_ms)
{
    uint32_t now_s = seconds_since(history, history->time), lasted_s = (uint32_t)(lasted_ms / 1000);
    struct wait *least = &memory->waits[0];
    for (int i = 0; i < WAITS; i++) {
        struct wait *wait = &memory->waits[i];
        if (forgotten(wait, now_s))
            wait->lasted_s = 0;
        if (wait->lasted_s < least->lasted_s)
            least = wait;
    }
    if (lasted_s > least->lasted_s)
        *least = (struct wait){.ended_s = now_s, .lasted_s = lasted_s};
}

int64_t position_cycle(const struct position_memory *memory, const struct history *history)
{
    uint32_t now_s = seconds_since(history, history->time), first = 0, second = 0;
    for (int i = 0; i < WAITS; i++) {
        const struct wait *wait = &memory->waits[i];
        if (forgotten(wait, now_s))
            continue;
        if (wait->lasted_s > first) {
            second = first;
            first = wait->lasted_s;
        } else if (wait->lasted_s > second) {
            second = wait->lasted_s;
        }
    }
    /* A single wait may be an outlier, but is the best guess while there is no other. */
    return (int64_t)(second > 0 || position_moves(memory) >= FAMILIAR_MOVES ? second : first) * 1000;
}

uint32_t position_moves(const struct position_memory *memory)
{
    return (uint32_t)memory->moves_now + memory->moves_before;
}

bool position_unread(const struct position_memory *memory, const struct history *history,
                     const struct snap_partition *seen, const struct snap_position *position)
{
    int64_t lag = position_lag(seen, position);
    if (lag == UNKNOWN || lag == 0)
        return false;
    if (position->next_ts != UNKNOWN || memory->dated_here)
        return true;
    if (lag > 2)
        return true;
    if (history->dates) /* the source dates what is there to be read: here nothing is */
        return false;
    return memory->read_to_end || memory->rests < 4 || lag > 1;
}

static int64_t time_lag(const struct position_memory *memory, const struct surroundings *around,
                        const struct snap_position *position)
{
    int64_t lag = position_lag(around->seen, position), now = around->history->time;
    if (lag == UNKNOWN)
        return UNKNOWN;
    if (lag == 0 || !position_unread(memory, around->history, around->seen, position))
        return 0;
    int64_t written = position->next_ts;
    if (written == UNKNOWN) {
        int64_t start = around->seen->start;
        written = partition_written(around->partition, around->seen,
                                    position->committed > start ? position->committed : start);
    }
    if (written == UNKNOWN)
        return UNKNOWN;
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

int64_t position_steady_lag(const struct position_memory *memory, const struct history *history)
{
    if (memory->lag_ms == UNKNOWN || position_cycle(memory, history) < saw_ms)
        return memory->lag_ms;
    uint32_t low = memory->low_now_s < memory->low_before_s ? memory->low_now_s : memory->low_before_s;
    return low == low_unknown ? memory->lag_ms : (int64_t)low * 1000;
}

static void note_mark(struct position_memory *memory, const struct history *history)
{
    if (history->time - memory->marks[1].time < mark_every_ms)
        return;
    memory->marks[0] = memory->marks[1];
    memory->marks[1] = (struct mark){history->time, memory->committed, position_steady_lag(memory, history)};
}

void position_begin(struct position_memory *memory, const struct surroundings *around,
                    const struct snap_position *position)
{
    int64_t now = around->history->time;
    *memory = (struct position_memory){
        .committed = position->committed,
        .unread_since = UNKNOWN,
        .first_seen = now,
        .low_turned = now,
        .low_now_s = low_unknown,
        .low_before_s = low_unknown,
        .life = around->partition->life,
        .number = around->seen->number,
        .present = true,
        .dated_here = position->next_ts != UNKNOWN,
    };
    memory->beyond_since = position->committed > around->seen->end ? now : UNKNOWN;
    memory->lag_ms = time_lag(memory, around, position);
    if (position_unread(memory, around->history, around->seen, position))
        memory->unread_since = now;
    else if (position_lag(around->seen, position) == 0)
        memory->read_to_end = true;
    memory->marks[0] = memory->marks[1] = (struct mark){now, position->committed, memory->lag_ms};
    note_low(memory, around->history);
}

void position_resume(struct position_memory *memory, const struct surroundings *around,
                     const struct snap_position *position)
{
    struct position_memory known = *memory;
    position_begin(memory, around, position);
    memcpy(memory->waits, known.waits, sizeof memory->waits);
    memory->moves_before = known.moves_now > known.moves_before ? known.moves_now : known.moves_before;
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

/* Messages that were taken from the log before the reader, which stood at `from`, can have read them. */
static int64_t taken_unread(const struct position_memory *memory, const struct surroundings *around,
                            const struct snap_position *position)
{
    int64_t start = around->seen->start, before = around->partition->start_before;
    if (start == UNKNOWN || before == UNKNOWN || start <= memory->committed)
        return 0;
    int64_t from = memory->committed > before ? memory->committed : before;
    if (position->committed < start) /* it still stands before the edge */
        return start - (position->committed > from ? position->committed : from);
    /* It moved on beyond the edge: read up to it if that was quick enough to be likely. */
    int64_t elapsed = around->history->time - around->history->before;
    int64_t aged = memory->marks[1].time - memory->marks[0].time;
    double speed = aged > 0 ? (double)(memory->marks[1].committed - memory->marks[0].committed) / (double)aged
                            : partition_rate(around->partition) / 1000;
    int64_t readable = (int64_t)(speed * 3 * (double)elapsed);
    return start - from > readable + SKIP_LEAST ? start - from - readable / 3 : 0;
}

static void note_rest(struct position_memory *memory, const struct surroundings *around)
{
    int64_t lag = memory->committed <= around->seen->end ? around->seen->end - memory->committed : 0;
    if (lag == 0) {
        memory->read_to_end = true;
        memory->rests = 0;
    } else if (lag == 1 && memory->rests < UINT8_MAX) {
        memory->rests++;
    }
}

/* Whether it came to stand beyond the end just now. */
static bool note_beyond(struct position_memory *memory, const struct surroundings *around)
{
    if (around->seen->end == UNKNOWN || memory->committed <= around->seen->end) {
        memory->beyond_since = UNKNOWN;
        return false;
    }
    if (memory->beyond_since != UNKNOWN)
        return false;
    memory->beyond_since = around->history->time;
    return true;
}

struct movement position_observe(struct position_memory *memory, const struct surroundings *around,
                                 const struct snap_position *position)
{
    const struct history *history = around->history;
    struct movement movement = {0};
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
    }
    memory->dated_here |= position->next_ts != UNKNOWN;
    note_rest(memory, around);
    if (!position_unread(memory, history, around->seen, position))
        memory->unread_since = UNKNOWN;
    else if (memory->unread_since == UNKNOWN)
        memory->unread_since = history->time;
    movement.beyond = note_beyond(memory, around);
    memory->lag_ms = time_lag(memory, around, position);
    note_low(memory, history);
    note_mark(memory, history);
    return movement;
}
