#ifndef TIDEMARK_KAFKA_PROBE_H
#define TIDEMARK_KAFKA_PROBE_H

/*
 * What listens on a port, found out with a few bytes of the Kafka protocol
 * (https://kafka.apache.org/protocol): librdkafka only says that it got no answer, for whatever reason.
 */

enum kafka_probe_outcome {
    KAFKA_PROBE_UNRESOLVED,  /* the name has no address; the detail is the resolver's reason */
    KAFKA_PROBE_UNREACHABLE, /* no connection; the detail is the system's reason */
    KAFKA_PROBE_SILENT,      /* connected; it says nothing, or hangs up */
    KAFKA_PROBE_FOREIGN,     /* it says something that isn't Kafka's; the detail is how that begins */
    KAFKA_PROBE_TLS,         /* it speaks TLS; what is inside can't be seen */
    KAFKA_PROBE_PLAIN,       /* Kafka without a password */
    KAFKA_PROBE_SASL,        /* Kafka that wants one; the detail lists the mechanisms */
};

struct kafka_probe {
    enum kafka_probe_outcome outcome;
    char *detail; /* owned, never NULL; printable */
};

/* Connects to the port and asks. Waits up to `timeout_ms` for each of up to three answers. */
struct kafka_probe kafka_probe_port(const char *host, const char *port, int timeout_ms);

void kafka_probe_free(struct kafka_probe *probe);

#endif
