#ifndef LOGSTORE_CLI_H
#define LOGSTORE_CLI_H

/* `tidemark log …`: argv[0] is "log", argv[1] the verb. Returns the exit code: 0 done, 1 failed, 2 what was
 * written on the command line is wrong. */
int logstore_command(int argc, char **argv);

#endif
