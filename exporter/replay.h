#ifndef TIDEMARK_REPLAY_H
#define TIDEMARK_REPLAY_H

/* `tidemark replay [--rule NAME=VALUE]… FILE`: judges recorded observations (observations.h) and prints for
 * each line one line of JSON a group. Returns the exit code: 0, 1 when the file can't be read to its end, 2
 * for wrong arguments. argv[0] is "replay". */
int replay_command(int argc, char **argv);

#endif
