/* Along the last axis, output positions of one row see input positions of one row, a stride apart, until the row ends
 * or the padding begins: so a panel sees a few stretches, whatever the number of axes. */
#include "kernels/window.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void mt_window_inside(const mt_window *w, int axis, int64_t tap, int64_t *low, int64_t *high)
{
    int64_t offset = tap * w->dilation[axis] - w->before[axis], stride = w->stride[axis];
    *low = offset < 0 ? (-offset + stride - 1) / stride : 0;
    int64_t last = w->in[axis] - 1 - offset; /* o * stride <= last */
    *high = last < 0 ? 0 : least(last / stride + 1, w->out[axis]);
    if (*low > *high) *low = *high;
}

bool mt_window_row(const mt_window *w, int64_t row, const int64_t *taps, int64_t *out)
{
    int64_t at = 0, scale = 1;
    for (int i = w->axes - 2; i >= 0; i--) {
        int64_t position = row % w->out[i] * w->stride[i] + taps[i] * w->dilation[i] - w->before[i];
        row /= w->out[i];
        if (position < 0 || position >= w->in[i]) return false;
        at += position * scale;
        scale *= w->in[i];
    }
    *out = at * w->in[w->axes - 1];
    return true;
}

int64_t mt_window_seen(const mt_window *w, int64_t out, int64_t tap)
{
    int64_t at = 0, scale = 1;
    for (int i = w->axes - 1; i >= 0; i--) {
        int64_t position = out % w->out[i] * w->stride[i] + tap % w->kernel[i] * w->dilation[i] - w->before[i];
        if (position < 0 || position >= w->in[i]) return -1;
        at += position * scale;
        scale *= w->in[i];
        out /= w->out[i];
        tap /= w->kernel[i];
    }
    return at;
}

void mt_window_taps(const mt_window *w, int64_t tap, int64_t *taps)
{
    for (int i = w->axes - 1; i >= 0; i--) {
        taps[i] = tap % w->kernel[i];
        tap /= w->kernel[i];
    }
}

/* Columns [begin, end) as stretches of one panel each. */
static int add_stretches(const mt_panels *p, int64_t begin, int64_t end, int64_t from, int64_t stride,
                         mt_stretch *stretches)
{
    int count = 0;
    while (begin < end) {
        int64_t in_panel = begin % MT_TILE_COLUMNS, n = least(MT_TILE_COLUMNS - in_panel, end - begin);
        stretches[count++] =
            (mt_stretch){begin / MT_TILE_COLUMNS * p->depth * MT_TILE_COLUMNS + in_panel, from, (int)n};
        begin += n;
        from += n * stride;
    }
    return count;
}

/* Nearly always all columns see the input, which is told at little cost. */
mt_line mt_window_line(const mt_window *w, const mt_panels *p, int64_t tap)
{
    int64_t stride = w->stride[0], from = p->column * stride + tap * w->dilation[0] - w->before[0], low, high;
    if (from >= 0 && from + (p->columns - 1) * stride < w->in[0]) return (mt_line){from, 0, p->columns};
    mt_window_inside(w, 0, tap, &low, &high);
    low = least(most(low - p->column, 0), p->columns);
    high = most(least(high - p->column, p->columns), low);
    return (mt_line){from + low * stride, low, high};
}

bool mt_window_is_long(const mt_window *w)
{
    enum { MANY = 32, LONGEST = MT_LONG_LINE - MT_PANELS * MT_TILE_COLUMNS };
    return w->axes == 1 && w->stride[0] == 1 && w->taps >= MANY && w->taps <= MT_PANEL_ROOM / 2 &&
           (w->taps - 1) * w->dilation[0] <= LONGEST;
}

mt_line mt_window_long_line(const mt_window *w, const mt_panels *p)
{
    int64_t start = p->column - w->before[0], length = p->columns + (w->taps - 1) * w->dilation[0];
    int64_t low = least(most(-start, 0), length), high = most(least(w->in[0] - start, length), low);
    return (mt_line){start + low, low, high};
}

int mt_window_stretches(const mt_window *w, const mt_panels *p, int64_t tap, mt_stretch *stretches)
{
    int last = w->axes - 1, count = 0;
    int64_t taps[MT_WINDOW_AXES], width = w->out[last], stride = w->stride[last], low, high, start;
    mt_window_taps(w, tap, taps);
    int64_t offset = taps[last] * w->dilation[last] - w->before[last];
    mt_window_inside(w, last, taps[last], &low, &high);
    for (int64_t j = 0; j < p->columns;) {
        int64_t first = (p->column + j) % width, n = least(width - first, p->columns - j);
        int64_t begin = most(low, first), end = least(high, first + n);
        if (begin < end && mt_window_row(w, (p->column + j) / width, taps, &start))
            count += add_stretches(p, j + begin - first, j + end - first, start + begin * stride + offset, stride,
                                   stretches + count);
        j += n;
    }
    return count;
}

void mt_window_channels(const mt_window *w, const mt_panels *p, int64_t tap, int64_t *begin, int64_t *end, int64_t *row)
{
    *begin = most(0, p->first - tap + w->taps - 1) / w->taps;
    *end = most(0, p->first + p->depth - tap + w->taps - 1) / w->taps;
    *row = *begin * w->taps + tap - p->first;
}
