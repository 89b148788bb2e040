#ifndef TIDEMARK_STATUS_H
#define TIDEMARK_STATUS_H

/* `tidemark status` and `tidemark explain`, which ask a daemon that runs. They return the exit code: 0 all is
 * well, 1 a warning, 2 something critical, 3 not known: nobody answers, a source is down, wrong use. */
int status_command(int argc, char **argv);
int explain_command(int argc, char **argv);

#endif
