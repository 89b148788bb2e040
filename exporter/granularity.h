#ifndef TIDEMARK_GRANULARITY_H
#define TIDEMARK_GRANULARITY_H

/* How finely a source's series tell its subjects apart: each step coarser is a fraction of the series. */
enum granularity {
    GRANULARITY_PARTITION, /* all there are */
    GRANULARITY_TOPIC,     /* none of a partition */
    GRANULARITY_GROUP,     /* none of a topic either: a group's are of all its topics together */
    GRANULARITY_UNSET,     /* in a configuration that isn't complete yet */
};

#endif
