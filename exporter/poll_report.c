#include "exporter/poll_report.h"

const char *poll_stage_name(enum poll_stage stage)
{
    static const char *const names[POLL_STAGES] = {
        [STAGE_CONNECT] = "connect",         [STAGE_METADATA] = "metadata",
        [STAGE_CONFIGS] = "configs",         [STAGE_START_OFFSETS] = "start_offsets",
        [STAGE_GROUPS] = "groups",           [STAGE_COMMITS] = "commits",
        [STAGE_END_OFFSETS] = "end_offsets", [STAGE_TIMESTAMPS] = "timestamps",
    };
    return names[stage];
}

void poll_report_item_failed(struct poll_report *report, enum poll_stage stage, struct error *error)
{
    report->errors[stage]++;
    if (report->first_error.code == ERROR_NONE)
        report->first_error = *error;
    else
        error_clear(error);
    *error = (struct error){0};
}
