#include "exporter/demo.h"

#include "exporter/base/mem.h"
#include "exporter/demo_stories.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct demo {
    char *folder; /* owned */
    pid_t *processes;
    size_t process_count;
};

/* A temporary folder of our own; NULL with the error. */
static char *make_folder(struct error *error)
{
    const char *parent = getenv("TMPDIR");
    char *folder = NULL;
    if (asprintf(&folder, "%s/tidemark-demo-XXXXXX", parent != NULL && *parent != '\0' ? parent : "/tmp") <
        0) {
        error_set(error, ERROR_MEMORY, "out of memory");
        return NULL;
    }
    if (mkdtemp(folder) == NULL) {
        error_set_errno(error, ERROR_IO, errno, "make the folder %s", folder);
        free(folder);
        return NULL;
    }
    return folder;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status, (void)type, (void)place;
    return remove(path);
}

/* In the child: tells the story, and never returns. */
static void tell(const struct story *story, const char *folder, pid_t parent)
{
    /* Whoever ends the demo ends its stories, also by kill -9. The parent may have ended before this call. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(1);
    struct error error = {0};
    if (!story->tell(folder, &error))
        fprintf(stderr, "tidemark demo: %s: %s\n", story->name, error_text(&error));
    error_clear(&error);
    _exit(1); /* stories have no end */
}

static bool start_stories(struct demo *demo, struct error *error)
{
    size_t count;
    const struct story *stories = demo_stories(&count);
    demo->processes = MEM_ARRAY(count, pid_t);
    pid_t parent = getpid();
    for (size_t i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0)
            tell(&stories[i], demo->folder, parent);
        if (child < 0) {
            error_set_errno(error, ERROR_IO, errno, "start a process");
            return false;
        }
        demo->processes[demo->process_count++] = child;
    }
    return true;
}

struct demo *demo_start(struct error *error)
{
    struct demo *demo = MEM_NEW(struct demo);
    demo->folder = make_folder(error);
    bool started =
        demo->folder != NULL && demo_prepare_store(demo->folder, error) && start_stories(demo, error);
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
    if (d->folder != NULL && nftw(d->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        fprintf(stderr, "tidemark demo: can't remove %s: %s\n", d->folder, strerror(errno));
    free(d->folder);
    free(d->processes);
    free(d);
    *demo = NULL;
}

const char *const *demo_rules(void)
{
    static const char *const rules[] = {
        "objective=10s", "stopped_after=15s", "stuck_after=15s", "clear_after=30s", NULL,
    };
    return rules;
}

void demo_print_guide(const char *address)
{
    printf("\nTidemark is watching a log store in which things go wrong. Open\n\n"
           "    %s/            the groups, worst first; it refreshes itself\n"
           "    %s/metrics     what Prometheus scrapes\n\n"
           "Within a minute or two you should see\n\n"
           "    billing        ok: it keeps up\n"
           "    search-index   falling_behind: it reads half as fast as is written, and never catches up\n"
           "    mailer         stuck: one message makes it fail, and it tries it again for ever\n"
           "    reports        stopped: nobody reads any more, and messages pile up\n"
           "    audit          replaying: sent back to the beginning on purpose, and catching up\n\n"
           "Ctrl-C ends all of it.\n\n",
           address, address);
}
