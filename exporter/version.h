#ifndef TIDEMARK_VERSION_H
#define TIDEMARK_VERSION_H

/* Semantic versioning (https://semver.org). */
#define TIDEMARK_VERSION "0.1.0"

#endif
