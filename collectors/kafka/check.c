#include "collectors/kafka/check.h"

#include "collectors/kafka/client.h"
#include "collectors/kafka/follower.h"
#include "collectors/kafka/probe.h"
#include "exporter/base/mem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    PROBE_TIMEOUT_MS = 3000,
    PATIENT_INTERVAL_MS = 15000,
    COMPLAINT_MS = 10000, /* after a request has failed, until the client has said why */
};

static const char default_port[] = "9092";

/* --- what the configuration expects -------------------------------------------------------------------- */

static const char *property(const struct source_config *config, const char *name, const char *otherwise)
{
    for (size_t i = config->property_count; i-- > 0;)
        if (strcmp(config->properties[i].name, name) == 0)
            return config->properties[i].value;
    return otherwise;
}

struct expectation {
    bool tls, password;
};

static struct expectation expected(const struct source_config *config)
{
    const char *protocol = property(config, "security.protocol", "plaintext");
    return (struct expectation){
        .tls = strcasestr(protocol, "ssl") != NULL,
        .password = strcasestr(protocol, "sasl") != NULL,
    };
}

static const char *protocol_name(bool tls, bool password)
{
    if (password)
        return tls ? "SASL_SSL" : "SASL_PLAINTEXT";
    return tls ? "SSL" : "PLAINTEXT";
}

/* --- what listens on the ports ------------------------------------------------------------------------- */

/* Something of Kafka's listens there; returns whether it is what the configuration expects. */
static bool compare(const struct kafka_probe *probe, const char *server, struct expectation expected,
                    struct check_list *list)
{
    struct expectation seen = {probe->outcome == KAFKA_PROBE_TLS, probe->outcome == KAFKA_PROBE_SASL};
    char *remedy = NULL;
    /* Inside of TLS it can't be seen whether a password is wanted. */
    bool fits = seen.tls == expected.tls && (seen.tls || seen.password == expected.password);
    if (asprintf(&remedy, "set the property security.protocol=%s%s%s%s",
                 protocol_name(seen.tls, seen.password || (seen.tls && expected.password)),
                 seen.password ? ", sasl.mechanism (one of " : "", seen.password ? probe->detail : "",
                 seen.password ? "), sasl.username and sasl.password" : "") < 0)
        return fits;
    if (fits)
        check_list_ok(list, "%s: answers as %s", server,
                      seen.tls ? "a port with TLS does" : "a Kafka broker");
    else if (seen.tls != expected.tls)
        check_list_problem(list, CHECK_FAILED, remedy,
                           seen.tls ? "%s: expects TLS, and the configuration has none"
                                    : "%s: is a Kafka broker without TLS, and the configuration has it",
                           server);
    else
        check_list_problem(list, CHECK_FAILED, remedy,
                           seen.password ? "%s: is a Kafka broker that wants a password (SASL)"
                                         : "%s: is a Kafka broker that wants no password (SASL)",
                           server);
    free(remedy);
    return fits;
}

/* Whether a client has a chance there. */
static bool note_probe(const struct kafka_probe *probe, const char *server, struct expectation expected,
                       struct check_list *list)
{
    switch (probe->outcome) {
    case KAFKA_PROBE_UNRESOLVED:
        check_list_problem(list, CHECK_FAILED, "mend the name, or the resolver of this machine",
                           "%s: the name has no address: %s", server, probe->detail);
        return false;
    case KAFKA_PROBE_UNREACHABLE:
        check_list_problem(
            list, CHECK_FAILED,
            "see whether the broker runs, listens on that address and port, and no firewall is between",
            "%s: no connection: %s", server, probe->detail);
        return false;
    case KAFKA_PROBE_SILENT:
        check_list_problem(list, CHECK_FAILED,
                           "see whether that is the port of a Kafka broker, and whether the broker hangs",
                           "%s: is connected to, and doesn't answer as Kafka does", server);
        return false;
    case KAFKA_PROBE_FOREIGN:
        check_list_problem(list, CHECK_FAILED, "give the port that the brokers' setting `listeners` names",
                           "%s: is no Kafka port; it says \"%s\"", server, probe->detail);
        return false;
    case KAFKA_PROBE_TLS:
    case KAFKA_PROBE_PLAIN:
    case KAFKA_PROBE_SASL:
        return compare(probe, server, expected, list);
    }
    return false;
}

/* Splits "HOST:PORT", "[V6]:PORT", "PROTOCOL://HOST:PORT" or "HOST" in place. */
static void split(char *server, const char **host, const char **port)
{
    char *scheme = strstr(server, "://");
    char *begin = scheme != NULL ? scheme + 3 : server;
    char *bracket = *begin == '[' ? strchr(begin, ']') : NULL;
    char *colon = strrchr(bracket != NULL ? bracket : begin, ':');
    *host = bracket != NULL ? begin + 1 : begin;
    *port = colon != NULL && colon[1] != '\0' ? colon + 1 : default_port;
    if (bracket != NULL)
        *bracket = '\0';
    if (colon != NULL)
        *colon = '\0';
}

static bool check_server(const char *server, const struct source_config *config, struct check_list *list)
{
    char *copy = mem_copy_text(server);
    const char *host, *port;
    int timeout_ms = config->timeout_ms < PROBE_TIMEOUT_MS ? (int)config->timeout_ms : PROBE_TIMEOUT_MS;
    split(copy, &host, &port);
    struct kafka_probe probe = kafka_probe_port(host, port, timeout_ms);
    bool fits = note_probe(&probe, server, expected(config), list);
    kafka_probe_free(&probe);
    free(copy);
    return fits;
}

/* Whether there is a server that a client may get along with. */
static bool check_servers(const struct source_config *config, struct check_list *list)
{
    char *servers = mem_copy_text(config->address), *rest = servers, *server;
    bool any = false;
    while ((server = strsep(&rest, ", ")) != NULL)
        if (*server != '\0')
            any |= check_server(server, config, list);
    free(servers);
    return any;
}

/* --- logging in ---------------------------------------------------------------------------------------- */

/* Until 2.6.1, librdkafka answered a challenge in a way that Kafka has refused since 4.0
 * (https://github.com/confluentinc/librdkafka/pull/4895). */
enum { SCRAM_IS_RIGHT = 0x020601ff };

static bool is_scram_doubtful(const struct source_config *config)
{
    const char *mechanism = property(config, "sasl.mechanism", property(config, "sasl.mechanisms", ""));
    return strncasecmp(mechanism, "SCRAM", 5) == 0 && rd_kafka_version() < SCRAM_IS_RIGHT;
}

static const char *login_remedy(const struct source_config *config, rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
        if (is_scram_doubtful(config))
            return "mend sasl.username and sasl.password; if the cluster is Kafka 4 or later: SCRAM needs "
                   "librdkafka 2.6.1, and this one is older, so take PLAIN or a client's certificate, over "
                   "TLS";
        return "mend sasl.username, sasl.password or sasl.mechanism; the broker's log says which is wrong";
    case RD_KAFKA_RESP_ERR__SSL:
        return "give ssl.ca.location the certificate of the authority that signed the broker's, the address "
               "the "
               "name that stands in it, and, if the broker asks for a certificate, ssl.certificate.location "
               "and "
               "ssl.key.location";
    case RD_KAFKA_RESP_ERR__RESOLVE:
        return "the brokers give out this name for themselves: make it known to this machine, or mend the "
               "brokers' setting `advertised.listeners`";
    default:
        return expected(config).tls
                   ? "see the broker's log; a broker that hangs up may want a certificate "
                     "(ssl.certificate.location, "
                     "ssl.key.location) or a password (security.protocol=SASL_SSL)"
                   : "see the broker's log; the addresses that the brokers give out for themselves "
                     "(`advertised.listeners`) have to be reachable from here";
    }
}

/* Whether the cluster answers to this client. */
static bool check_login(const struct source_config *config, struct kafka_client *client,
                        struct check_list *list)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t said,
        code = rd_kafka_metadata(kafka_client_handle(client), 1, NULL, &metadata, (int)config->timeout_ms);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        check_list_ok(list, "the cluster answers: %d brokers, %d topics that may be seen",
                      metadata->broker_cnt, metadata->topic_cnt);
        rd_kafka_metadata_destroy(metadata);
        return true;
    }
    const char *complaint = kafka_client_complaint(client, COMPLAINT_MS, &said);
    check_list_problem(list, CHECK_FAILED, login_remedy(config, complaint != NULL ? said : code),
                       "the cluster doesn't answer: %s",
                       complaint != NULL ? complaint : rd_kafka_err2str(code));
    return false;
}

/* A client as the collector makes it, or NULL. */
static struct kafka_client *check_properties(const struct source_config *config, struct check_list *list)
{
    struct error error = {0};
    struct kafka_client *client = kafka_client_new(config, KAFKA_ADMIN, &error);
    bool wants_oidc = strcasecmp(property(config, "sasl.oauthbearer.method", ""), "oidc") == 0;
    if (client == NULL)
        check_list_problem(list, CHECK_FAILED,
                           wants_oidc
                               ? "install a librdkafka that was built with libcurl: this one has no OIDC"
                               : "mend \"properties\" in the configuration",
                           "%s", error_text(&error));
    error_clear(&error);
    return client;
}

/* --- permissions --------------------------------------------------------------------------------------- */

/* What is lost without a permission, and which one it is. */
static const struct permission {
    enum poll_stage stage;
    rd_kafka_resp_err_t code;
    const char *missing, *remedy;
} permissions[] = {
    {STAGE_METADATA, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "nothing is known of these topics",
     "grant Describe on the topics (kafka-acls --add --operation Describe --topic …)"},
    {STAGE_CONFIGS, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
     "no retention, so no warning before messages are deleted",
     "grant DescribeConfigs on the topics (kafka-acls --add --operation DescribeConfigs --topic …)"},
    {STAGE_CONFIGS, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
     "it isn't known when the commits of a group without members expire",
     "grant DescribeConfigs on the cluster (kafka-acls --add --operation DescribeConfigs --cluster)"},
    {STAGE_START_OFFSETS, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "no lag of these topics",
     "grant Describe on the topics (kafka-acls --add --operation Describe --topic …)"},
    {STAGE_END_OFFSETS, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "no lag of these topics",
     "grant Describe on the topics (kafka-acls --add --operation Describe --topic …)"},
    {STAGE_GROUPS, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, "no state and no members of these groups",
     "grant Describe on the groups (kafka-acls --add --operation Describe --group …)"},
    {STAGE_COMMITS, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, "no lag of these groups",
     "grant Describe on the groups (kafka-acls --add --operation Describe --group …)"},
    {STAGE_COMMITS, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "no lag on these topics",
     "grant Describe on the topics (kafka-acls --add --operation Describe --topic …)"},
    {STAGE_TIMESTAMPS, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
     "time lag can only be estimated from what is seen while the daemon runs",
     "grant Read on the topics (kafka-acls --add --operation Read --topic …)"},
};

static const struct permission *find_permission(const struct kafka_failure *failure)
{
    for (size_t i = 0; i < sizeof permissions / sizeof *permissions; i++)
        if (permissions[i].stage == failure->stage && permissions[i].code == failure->code)
            return &permissions[i];
    return NULL;
}

static void note_failure(const struct kafka_failure *failure, struct check_list *list)
{
    const struct permission *permission = find_permission(failure);
    const char *others = failure->count > 1 ? " and others" : "";
    if (permission != NULL)
        check_list_problem(list, CHECK_LIMITED, permission->remedy, "%s \"%s\"%s: not permitted: %s",
                           failure->kind, failure->name, others, permission->missing);
    else
        check_list_problem(list, CHECK_LIMITED, "try again; if it stays, the broker's log says more",
                           "%s \"%s\"%s: %s", failure->kind, failure->name, others,
                           rd_kafka_err2str(failure->code));
}

/* What isn't permitted to be seen is left out of the answers as if it weren't there. */
static void note_seen(const struct snapshot *snapshot, struct check_list *list)
{
    if (snapshot->topic_count == 0)
        check_list_problem(
            list, CHECK_LIMITED,
            "if there are topics: grant Describe on them, and see the filters in the configuration",
            "no topic is seen");
    if (snapshot->group_count == 0)
        check_list_problem(
            list, CHECK_LIMITED,
            "if there are groups: grant Describe on them or on the cluster, and see the filters in "
            "the configuration",
            "no group is seen");
    if (snapshot->topic_count > 0 && snapshot->group_count > 0)
        check_list_ok(list, "observed: %u topics, %u groups, %u commits", snapshot->topic_count,
                      snapshot->group_count, snapshot->position_count);
}

static void check_poll(const struct source_config *config, struct check_list *list)
{
    struct poll_report report = {0};
    struct kafka_failures failures = {0};
    struct error error = {0};
    /* What a poll may spend on records is a share of its interval: a refusal has to fit into it. */
    struct source_config patient = *config;
    if (patient.poll_interval_ms < PATIENT_INTERVAL_MS)
        patient.poll_interval_ms = PATIENT_INTERVAL_MS;
    struct snapshot *snapshot = kafka_poll_once(&patient, &report, &failures, &error);
    if (snapshot != NULL)
        note_seen(snapshot, list);
    else
        check_list_problem(list, CHECK_FAILED, "try again; if it stays, the broker's log says more", "%s",
                           error_text(&error));
    for (size_t i = 0; i < failures.count; i++)
        note_failure(&failures.items[i], list);
    snapshot_free(&snapshot);
    kafka_failures_free(&failures);
    error_clear(&report.first_error);
    error_clear(&error);
}

/* Whether commits can be followed. */
static void check_offsets_topic(const struct source_config *config, struct check_list *list)
{
    struct error error = {0};
    if (config->offsets == OFFSETS_ADMIN)
        return;
    rd_kafka_resp_err_t code = kafka_follower_probe(config, &error);
    error_clear(&error);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        check_list_ok(list, "the topic " KAFKA_OFFSETS_TOPIC
                            " may be read: commits and rebalances are followed there");
    else if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        check_list_ok(list, "there is no topic " KAFKA_OFFSETS_TOPIC " yet: nobody has committed");
    else
        check_list_problem(list, CHECK_LIMITED,
                           "grant Read on it (kafka-acls --add --operation Read --topic " KAFKA_OFFSETS_TOPIC
                           "), or set \"offsets\": \"admin\" if that isn't wanted",
                           "topic \"" KAFKA_OFFSETS_TOPIC
                           "\": %s: rebalances are sampled, and each group is asked for its commits",
                           code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ? "not permitted"
                                                                                : rd_kafka_err2str(code));
}

void kafka_check(const struct source_config *config, struct check_list *list)
{
    struct kafka_client *client = check_properties(config, list);
    if (client != NULL && check_servers(config, list) && check_login(config, client, list)) {
        check_poll(config, list);
        check_offsets_topic(config, list);
    }
    kafka_client_free(&client);
}
