/* What a scoring came to. */
#ifndef MT_SCORE_REPORT_H
#define MT_SCORE_REPORT_H

#include "core/arena.h"
#include "motet/score.h"

struct motet_score_report {
    motet_score_options options;
    motet_score *files;
    size_t file_count;
    motet_score pooled;
    motet_score_omission *omissions;
    size_t omission_count, omission_capacity;
    mt_arena names;
};

#endif
