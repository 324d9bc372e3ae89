/* The tally of a set of regions holds everything that DER needs, so that a rate is a tally, a mapping and four sums.
 * What differs between the conventions is which regions are tallied, and from which tally the speakers are mapped. */
#include "score/der.h"

#include <math.h>

#include "core/assignment.h"
#include "core/memory.h"

static motet_status add_collar(mt_spans *holes, double boundary, const motet_score_options *options)
{
    double reach = options->convention == MOTET_SCORE_PYANNOTE ? options->collar / 2 : options->collar;
    return mt_spans_add(holes, boundary - reach, boundary + reach);
}

static motet_status add_collars_of_whole_turns(const mt_track *reference, const motet_score_options *options,
                                               mt_spans *holes)
{
    for (size_t i = 0; i < reference->count; i++) {
        MT_TRY(add_collar(holes, reference->turns[i].begin, options));
        MT_TRY(add_collar(holes, reference->turns[i].end, options));
    }
    return MOTET_OK;
}

/* The first region that ends after `time`. */
static size_t region_after(const mt_spans *whole, double time)
{
    size_t low = 0, high = whole->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (whole->items[middle].end > time)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static motet_status add_collars_of_cut_turns(const mt_track *reference, const mt_spans *whole,
                                             const motet_score_options *options, mt_spans *holes)
{
    for (size_t i = 0; i < reference->count; i++) {
        const mt_speech *turn = &reference->turns[i];
        for (size_t j = region_after(whole, turn->begin); j < whole->count && whole->items[j].begin < turn->end; j++) {
            MT_TRY(add_collar(holes, fmax(turn->begin, whole->items[j].begin), options));
            MT_TRY(add_collar(holes, fmin(turn->end, whole->items[j].end), options));
        }
    }
    return MOTET_OK;
}

static motet_status find_holes(const mt_track *reference, const mt_spans *whole, const motet_score_options *options,
                               mt_spans *holes)
{
    if (options->skip_overlap) MT_TRY(mt_track_overlaps(reference, holes));
    if (options->collar > 0 && options->convention == MOTET_SCORE_PYANNOTE)
        MT_TRY(add_collars_of_whole_turns(reference, options, holes));
    if (options->collar > 0 && options->convention == MOTET_SCORE_MD_EVAL)
        MT_TRY(add_collars_of_cut_turns(reference, whole, options, holes));
    mt_spans_unite(holes);
    return MOTET_OK;
}

motet_status mt_scored_regions(const mt_track *reference, const mt_spans *whole, const motet_score_options *options,
                               mt_spans *scored)
{
    mt_spans holes = {0};
    motet_status status = find_holes(reference, whole, options, &holes);
    if (status == MOTET_OK) status = mt_spans_subtract(whole, &holes, scored);
    mt_spans_free(&holes);
    return status;
}

motet_status mt_map_speakers(const mt_tally *tally, size_t *partner)
{
    size_t cells = tally->references * tally->hypotheses;
    double *costs = mt_alloc_array(cells, sizeof *costs);
    if (!costs) return mt_fail_memory(cells * sizeof *costs);
    for (size_t i = 0; i < cells; i++) costs[i] = -tally->both[i];
    motet_status status = mt_assign(tally->references, tally->hypotheses, costs, partner);
    mt_free(costs);
    MT_TRY(status);
    for (size_t i = 0; i < tally->references; i++)
        if (partner[i] != MT_UNASSIGNED && tally->both[i * tally->hypotheses + partner[i]] <= 0)
            partner[i] = MT_UNASSIGNED;
    return MOTET_OK;
}

double mt_rate(double errors, double total)
{
    if (total > 0) return errors / total;
    return errors > 0 ? 1 : 0;
}

void mt_der(const mt_tally *tally, const size_t *partner, motet_score *score)
{
    double matched = 0;
    for (size_t i = 0; i < tally->references; i++)
        if (partner[i] != MT_UNASSIGNED) matched += tally->both[i * tally->hypotheses + partner[i]];
    double confusion = tally->shared - matched;
    score->scored = tally->scored;
    score->missed = tally->missed;
    score->false_alarm = tally->false_alarm;
    score->confusion = confusion > MT_INSTANT ? confusion : 0; /* what rounding leaves of equal sums is no confusion */
    score->speech = tally->speech;
    score->missed_speech = tally->missed_speech;
    score->false_alarm_speech = tally->false_alarm_speech;
    score->der = mt_rate(score->missed + score->false_alarm + score->confusion, score->scored);
}
