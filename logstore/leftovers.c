#include "logstore/leftovers.h"

#include "logstore/group.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum { LISTED_SIZE_MOST = 1 << 30, NUMBER_DIGITS = 8 };

/* The numbers that are listed, and where their folders are. */
struct listed {
    int directory;
    const char *above; /* the folder of the folders */
    int levels;        /* of folders in each, with itself */
    uint32_t *numbers; /* owned; rising */
    size_t count;
    uint32_t next_number; /* this and higher ones were never listed */
    struct error failure;
};

static int compare_numbers(const void *a, const void *b)
{
    uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;
    return (first > second) - (first < second);
}

static bool remove_unlisted(void *context, const char *entry)
{
    struct listed *listed = context;
    char *end, name[64];
    unsigned long number = strtoul(entry, &end, 16);
    if (strlen(entry) != NUMBER_DIGITS || *end != '\0' || number >= listed->next_number)
        return true;
    uint32_t wanted = (uint32_t)number;
    if (bsearch(&wanted, listed->numbers, listed->count, sizeof wanted, compare_numbers) != NULL)
        return true;
    snprintf(name, sizeof name, "%s/%08x", listed->above, wanted);
    return fsio_remove_tree(listed->directory, name, listed->levels, &listed->failure);
}

/* Takes the numbers over. */
static bool sweep(struct listed *listed, struct error *error)
{
    qsort(listed->numbers, listed->count, sizeof *listed->numbers, compare_numbers);
    bool done = fsio_list(listed->directory, listed->above, remove_unlisted, listed, error);
    free(listed->numbers);
    if (!done) {
        error_clear(&listed->failure);
        return false;
    }
    if (listed->failure.code != ERROR_NONE)
        *error = listed->failure;
    return listed->failure.code == ERROR_NONE;
}

/* Room for the numbers of what is listed, to be added. */
static bool make_room(struct listed *listed, uint32_t count, struct error *error)
{
    listed->numbers = calloc(count + (size_t)1, sizeof *listed->numbers);
    if (listed->numbers == NULL)
        error_set(error, ERROR_MEMORY, "no memory for the numbers of %ss", listed->above);
    return listed->numbers != NULL;
}

static bool sweep_topics(const struct logstore *store, const struct catalog *catalog, struct error *error)
{
    struct listed listed = {
        .directory = store->directory, .above = "topic", .levels = 2, .next_number = catalog->next_number};
    if (!make_room(&listed, catalog->count, error))
        return false;
    for (; listed.count < catalog->count; listed.count++)
        listed.numbers[listed.count] = catalog->topics[listed.count].number;
    return sweep(&listed, error);
}

static bool sweep_groups(const struct logstore *store, const struct group_list *list, struct error *error)
{
    struct listed listed = {
        .directory = store->directory, .above = "group", .levels = 1, .next_number = list->next_number};
    if (!make_room(&listed, list->count, error))
        return false;
    for (; listed.count < list->count; listed.count++)
        listed.numbers[listed.count] = list->groups[listed.count].number;
    return sweep(&listed, error);
}

/* Reads the value of a document as it is now, and will be after a loss of power: what it doesn't list is
 * about to be removed. */
static bool read_now(const struct logstore *store, const char *name, struct buf *bytes, struct error *error)
{
    struct document document;
    struct head head = group_head(store);
    if (!document_open(&document, store->directory, name, O_RDWR, &head, error))
        return false;
    bool done = document_read(&document, bytes, error) && document_sync(&document, error);
    document_close(&document);
    return done;
}

static bool remove_all(const struct logstore *store, struct error *error)
{
    struct catalog catalog = {0};
    struct group_list list = {0};
    struct buf topics = buf_make(LISTED_SIZE_MOST), groups = buf_make(LISTED_SIZE_MOST);
    bool done = read_now(store, "catalog", &topics, error) &&
                catalog_decode(&catalog, buf_str(&topics), error) && sweep_topics(store, &catalog, error) &&
                read_now(store, "groups", &groups, error) &&
                group_list_decode(&list, buf_str(&groups), error) && sweep_groups(store, &list, error);
    catalog_free(&catalog);
    group_list_free(&list);
    buf_free(&topics);
    buf_free(&groups);
    return done;
}

/* Under the lock of the lists, so that nobody makes or deletes anything meanwhile. */
bool leftovers_remove(struct logstore *store, struct error *error)
{
    struct file lock = FILE_CLOSED;
    bool done = fsio_open(&lock, store->directory, "lock", O_RDWR, error) && fsio_lock(&lock, 0, error) &&
                remove_all(store, error);
    fsio_close(&lock);
    return done;
}
