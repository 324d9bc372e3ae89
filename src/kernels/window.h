/* Windows that slide over the spatial axes of a tensor, and what the columns of an unrolled input see through them. */
#ifndef MT_KERNELS_WINDOW_H
#define MT_KERNELS_WINDOW_H

#include "kernels/product.h"

enum { MT_WINDOW_AXES = 6 };

/* A window that slides over spatial axes: output position o looks at input positions
 * o * stride + tap * dilation - before for tap = 0 .. kernel - 1; those outside the input count as padding. */
typedef struct mt_window {
    int axes;
    int64_t in[MT_WINDOW_AXES], out[MT_WINDOW_AXES];
    int64_t kernel[MT_WINDOW_AXES], stride[MT_WINDOW_AXES], dilation[MT_WINDOW_AXES];
    int64_t before[MT_WINDOW_AXES], after[MT_WINDOW_AXES];
    int64_t in_count, out_count, taps; /* products of in, out and kernel */
} mt_window;

/* Output positions [*low, *high) of axis `axis` for which tap `tap` lies inside the input. */
void mt_window_inside(const mt_window *w, int axis, int64_t tap, int64_t *low, int64_t *high);

/* A row is the last spatial axis at one position of the others. Finds input row for output row `row` and the tap
 * `taps[]`: false when it lies in the padding. */
bool mt_window_row(const mt_window *w, int64_t row, const int64_t *taps, int64_t *out);

/* The input position that output position `out` sees through tap `tap`, or -1 in the padding. */
int64_t mt_window_seen(const mt_window *w, int64_t out, int64_t tap);

/* A tap's place on every axis. */
void mt_window_taps(const mt_window *w, int64_t tap, int64_t *taps);

/* A stretch of one panel's columns that sees every stride-th element of the input from `from` on, stride being that of
 * the last axis; the columns lie from `to` on in the first row of the panels. */
typedef struct mt_stretch {
    int64_t to, from;
    int length;
} mt_stretch;

enum { MT_STRETCHES = MT_PANELS * MT_TILE_COLUMNS };

/* What panels, whose columns are output positions, see through one tap; columns in no stretch lie in the padding.
 * Returns the number of stretches. */
int mt_window_stretches(const mt_window *w, const mt_panels *p, int64_t tap, mt_stretch *stretches);

/* The same for a window of one axis, where it is simple: columns [low, high) of the panels see every stride-th element
 * from `from` on, all others lie in the padding. */
typedef struct mt_line {
    int64_t from, low, high;
} mt_line;

mt_line mt_window_line(const mt_window *w, const mt_panels *p, int64_t tap);

/* True where a window of one axis has many taps and no stride. What panels see of one channel is then a single line of
 * columns + (taps - 1) * dilation elements, in which every tap's row begins `dilation` later: nothing need be unrolled,
 * if a product takes its panels channel by channel. Such a line is at most MT_LONG_LINE long. */
enum { MT_LONG_LINE = 8192 };
bool mt_window_is_long(const mt_window *w);

/* Which elements of a channel that line shows: columns [low, high) of it, from `from` on. */
mt_line mt_window_long_line(const mt_window *w, const mt_panels *p);

/* The rows of the unrolled input are weights, channel * taps + tap. Those of one tap that panels want belong to
 * channels [*begin, *end), and the first of them is row *row of the panels; the others follow taps rows apart. */
void mt_window_channels(const mt_window *w, const mt_panels *p, int64_t tap, int64_t *begin, int64_t *end,
                        int64_t *row);

#endif
