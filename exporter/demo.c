#include "exporter/demo.h"

#include "exporter/base/mem.h"
#include "exporter/demo_store.h"
#include "exporter/demo_stories.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct demo {
    char *folder; /* owned */
    int lock;     /* open on the folder, which is locked for as long as the demo lives */
    pid_t *processes;
    size_t process_count;
};

/* --- the folder ---------------------------------------------------------------------------------------- */

static const char folder_prefix[] = "tidemark-demo-";

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status, (void)type, (void)place;
    return remove(path);
}

static bool remove_folder(const char *folder)
{
    return nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0;
}

/* Where temporary folders lie. */
static const char *parent_folder(void)
{
    const char *parent = getenv("TMPDIR");
    return parent != NULL && *parent != '\0' ? parent : "/tmp";
}

/* Opens and locks a folder of ours; -1 when it isn't one, or a living demo has it. The kernel drops the lock
 * when the demo and all of its processes have ended, however they end. */
static int lock_folder(const char *folder)
{
    struct stat status;
    int lock = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (lock < 0)
        return -1;
    if (fstat(lock, &status) == 0 && status.st_uid == geteuid() && flock(lock, LOCK_EX | LOCK_NB) == 0)
        return lock;
    close(lock);
    return -1;
}

/* Removes what demos left that were killed. What can't be removed is left to whoever can. */
static void remove_stale_folders(void)
{
    DIR *parent = opendir(parent_folder());
    if (parent == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(parent)) != NULL;) {
        char *folder = NULL;
        if (strncmp(entry->d_name, folder_prefix, strlen(folder_prefix)) != 0 ||
            asprintf(&folder, "%s/%s", parent_folder(), entry->d_name) < 0)
            continue;
        int lock = lock_folder(folder);
        if (lock >= 0) {
            remove_folder(folder);
            close(lock);
        }
        free(folder);
    }
    closedir(parent);
}

/* A temporary folder of our own, locked. */
static bool make_folder(struct demo *demo, struct error *error)
{
    if (asprintf(&demo->folder, "%s/%sXXXXXX", parent_folder(), folder_prefix) < 0) {
        demo->folder = NULL;
        error_set(error, ERROR_MEMORY, "out of memory");
        return false;
    }
    bool made = mkdtemp(demo->folder) != NULL;
    if (made)
        demo->lock = lock_folder(demo->folder);
    if (!made || demo->lock < 0) {
        error_set_errno(error, ERROR_IO, errno, "make the folder %s", demo->folder);
        free(demo->folder);
        demo->folder = NULL;
        return false;
    }
    return true;
}

/* --- the processes ------------------------------------------------------------------------------------- */

/* In the child: whoever ends the demo ends its processes, also by kill -9. The parent may have ended before
 * this call. */
static void die_with(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(1);
}

/* Starts a process that tells one member's part of the story, or, with NULL, writes. */
static bool start_process(struct demo *demo, const struct story *story, unsigned member, struct error *error)
{
    pid_t parent = getpid(), child = fork();
    if (child < 0) {
        error_set_errno(error, ERROR_IO, errno, "start a process");
        return false;
    }
    if (child > 0) {
        demo->processes[demo->process_count++] = child;
        return true;
    }
    struct error failure = {0};
    die_with(parent);
    if (story == NULL)
        demo_store_write(demo->folder, &failure);
    else
        demo_stories_tell(story, member, demo->folder, &failure);
    fprintf(stderr, "tidemark demo: %s: %s\n", story == NULL ? "the writer" : story->group,
            error_text(&failure));
    _exit(1); /* neither has an end */
}

static bool start_processes(struct demo *demo, struct error *error)
{
    size_t count, needed = 1;
    const struct story *stories = demo_stories(&count);
    for (size_t i = 0; i < count; i++)
        needed += stories[i].members;
    demo->processes = MEM_ARRAY(needed, pid_t);
    if (!start_process(demo, NULL, 0, error))
        return false;
    for (size_t i = 0; i < count; i++)
        for (unsigned member = 0; member < stories[i].members; member++)
            if (!start_process(demo, &stories[i], member, error))
                return false;
    return true;
}

struct demo *demo_start(struct error *error)
{
    struct demo *demo = MEM_NEW(struct demo);
    demo->lock = -1;
    remove_stale_folders();
    bool started = make_folder(demo, error) && demo_store_prepare(demo->folder, error) &&
                   demo_stories_prepare(demo->folder, error) && start_processes(demo, error);
    if (!started)
        demo_stop(&demo);
    return demo;
}

const char *demo_folder(const struct demo *demo)
{
    return demo->folder;
}

static void end_process(pid_t process)
{
    kill(process, SIGKILL); /* the store is made for it */
    while (waitpid(process, NULL, 0) < 0 && errno == EINTR)
        ;
}

void demo_stop(struct demo **demo)
{
    struct demo *d = *demo;
    if (d == NULL)
        return;
    for (size_t i = 0; i < d->process_count; i++)
        end_process(d->processes[i]);
    if (d->folder != NULL && !remove_folder(d->folder))
        fprintf(stderr, "tidemark demo: can't remove %s: %s\n", d->folder, strerror(errno));
    if (d->lock >= 0)
        close(d->lock);
    free(d->folder);
    free(d->processes);
    free(d);
    *demo = NULL;
}

/* --- what is to be seen -------------------------------------------------------------------------------- */

const char *const *demo_rules(void)
{
    static const char *const rules[] = {
        "objective=30s",     "stopped_after=15s", "stuck_after=15s",
        "spiral_after=45s",  "skewed_after=20s",  "rebalance_window=40s",
        "rebalance_count=4", "clear_after=2m",    NULL,
    };
    return rules;
}

void demo_print_guide(const struct demo *demo, const char *address)
{
    printf("\nTidemark is watching a log store in which things go wrong. Open\n\n"
           "    %s/            the groups, worst first; it refreshes itself\n"
           "    %s/metrics     what Prometheus scrapes\n\n"
           "Within two minutes you should see\n\n",
           address, address);
    size_t count;
    const struct story *stories = demo_stories(&count);
    for (size_t i = 0; i < count; i++)
        printf("    %-16s %-16s %s\n", stories[i].group, stories[i].verdict, stories[i].meaning);
    char *mended = demo_stories_mended(demo->folder);
    printf("\nTo mend the mailer:  touch %s\n", mended);
    free(mended);
    printf("\nA minute here is worth more than elsewhere: rules that wait for minutes wait for seconds.\n"
           "Ctrl-C ends all of it.\n\n");
}
