/* A long window shows a channel as one line. With one axis, rows are copied one after the other, so that what several
 * taps see of a channel comes from afar only once; with more, tap by tap, as a tap sees stretches. */
#include "kernels/unroll.h"

#include <string.h>

#include "kernels/simd.h"

enum { AHEAD = 4 };

static void fill(mt_unrolled *to, uint32_t value, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] = value;
}

/* --- one axis ------------------------------------------------------------------------------------------------- */

/* One row of all panels: x is a channel. */
MT_SIMD static void copy_line(mt_unrolled *restrict to, int64_t panel, const mt_unrolled *restrict x,
                              const mt_line *line, int64_t columns, int64_t stride, uint32_t padding)
{
    for (int64_t j = 0; j < columns; j += MT_TILE_COLUMNS, to += panel) {
        int64_t low = line->low - j, high = line->high - j, from = line->from - low * stride; /* of column j */
        if (low <= 0 && high >= MT_TILE_COLUMNS && stride == 1) {
            memcpy(to, x + from, MT_TILE_COLUMNS * sizeof *to);
        } else if (low <= 0 && high >= MT_TILE_COLUMNS && stride == 2) {
            for (int i = 0; i < MT_TILE_COLUMNS; i++) to[i] = x[from + 2 * i];
        } else {
            fill(to, padding, MT_TILE_COLUMNS);
            for (int64_t i = low > 0 ? low : 0; i < high && i < MT_TILE_COLUMNS; i++) to[i] = x[from + i * stride];
        }
    }
}

/* Asks for n elements. Channels are far apart, which the processor does not see coming. */
static void fetch(const mt_unrolled *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += 64 / (int64_t)sizeof *x) __builtin_prefetch(x + i);
}

static void unroll_lines(const mt_window *w, const mt_panels *p, const mt_unrolled *x, uint32_t padding,
                         mt_unrolled *room)
{
    int64_t channel = p->first / w->taps, tap = p->first % w->taps;
    for (int64_t row = 0; row < p->depth; row++) {
        mt_line line = mt_window_line(w, p, tap);
        if (tap == 0) fetch(x + (channel + AHEAD) * w->in_count + line.from, p->columns * w->stride[0]);
        copy_line(room + row * MT_TILE_COLUMNS, p->depth * MT_TILE_COLUMNS, x + channel * w->in_count, &line,
                  p->columns, w->stride[0], padding);
        if (++tap == w->taps) channel++, tap = 0;
    }
}

/* From the line of one channel to that of the next. */
static int64_t line_step(const mt_window *w)
{
    return (MT_PANELS + 1) * MT_TILE_COLUMNS + (w->taps - 1) * w->dilation[0];
}

/* Some channels of a long window. Beyond the columns that are wanted the last panel shows what stands in the room. */
static mt_panel_place lay_lines(const mt_window *w, const mt_panels *p, const mt_unrolled *x, uint32_t padding,
                                mt_unrolled *room)
{
    mt_line line = mt_window_long_line(w, p);
    for (int64_t i = 0; i < p->depth / w->taps; i++) {
        mt_unrolled *to = room + i * line_step(w);
        fill(to, padding, p->columns + MT_TILE_COLUMNS + (w->taps - 1) * w->dilation[0]);
        memcpy(to + line.low, x + (p->first / w->taps + i) * w->in_count + line.from,
               (size_t)(line.high - line.low) * sizeof *to);
    }
    return (mt_panel_place){room, w->dilation[0], MT_TILE_COLUMNS};
}

/* --- any number of axes --------------------------------------------------------------------------------------- */

/* All stretches of `channels` channels: rows of `to` are to_row apart, channels of `from` from_row. */
MT_SIMD static void copy_stretches(mt_unrolled *restrict to, int64_t to_row, const mt_unrolled *restrict from,
                                   int64_t from_row, int64_t channels, const mt_stretch *stretches, int count,
                                   int64_t stride)
{
    for (int64_t channel = 0; channel < channels; channel++, to += to_row, from += from_row)
        for (const mt_stretch *s = stretches; s < stretches + count; s++) {
            mt_unrolled *y = to + s->to;
            const mt_unrolled *x = from + s->from;
            if (s->length == MT_TILE_COLUMNS && stride == 1)
                memcpy(y, x, MT_TILE_COLUMNS * sizeof *y);
            else if (s->length == MT_TILE_COLUMNS && stride == 2)
                for (int j = 0; j < MT_TILE_COLUMNS; j++) y[j] = x[2 * j];
            else
                for (int j = 0; j < s->length; j++) y[j] = x[j * stride];
        }
}

static void pad_rows(mt_unrolled *to, int64_t to_row, int64_t channels, const mt_panels *p, uint32_t padding)
{
    for (int64_t j = 0; j < p->columns; j += MT_TILE_COLUMNS)
        for (int64_t i = 0; i < channels; i++) fill(to + i * to_row + j * p->depth, padding, MT_TILE_COLUMNS);
}

/* The rows of the panels that belong to one tap. */
static void unroll_tap(const mt_window *w, const mt_panels *p, int64_t tap, const mt_unrolled *x, uint32_t padding,
                       mt_unrolled *room)
{
    mt_stretch stretches[MT_STRETCHES];
    int count = mt_window_stretches(w, p, tap, stretches);
    int64_t begin, end, row, covered = 0;
    mt_window_channels(w, p, tap, &begin, &end, &row);
    mt_unrolled *to = room + row * MT_TILE_COLUMNS;
    for (int i = 0; i < count; i++) covered += stretches[i].length;
    if (covered < p->columns) pad_rows(to, w->taps * MT_TILE_COLUMNS, end - begin, p, padding);
    copy_stretches(to, w->taps * MT_TILE_COLUMNS, x + begin * w->in_count, w->in_count, end - begin, stretches, count,
                   w->stride[w->axes - 1]);
}

/* --- the choice ----------------------------------------------------------------------------------------------- */

void mt_unroll_prepare(const mt_window *w, mt_product *product)
{
    enum { DEEP = 1024 /* rows: then tiles are not often begun */ };
    product->depth = product->run = product->jump = 0;
    if (!mt_window_is_long(w)) return;
    int64_t fit = MT_PANEL_ROOM * MT_TILE_COLUMNS / line_step(w), channels = DEEP / w->taps;
    product->run = w->taps;
    product->jump = line_step(w) - w->taps * w->dilation[0];
    product->depth = w->taps * (channels < 1 ? 1 : channels < fit ? channels : fit);
}

mt_panel_place mt_unroll(const mt_window *w, const mt_panels *p, const mt_unrolled *x, uint32_t padding,
                         mt_unrolled *room)
{
    if (mt_window_is_long(w)) return lay_lines(w, p, x, padding, room);
    if (w->axes == 1)
        unroll_lines(w, p, x, padding, room);
    else
        for (int64_t tap = 0; tap < w->taps; tap++) unroll_tap(w, p, tap, x, padding, room);
    return (mt_panel_place){room, MT_TILE_COLUMNS, p->depth * MT_TILE_COLUMNS};
}
