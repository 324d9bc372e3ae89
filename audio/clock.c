/* See clock.h. */
#include "audio/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double MOST_AWAY = 0.020;  /* seconds that the count may be wrong */
static const double MOMENT_STEP = 0.08; /* seconds from one moment that is looked at to the next */
static const double DRIFT_AFTER = 30;   /* seconds before which drift cannot be told from scatter */

void mt_clock_init(mt_clock *c, int rate)
{
    *c = (mt_clock){.rate = rate, .adrift = true};
}

static void begin(mt_clock *c, double when)
{
    if (c->begun) return;
    c->begun = true;
    c->zero = when;
}

void mt_clock_unmoor(mt_clock *c)
{
    c->adrift = true;
}

static int64_t sample_at(const mt_clock *c, double when)
{
    return llround((when - c->zero) * c->rate);
}

static void anchor(mt_clock *c, double captured)
{
    begin(c, captured);
    int64_t start = sample_at(c, captured);
    if (start > c->next) c->next = start;
    c->adrift = false;
    c->anchored = captured;
    c->counted = 0;
    c->moment_count = 0;
    c->moment_at = captured;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* How far the count is from the clock; positive: the count is behind. */
static double median(const mt_clock *c)
{
    double sorted[MT_CLOCK_MOMENTS];
    memcpy(sorted, c->moments, sizeof sorted);
    qsort(sorted, MT_CLOCK_MOMENTS, sizeof *sorted, by_value);
    return (sorted[MT_CLOCK_MOMENTS / 2 - 1] + sorted[MT_CLOCK_MOMENTS / 2]) / 2;
}

/* Looks at one more moment; when there are enough, the samples by which the count is to be corrected, or 0. */
static int64_t look(mt_clock *c, double captured)
{
    if (captured - c->moment_at < MOMENT_STEP) return 0;
    c->moment_at = captured;
    c->moments[c->moment_count++] = captured - c->zero - (double)c->next / c->rate;
    if (c->moment_count < MT_CLOCK_MOMENTS) return 0;
    c->moment_count = 0;
    double elapsed = captured - c->anchored, away = median(c);
    if (elapsed > DRIFT_AFTER) c->drift_ppm = ((double)c->counted / c->rate / elapsed - 1) * 1e6;
    return fabs(away) > MOST_AWAY ? llround(away * c->rate) : 0;
}

int64_t mt_clock_take(mt_clock *c, int count, double captured)
{
    if (c->adrift) anchor(c, captured);
    int64_t start = c->next + look(c, captured), end = start + count;
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
    return true;
}
