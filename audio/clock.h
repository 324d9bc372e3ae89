/* The time line of a device whose samples come when they come. It begins with the first of them.
 *
 * Samples are counted from an anchor, the moment at which the first of them arrived; that count is exact as long as the
 * device's clock agrees with the machine's and nothing is lost on the way. Whether it does shows in the moments at
 * which blocks arrive. They may arrive late for many reasons, but never early: one that seems early shows that the
 * anchor was late, or the device is fast; when the earliest of five seconds is late, samples are missing or the device
 * is slow. Either is corrected when it is 20 ms. */
#ifndef MT_AUDIO_CLOCK_H
#define MT_AUDIO_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct mt_clock {
    int rate;
    bool begun;
    double zero;     /* monotonic seconds at which the time line began */
    int64_t next;    /* the sample that comes next */
    bool adrift;     /* the next block says anew where it stands */
    bool fresh;      /* its first seconds, with nothing missed */
    double anchored; /* when the anchor arrived */
    int64_t counted; /* samples since then */
    double least;    /* seconds by which the earliest of this stretch was late */
    double least_at; /* when it arrived, and how many samples had been counted by then */
    int64_t least_counted;
    double first_at; /* the same of the first stretch */
    int64_t first_counted;
    double stretch_at; /* when it began */
    double drift_ppm;
} mt_clock;

void mt_clock_init(mt_clock *clock, int rate);

/* From here on the count is not to be trusted: samples may be missing. */
void mt_clock_unmoor(mt_clock *clock);

/* Takes a block of `count` samples, which would have arrived at `arrived` had nothing been late, or before. Returns
 * where it begins; what lies before clock->next was there already. */
int64_t mt_clock_take(mt_clock *clock, int count, double arrived);

/* When sample n was there. */
double mt_clock_when(const mt_clock *clock, int64_t n);

/* Nothing has come until `now`: the time line goes on to there, and *start is set, when it was behind. With no block
 * yet, it begins there. */
bool mt_clock_pass(mt_clock *clock, double now, int64_t *start);

#endif
