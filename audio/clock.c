/* See clock.h. */
#include "audio/clock.h"

#include <math.h>

static const double MOST_AWAY = 0.020; /* seconds that the count may be wrong */
static const double STRETCH = 5;       /* seconds of which the earliest arrival is taken */
static const double DRIFT_AFTER = 30;  /* seconds before which drift cannot be told from scatter */

void mt_clock_init(mt_clock *c, int rate)
{
    *c = (mt_clock){.rate = rate, .adrift = true};
}

void mt_clock_unmoor(mt_clock *c)
{
    c->adrift = true;
}

double mt_clock_when(const mt_clock *c, int64_t n)
{
    return c->zero + (double)n / c->rate;
}

static void begin(mt_clock *c, double when)
{
    if (c->begun) return;
    c->begun = c->fresh = true;
    c->zero = when;
}

static int64_t sample_at(const mt_clock *c, double when)
{
    return llround((when - c->zero) * c->rate);
}

static void begin_stretch(mt_clock *c, double arrived)
{
    c->stretch_at = arrived;
    c->least = INFINITY;
}

static void anchor(mt_clock *c, double first)
{
    begin(c, first);
    int64_t start = sample_at(c, first);
    if (start > c->next) c->next = start;
    if (c->next > 0) c->fresh = false;
    c->adrift = false;
    c->anchored = first;
    c->counted = 0;
    c->first_counted = -1;
    begin_stretch(c, first);
}

/* From the earliest arrival of the first stretch to that of this one. */
static void measure_drift(mt_clock *c)
{
    if (c->first_counted < 0) {
        c->first_counted = c->least_counted;
        c->first_at = c->least_at;
    } else if (c->least_at - c->first_at > DRIFT_AFTER) {
        double counted = (double)(c->least_counted - c->first_counted) / c->rate;
        c->drift_ppm = (counted / (c->least_at - c->first_at) - 1) * 1e6;
    }
}

/* By how much the count is wrong, as far as this arrival tells: samples to go on (positive) or back. */
static int64_t correction(mt_clock *c, double arrived)
{
    double late = arrived - mt_clock_when(c, c->next);
    if (late < c->least) {
        c->least = late;
        c->least_at = arrived;
        c->least_counted = c->counted;
    }
    if (late < -MOST_AWAY) {
        begin_stretch(c, arrived);
        return llround(late * c->rate);
    }
    if (arrived - c->stretch_at < STRETCH) return 0;
    double least = c->least;
    measure_drift(c);
    begin_stretch(c, arrived);
    c->fresh = false;
    return least > MOST_AWAY ? llround(least * c->rate) : 0;
}

int64_t mt_clock_take(mt_clock *c, int count, double arrived)
{
    double first = arrived - (double)count / c->rate;
    if (c->adrift) anchor(c, first);
    int64_t away = correction(c, first);
    if (away < 0 && c->fresh) { /* the very first blocks were late: the time line began earlier */
        c->zero += (double)away / c->rate;
        away = 0;
    }
    int64_t start = c->next + away, end = start + count;
    c->counted += count;
    if (end > c->next) c->next = end;
    return start;
}

bool mt_clock_pass(mt_clock *c, double now, int64_t *start)
{
    begin(c, now);
    *start = sample_at(c, now);
    c->adrift = true;
    if (*start <= c->next) return false;
    c->next = *start;
    c->fresh = false;
    return true;
}
