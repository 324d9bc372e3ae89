/* TfIdfVectorizer: counts of known n-grams. Every item of the pool gets a number (its place among the sorted ones), an
 * n-gram is then a row of numbers, and the known n-grams of a length are sorted too, so that looking one up is a binary
 * search. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ops/support.h"

enum { LONGEST = 64 };

/* Items of the pool, strings or integers. */
typedef struct pool {
    const int64_t *ints;
    const mt_string *texts;
    int64_t count;
    int64_t *sorted; /* indices */
} pool;

typedef struct gram {
    const int64_t *items; /* numbers */
    int64_t length, column;
} gram;

typedef struct vectorizer {
    pool pool;
    int64_t *numbers; /* of the pool's items */
    gram *grams;      /* sorted by length and items; of equal ones the last counts */
    int64_t gram_count, columns, shortest, longest, skips;
} vectorizer;

/* --- items ---------------------------------------------------------------------------------------------------- */

static int compare_texts(const mt_string *a, const mt_string *b)
{
    size_t length = a->length < b->length ? a->length : b->length;
    int order = length ? memcmp(a->bytes, b->bytes, length) : 0;
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static int compare_items(const void *a, const void *b, void *context)
{
    const pool *p = context;
    int64_t i = *(const int64_t *)a, k = *(const int64_t *)b;
    if (p->texts) return compare_texts(&p->texts[i], &p->texts[k]);
    return (p->ints[i] > p->ints[k]) - (p->ints[i] < p->ints[k]);
}

/* The number of an item: the first place among the sorted where it stands; -1 when it is not in the pool. */
static int64_t number_of(const pool *p, int64_t value, const mt_string *text)
{
    int64_t low = 0, high = p->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2, at = p->sorted[middle];
        bool before = text ? compare_texts(&p->texts[at], text) < 0 : p->ints[at] < value;
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == p->count) return -1;
    int64_t at = p->sorted[low];
    return (text ? compare_texts(&p->texts[at], text) == 0 : p->ints[at] == value) ? low : -1;
}

/* --- n-grams -------------------------------------------------------------------------------------------------- */

static int compare_grams(const void *a, const void *b)
{
    const gram *x = a, *y = b;
    if (x->length != y->length) return x->length < y->length ? -1 : 1;
    for (int64_t i = 0; i < x->length; i++)
        if (x->items[i] != y->items[i]) return x->items[i] < y->items[i] ? -1 : 1;
    return 0;
}

static motet_status read_pool(mt_op_context *c, vectorizer *v)
{
    size_t ints, texts;
    void *sorted, *numbers;
    v->pool.ints = mt_attr_ints(c, "pool_int64s", &ints);
    v->pool.texts = mt_attr_strings(c, "pool_strings", &texts);
    if (!ints == !texts) return mt_op_fail(c, MOTET_ERROR_FORMAT, "expected either pool_int64s or pool_strings");
    if (!texts) v->pool.texts = NULL;
    v->pool.count = (int64_t)(ints + texts);
    MT_TRY(mt_scratch_array(c, v->pool.count, sizeof(int64_t), &sorted));
    MT_TRY(mt_scratch_array(c, v->pool.count, sizeof(int64_t), &numbers));
    v->pool.sorted = sorted;
    v->numbers = numbers;
    for (int64_t i = 0; i < v->pool.count; i++) v->pool.sorted[i] = i;
    qsort_r(v->pool.sorted, (size_t)v->pool.count, sizeof(int64_t), compare_items, &v->pool);
    for (int64_t i = 0; i < v->pool.count; i++)
        v->numbers[i] = number_of(&v->pool, texts ? 0 : v->pool.ints[i], texts ? &v->pool.texts[i] : NULL);
    return MOTET_OK;
}

/* ngram_counts[n - 1] is where the n-grams begin in the pool; ngram_indexes the column of each, in the pool's order. */
static motet_status read_grams(mt_op_context *c, vectorizer *v)
{
    size_t lengths, columns;
    void *grams;
    const int64_t *starts = mt_attr_ints(c, "ngram_counts", &lengths);
    const int64_t *indices = mt_attr_ints(c, "ngram_indexes", &columns);
    if (lengths > LONGEST) return mt_op_fail(c, MOTET_ERROR_LIMIT, "n-grams of up to %zu items", lengths);
    MT_TRY(mt_scratch_array(c, (int64_t)columns, sizeof(gram), &grams));
    v->grams = grams;
    for (size_t i = 0; i < columns; i++) {
        if (indices[i] < 0 || indices[i] > INT32_MAX)
            return mt_op_fail(c, MOTET_ERROR_FORMAT, "ngram_indexes: %" PRId64 " is no column", indices[i]);
        v->columns = mt_max(v->columns, indices[i] + 1);
    }
    for (size_t n = 0; n < lengths; n++) {
        int64_t length = (int64_t)n + 1, start = starts[n], end = n + 1 < lengths ? starts[n + 1] : v->pool.count;
        if (start < 0 || end < start || end > v->pool.count)
            return mt_op_fail(c, MOTET_ERROR_FORMAT, "ngram_counts do not fit the pool");
        for (; start + length <= end; start += length) {
            if ((size_t)v->gram_count == columns)
                return mt_op_fail(c, MOTET_ERROR_FORMAT, "more n-grams than ngram_indexes");
            v->grams[v->gram_count] = (gram){v->numbers + start, length, indices[v->gram_count]};
            v->gram_count++;
        }
    }
    if (v->gram_count) qsort(v->grams, (size_t)v->gram_count, sizeof(gram), compare_grams);
    return MOTET_OK;
}

/* --- counting ------------------------------------------------------------------------------------------------- */

static void count_gram(const vectorizer *v, const int64_t *items, int64_t length, float *row)
{
    gram wanted = {items, length, 0};
    const gram *found =
        v->gram_count ? bsearch(&wanted, v->grams, (size_t)v->gram_count, sizeof(gram), compare_grams) : NULL;
    if (found) row[found->column]++;
}

/* N-grams whose items stand `distance` apart; single items do so at any distance and are counted at the first. */
static void count_row(const vectorizer *v, const int64_t *numbers, int64_t count, float *row)
{
    for (int64_t distance = 1; distance <= v->skips + 1; distance++) {
        int64_t shortest = distance == 1 ? v->shortest : mt_max(v->shortest, 2);
        for (int64_t start = 0; start < count; start++) {
            int64_t items[LONGEST], length = 0;
            for (int64_t at = start; at < count && length < v->longest && numbers[at] >= 0; at += distance) {
                items[length++] = numbers[at];
                if (length >= shortest) count_gram(v, items, length, row);
            }
        }
        if (distance > count) break;
    }
}

static motet_status weigh(mt_op_context *c, const vectorizer *v, motet_tensor *out)
{
    const char *mode = mt_attr_string(c, "mode", "");
    size_t count;
    const float *weights = mt_attr_floats(c, "weights", &count);
    bool inverse = strcmp(mode, "IDF") == 0, both = strcmp(mode, "TFIDF") == 0;
    if (!inverse && !both && strcmp(mode, "TF"))
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "mode \"%.40s\" is not known", mode);
    if (weights && (int64_t)count < v->columns)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "%zu weights for %" PRId64 " columns", count, v->columns);
    float *values = out->data;
    for (int64_t i = 0; i < out->count; i++) {
        float weight = weights ? weights[i % v->columns] : 1;
        if (inverse) values[i] = values[i] > 0 ? weight : 0;
        if (both) values[i] *= weight;
    }
    return MOTET_OK;
}

static motet_status number_input(mt_op_context *c, const vectorizer *v, const motet_tensor *in, int64_t **out)
{
    void *numbers;
    const void *values;
    bool texts = in->type == MOTET_STRING;
    if (texts != (v->pool.texts != NULL) || (!texts && in->type != MOTET_INT32 && in->type != MOTET_INT64))
        return mt_op_fail_type(c, 0);
    MT_TRY(mt_scratch_array(c, in->count, sizeof(int64_t), &numbers));
    if (texts)
        values = in->data;
    else
        MT_TRY(mt_values(c, in, MOTET_INT64, &values));
    *out = numbers;
    for (int64_t i = 0; i < in->count; i++)
        (*out)[i] =
            number_of(&v->pool, texts ? 0 : ((const int64_t *)values)[i], texts ? (const mt_string *)values + i : NULL);
    return MOTET_OK;
}

motet_status mt_op_tf_idf_vectorizer(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *out;
    int64_t *numbers;
    vectorizer v = {.shortest = mt_attr_int(c, "min_gram_length", 1),
                    .longest = mt_attr_int(c, "max_gram_length", 1),
                    .skips = mt_attr_int(c, "max_skip_count", 0)};
    MT_TRY(mt_need(c, 0, &in));
    if (in->rank < 1 || in->rank > 2) return mt_op_fail(c, MOTET_ERROR_SHAPE, "expected an input [n] or [rows,n]");
    if (v.shortest < 1 || v.longest < v.shortest || v.longest > LONGEST || v.skips < 0 || v.skips == INT64_MAX)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "lengths from %" PRId64 " to %" PRId64 " with %" PRId64 " skips",
                          v.shortest, v.longest, v.skips);
    MT_TRY(read_pool(c, &v));
    MT_TRY(read_grams(c, &v));
    MT_TRY(number_input(c, &v, in, &numbers));
    int64_t rows = in->rank == 2 ? in->dims[0] : 1, width = in->dims[in->rank - 1], dims[2] = {rows, v.columns};
    MT_TRY(mt_out(c, 0, MOTET_FLOAT, in->rank, in->rank == 1 ? dims + 1 : dims, &out));
    memset(out->data, 0, (size_t)out->count * sizeof(float));
    for (int64_t row = 0; row < rows; row++)
        count_row(&v, numbers + row * width, width, (float *)out->data + row * v.columns);
    return weigh(c, &v, out);
}
