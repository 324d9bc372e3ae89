/* Some rows of queries at a time are multiplied with all keys of their head, made probabilities, and multiplied with
 * the values straight into the output: the products of a head are never in memory as a whole unless they fit the second
 * cache. Nothing is transposed, as matrix products take rows at any distance. Rows of the strip begin on cache lines: a
 * row that shared one with the end of the row before would wait until that is written.
 *
 * Pieces of work are dealt to a fixed number of lanes, each with a strip of scratch of its own. */
#include "kernels/attention.h"

#include "kernels/gemm.h"

enum { LANES = 16, STRIP = 64 * 1024 /* floats, about */, LINE = 16 /* floats */ };

typedef struct attention_work {
    const mt_attention *a;
    int64_t rows, tiles, jobs; /* queries at a time, times for each head, all in all */
    int64_t pitch;             /* floats from one row of the strip to the next */
    float *strips;
} attention_work;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* As many queries as a strip has room for, in equal parts, a whole number of tiles of the product each. */
static int64_t rows_at_once(const mt_attention *a)
{
    int64_t most = STRIP / (a->keys > 0 ? a->keys : 1);
    if (most < 2 * MT_TILE_ROWS) most = 2 * MT_TILE_ROWS;
    if (a->queries <= most) return a->queries > 0 ? a->queries : 1;
    int64_t parts = (a->queries + most - 1) / most, each = (a->queries + parts - 1) / parts;
    return (each + MT_TILE_ROWS - 1) / MT_TILE_ROWS * MT_TILE_ROWS;
}

static attention_work divide(const mt_attention *a)
{
    attention_work w = {.a = a, .rows = rows_at_once(a), .pitch = (a->keys + LINE - 1) / LINE * LINE};
    w.tiles = (a->queries + w.rows - 1) / w.rows;
    w.jobs = a->batch * a->heads * w.tiles;
    return w;
}

int64_t mt_attention_scratch(const mt_attention *a)
{
    attention_work w = divide(a);
    int64_t size;
    if (__builtin_mul_overflow(w.rows * least(w.jobs, LANES), w.pitch, &size)) return -1;
    return size;
}

static float *row_of(const mt_heads *h, int64_t b, int64_t head, int64_t row)
{
    return h->data + b * h->batch_step + head * h->head_step + row * h->row_step;
}

static void run_job(const attention_work *w, int64_t job, float *strip)
{
    const mt_attention *a = w->a;
    int64_t unit = job / w->tiles, first = job % w->tiles * w->rows, rows = least(w->rows, a->queries - first);
    int64_t b = unit / a->heads, h = unit % a->heads, shared = h / a->sharing;
    mt_gemm product = mt_gemm_plain(rows, a->keys, a->size);
    product.b_transposed = !a->k_transposed;
    product.lda = a->q.row_step;
    product.ldb = a->k.row_step;
    product.ldc = w->pitch;
    product.alpha = (double)a->scale;
    mt_sgemm(NULL, &product, row_of(&a->q, b, h, first), row_of(&a->k, b, shared, 0), strip);
    for (int64_t i = 0; i < rows; i++) a->finish(a->context, strip + i * w->pitch, b, h, first + i);
    mt_gemm weighted = mt_gemm_plain(rows, a->value_size, a->keys);
    weighted.lda = w->pitch;
    weighted.ldb = a->v.row_step;
    weighted.ldc = a->y.row_step;
    mt_sgemm(NULL, &weighted, strip, row_of(&a->v, b, shared, 0), row_of(&a->y, b, h, first));
}

static void run_lane(void *context, size_t lane)
{
    const attention_work *w = context;
    float *strip = w->strips + (int64_t)lane * w->rows * w->pitch;
    int64_t lanes = least(w->jobs, LANES), end = ((int64_t)lane + 1) * w->jobs / lanes;
    for (int64_t job = (int64_t)lane * w->jobs / lanes; job < end; job++) run_job(w, job, strip);
}

void mt_attention_run(mt_pool *pool, const mt_attention *attention, float *scratch)
{
    attention_work w = divide(attention);
    w.strips = scratch;
    mt_parallel(pool, (size_t)least(w.jobs, LANES), run_lane, &w);
}
