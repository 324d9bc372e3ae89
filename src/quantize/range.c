/* How far the tails of a distribution are cut decides between two errors: what lies beyond is clipped, and what lies
 * within is rounded to steps that grow with the range.
 *
 * Percentile: as much of the values is cut as was asked, half of it at each end. Entropy: the histogram of magnitudes
 * is cut at every possible place; cut, and then told in 128 steps, it is a distribution that differs from the one it
 * came from, and where the Kullback-Leibler divergence of the two is smallest is the cut. (Migacz: 8-bit Inference with
 * TensorRT, GTC 2017; in Wu et al. 2020, section 5.1, both.) */
#include "quantize/range.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { LEVELS = 255, MAGNITUDES = 128 /* steps of one sign */ };

/* --- what is seen --------------------------------------------------------------------------------------------- */

void mt_range_widen(mt_range *r, const float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) continue;
        r->least = fminf(r->least, values[i]);
        r->most = fmaxf(r->most, values[i]);
    }
}

void mt_range_count(mt_range *r, const float *values, int64_t count)
{
    double width = ((double)r->most - r->least) / MT_RANGE_BINS;
    for (int64_t i = 0; i < count && width > 0; i++) {
        if (!isfinite(values[i])) continue;
        double bin = ((double)values[i] - r->least) / width;
        r->bins[bin >= MT_RANGE_BINS ? MT_RANGE_BINS - 1 : bin > 0 ? (int)bin : 0]++;
    }
}

/* --- percentile ----------------------------------------------------------------------------------------------- */

static double edge(const mt_range *r, int bin)
{
    return r->least + ((double)r->most - r->least) * bin / MT_RANGE_BINS;
}

static mt_range cut_percentile(const mt_range *r, double percentile)
{
    int64_t all = 0;
    for (int i = 0; i < MT_RANGE_BINS; i++) all += r->bins[i];
    double tail = (double)all * (100 - percentile) / 200, below = 0, above = 0;
    int first = 0, last = MT_RANGE_BINS;
    while (first < last && below + (double)r->bins[first] <= tail) below += (double)r->bins[first++];
    while (last > first && above + (double)r->bins[last - 1] <= tail) above += (double)r->bins[--last];
    return (mt_range){.least = fminf(0, (float)edge(r, first)), .most = fmaxf(0, (float)edge(r, last))};
}

/* --- entropy -------------------------------------------------------------------------------------------------- */

/* The bins by magnitude; returns how much one of them is. A bin of the range goes to where its middle is. Zeros, which
 * many values are after a Relu, are told exactly by any scale, so the first bin is taken to be as full as the second. */
static double by_magnitude(const mt_range *r, double *counts)
{
    double largest = fmax(-(double)r->least, r->most), width = largest / MT_RANGE_BINS;
    for (int i = 0; i < MT_RANGE_BINS; i++) counts[i] = 0;
    for (int i = 0; i < MT_RANGE_BINS; i++) {
        int bin = (int)(fabs(edge(r, i) + edge(r, i + 1)) / 2 / width);
        counts[bin < MT_RANGE_BINS ? bin : MT_RANGE_BINS - 1] += (double)r->bins[i];
    }
    counts[0] = counts[1];
    return width;
}

/* Between the first `cut` counts, those beyond them added to the last, and the same in MAGNITUDES steps, each step's
 * counts shared out evenly among those of its bins that hold any. */
static double divergence(const double *counts, int cut, double all)
{
    double inside = 0, result = 0;
    for (int i = 0; i < cut; i++) inside += counts[i];
    for (int step = 0; step < MAGNITUDES; step++) {
        int first = step * cut / MAGNITUDES, last = (step + 1) * cut / MAGNITUDES, held = 0;
        double sum = 0;
        for (int i = first; i < last; i++) {
            sum += counts[i];
            held += counts[i] > 0;
        }
        for (int i = first; i < last; i++) {
            double p = (counts[i] + (i == cut - 1 ? all - inside : 0)) / all;
            double q = held && counts[i] > 0 ? sum / held / inside : 0;
            if (p > 0) result += p * log(p / fmax(q, 1e-12));
        }
    }
    return result;
}

static mt_range cut_entropy(const mt_range *r)
{
    double counts[MT_RANGE_BINS], all = 0, least = INFINITY, width = by_magnitude(r, counts);
    int best = MT_RANGE_BINS;
    for (int i = 0; i < MT_RANGE_BINS; i++) all += counts[i];
    for (int cut = MAGNITUDES; cut <= MT_RANGE_BINS && all > 0; cut += MAGNITUDES / 8) {
        double one = divergence(counts, cut, all);
        if (one < least) {
            least = one;
            best = cut;
        }
    }
    float limit = (float)(width * best);
    return (mt_range){.least = fmaxf(r->least, -limit), .most = fminf(r->most, limit)};
}

/* --- the scale ------------------------------------------------------------------------------------------------ */

mt_byte_scale mt_range_scale(const mt_range *range, motet_quantize_method method, double percentile)
{
    mt_range cut = *range;
    bool spread = range->bins && range->most > range->least;
    if (spread && method == MOTET_QUANTIZE_PERCENTILE) cut = cut_percentile(range, percentile);
    if (spread && method == MOTET_QUANTIZE_ENTROPY) cut = cut_entropy(range);
    float scale = (float)(((double)cut.most - cut.least) / LEVELS);
    if (!(scale >= FLT_MIN)) return (mt_byte_scale){.scale = 1};
    return (mt_byte_scale){.scale = scale, .zero = (uint8_t)fminf(LEVELS, rintf(-cut.least / scale))};
}
