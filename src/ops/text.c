/* Operators on strings, which are UTF-8: StringConcat, StringSplit, StringNormalizer, RegexFullMatch. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <inttypes.h>
#include <locale.h>
#include <pcre2.h>
#include <string.h>
#include <wctype.h>

#include "ops/support.h"

static motet_status need_text(mt_op_context *c, int i, const motet_tensor **out)
{
    MT_TRY(mt_need(c, i, out));
    return (*out)->type == MOTET_STRING ? MOTET_OK : mt_op_fail_type(c, i);
}

/* --- StringConcat --------------------------------------------------------------------------------------------- */

typedef struct concat_work {
    const motet_tensor *a, *b;
    motet_tensor *out;
    motet_status status;
} concat_work;

static motet_status join_two(motet_tensor *out, int64_t at, const mt_string *a, const mt_string *b)
{
    char *joined = mt_alloc(a->length + b->length + 1);
    if (!joined) return mt_fail_memory(a->length + b->length);
    if (a->length) memcpy(joined, a->bytes, a->length);
    if (b->length) memcpy(joined + a->length, b->bytes, b->length);
    joined[a->length + b->length] = '\0';
    ((mt_string *)out->data)[at] = (mt_string){joined, a->length + b->length};
    return MOTET_OK;
}

static void concat_row(void *context, int64_t at, const int64_t *from, const int64_t *steps, int64_t n)
{
    concat_work *w = context;
    for (int64_t i = 0; i < n && w->status == MOTET_OK; i++)
        w->status = join_two(w->out, at + i, (const mt_string *)w->a->data + from[0] + i * steps[0],
                             (const mt_string *)w->b->data + from[1] + i * steps[1]);
}

motet_status mt_op_string_concat(mt_op_context *c)
{
    concat_work w = {0};
    mt_broadcast plan;
    MT_TRY(need_text(c, 0, &w.a));
    MT_TRY(need_text(c, 1, &w.b));
    MT_TRY(mt_broadcast_plan(c, (const motet_tensor *[]){w.a, w.b}, 2, &plan));
    MT_TRY(mt_out(c, 0, MOTET_STRING, plan.rank, plan.dims, &w.out));
    mt_broadcast_rows(NULL, &plan, concat_row, &w);
    return w.status;
}

/* --- StringSplit ---------------------------------------------------------------------------------------------- */

/* A walk over the parts of a string: between delimiters, or without one between runs of white space. */
typedef struct splitter {
    const char *delimiter;
    size_t delimiter_length;
    int64_t most; /* parts; the last one is all that is left */
} splitter;

static bool is_space(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* The part that begins at *at; false when there is none. *at ends behind it, or at NULL. */
static bool next_part(const splitter *s, const char **at, const char *end, bool last, mt_string *part)
{
    const char *from = *at, *to;
    if (!from) return false;
    if (s->delimiter_length == 0) {
        while (from < end && is_space(*from)) from++;
        if (from == end) return false;
        for (to = from; to < end && (last || !is_space(*to));) to++;
        *at = to;
    } else {
        to = last ? NULL : memmem(from, (size_t)(end - from), s->delimiter, s->delimiter_length);
        *at = to ? to + s->delimiter_length : NULL;
        if (!to) to = end;
    }
    *part = (mt_string){(char *)(uintptr_t)from, (size_t)(to - from)};
    return true;
}

/* Splits one string; stores its parts at `to` unless that is NULL. */
static motet_status split_one(const splitter *s, const mt_string *text, motet_tensor *out, int64_t to, int64_t *count)
{
    const char *at = text->bytes ? text->bytes : "", *end = at + text->length;
    mt_string part;
    for (*count = 0; next_part(s, &at, end, *count + 1 == s->most, &part); ++*count)
        if (out) MT_TRY(motet_tensor_set_string(out, to + *count, part.bytes, part.length));
    return MOTET_OK;
}

motet_status mt_op_string_split(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *out, *counts;
    splitter s = {.delimiter = mt_attr_string(c, "delimiter", ""), .most = INT64_MAX};
    int64_t dims[MOTET_MAX_RANK + 1], most = 0, again;
    s.delimiter_length = strlen(s.delimiter);
    MT_TRY(need_text(c, 0, &in));
    if (mt_has_attr(c, "maxsplit") && mt_attr_int(c, "maxsplit", 0) >= 0)
        s.most = mt_min(mt_attr_int(c, "maxsplit", 0), INT64_MAX - 1) + 1;
    MT_TRY(mt_out(c, 1, MOTET_INT64, in->rank, in->dims, &counts));
    int64_t *parts = counts->data;
    const mt_string *texts = in->data;
    for (int64_t i = 0; i < in->count; i++) {
        MT_TRY(split_one(&s, &texts[i], NULL, 0, &parts[i]));
        most = mt_max(most, parts[i]);
    }
    memcpy(dims, in->dims, sizeof in->dims);
    dims[in->rank] = most;
    MT_TRY(mt_out(c, 0, MOTET_STRING, in->rank + 1, dims, &out));
    for (int64_t i = 0; i < in->count; i++) MT_TRY(split_one(&s, &texts[i], out, i * most, &again));
    return MOTET_OK;
}

/* --- StringNormalizer ----------------------------------------------------------------------------------------- */

/* The character at *at, which moves behind it; what is no UTF-8 counts as one byte, negative. */
static int32_t read_character(const unsigned char **at, const unsigned char *end)
{
    static const unsigned least[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *from = *at;
    int more = *from < 0x80 ? 0 : *from >> 5 == 6 ? 1 : *from >> 4 == 14 ? 2 : *from >> 3 == 30 ? 3 : -1;
    unsigned value = more > 0 ? *from & (0x3fu >> more) : *from;
    *at = from + 1;
    if (more < 0 || end - from <= more) return -(int32_t)*from;
    for (int k = 1; k <= more; k++) {
        if (from[k] >> 6 != 2) return -(int32_t)*from;
        value = value << 6 | (from[k] & 0x3fu);
    }
    if (value < least[more] || value > 0x10ffff) return -(int32_t)*from;
    *at = from + 1 + more;
    return (int32_t)value;
}

static size_t write_character(int32_t value, unsigned char *to)
{
    if (value < 0x80) {
        to[0] = (unsigned char)(value < 0 ? -value : value);
        return 1;
    }
    int more = value < 0x800 ? 1 : value < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    for (int k = more; k > 0; k--, value >>= 6) to[k] = (unsigned char)(0x80 | (value & 0x3f));
    to[0] = (unsigned char)(lead[more] | value);
    return (size_t)more + 1;
}

typedef enum letter_case { AS_IT_IS, LOWER, UPPER } letter_case;

/* A copy in another case, to be freed; a character may grow from one byte of it to four. */
static motet_status change_case(const mt_string *text, letter_case wanted, locale_t locale, mt_string *out)
{
    enum { GROWTH = 4 };
    size_t room;
    unsigned char *to = mt_mul(text->length, GROWTH, &room) ? mt_alloc(room + 1) : NULL;
    if (!to) return mt_fail_memory(text->length);
    const unsigned char *at = (const unsigned char *)text->bytes, *end = at + text->length;
    size_t used = 0;
    while (text->length && at < end) {
        int32_t character = read_character(&at, end);
        if (character >= 0 && wanted == LOWER) character = (int32_t)towlower_l((wint_t)character, locale);
        if (character >= 0 && wanted == UPPER) character = (int32_t)towupper_l((wint_t)character, locale);
        used += write_character(character, to + used);
    }
    to[used] = '\0';
    *out = (mt_string){(char *)to, used};
    return MOTET_OK;
}

typedef struct normalizer {
    letter_case wanted, compared; /* compared: AS_IT_IS where case matters for stop words */
    const mt_string *stops;
    mt_string *folded; /* the stop words as they are compared */
    size_t stop_count, folded_count;
    locale_t locale;
} normalizer;

static bool is_stop_word(const normalizer *n, const mt_string *text)
{
    for (size_t i = 0; i < n->folded_count; i++)
        if (n->folded[i].length == text->length && memcmp(n->folded[i].bytes, text->bytes, text->length) == 0)
            return true;
    return false;
}

/* Puts every string that is no stop word, in its new case, into the front of `out`. */
static motet_status normalize_all(normalizer *n, const motet_tensor *in, mt_string *kept, int64_t *count)
{
    for (; n->folded_count < n->stop_count; n->folded_count++)
        MT_TRY(change_case(&n->stops[n->folded_count], n->compared, n->locale, &n->folded[n->folded_count]));
    for (int64_t i = 0; i < in->count; i++) {
        mt_string folded;
        const mt_string *text = (const mt_string *)in->data + i;
        MT_TRY(change_case(text, n->compared, n->locale, &folded));
        bool stop = is_stop_word(n, &folded);
        mt_free(folded.bytes);
        if (!stop) MT_TRY(change_case(text, n->wanted, n->locale, &kept[*count]));
        *count += !stop;
    }
    return MOTET_OK;
}

/* [n], or [1, n]; of nothing one empty string is left. */
static motet_status put_kept(mt_op_context *c, const motet_tensor *in, mt_string *kept, int64_t count)
{
    motet_tensor *out;
    int64_t dims[2] = {1, mt_max(count, 1)};
    MT_TRY(mt_out(c, 0, MOTET_STRING, in->rank, in->rank == 1 ? dims + 1 : dims, &out));
    for (int64_t i = 0; i < count; i++) {
        ((mt_string *)out->data)[i] = kept[i];
        kept[i] = (mt_string){0};
    }
    return MOTET_OK;
}

static motet_status read_case(mt_op_context *c, const char *text, letter_case *out)
{
    *out = strcmp(text, "LOWER") == 0 ? LOWER : strcmp(text, "UPPER") == 0 ? UPPER : AS_IT_IS;
    if (*out != AS_IT_IS || strcmp(text, "NONE") == 0) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "case_change_action \"%.40s\" is not known", text);
}

/* The attribute "locale" is not looked at: letters have their cases by Unicode, wherever the program runs. */
motet_status mt_op_string_normalizer(mt_op_context *c)
{
    const motet_tensor *in;
    normalizer n = {0};
    void *kept, *folded;
    int64_t count = 0;
    MT_TRY(need_text(c, 0, &in));
    if (in->rank < 1 || in->rank > 2 || (in->rank == 2 && in->dims[0] != 1))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "expected strings [n] or [1,n]");
    MT_TRY(read_case(c, mt_attr_string(c, "case_change_action", "NONE"), &n.wanted));
    n.compared = mt_attr_int(c, "is_case_sensitive", 0) ? AS_IT_IS : LOWER;
    n.stops = mt_attr_strings(c, "stopwords", &n.stop_count);
    MT_TRY(mt_scratch_array(c, in->count, sizeof(mt_string), &kept));
    MT_TRY(mt_scratch_array(c, (int64_t)n.stop_count, sizeof(mt_string), &folded));
    n.folded = folded;
    n.locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (!n.locale) return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "the system has no locale C.UTF-8");
    motet_status status = normalize_all(&n, in, kept, &count);
    if (status == MOTET_OK) status = put_kept(c, in, kept, count);
    for (int64_t i = 0; i < count; i++) mt_free(((mt_string *)kept)[i].bytes);
    for (size_t i = 0; i < n.folded_count; i++) mt_free(n.folded[i].bytes);
    freelocale(n.locale);
    return status;
}

/* --- RegexFullMatch ------------------------------------------------------------------------------------------- */

/* Patterns come with the model: matching gives up rather than take its time (RE2, which the standard names, is linear
 * in the text; PCRE2 is not, for some patterns). */
enum { MATCH_LIMIT = 10000000, DEPTH_LIMIT = 100000, HEAP_LIMIT_KB = 65536 };

static motet_status match_all(mt_op_context *c, pcre2_code *code, pcre2_match_context *limits, const motet_tensor *in,
                              uint8_t *out)
{
    pcre2_match_data *found = pcre2_match_data_create(1, NULL);
    motet_status status = found ? MOTET_OK : mt_fail_memory(sizeof(uint64_t));
    for (int64_t i = 0; i < in->count && status == MOTET_OK; i++) {
        size_t length;
        const char *text = motet_tensor_string(in, i, &length);
        int result = pcre2_match(code, (PCRE2_SPTR)text, length, 0, 0, found, limits);
        if (result < 0 && result != PCRE2_ERROR_NOMATCH)
            status = mt_op_fail(c, MOTET_ERROR_LIMIT, "string %" PRId64 ": matching failed (%d)", i, result);
        out[i] = result >= 0;
    }
    pcre2_match_data_free(found);
    return status;
}

motet_status mt_op_regex_full_match(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *out;
    const char *pattern = mt_attr_string(c, "pattern", NULL);
    int error;
    size_t offset;
    MT_TRY(need_text(c, 0, &in));
    if (!pattern) return mt_op_fail(c, MOTET_ERROR_FORMAT, "the pattern is missing");
    MT_TRY(mt_out(c, 0, MOTET_BOOL, in->rank, in->dims, &out));
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                      PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED, &error, &offset, NULL);
    if (!code)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "the pattern \"%.80s\" goes wrong at byte %zu (%d)", pattern, offset,
                          error);
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    motet_status status = limits ? MOTET_OK : mt_fail_memory(sizeof(uint64_t));
    if (limits) {
        pcre2_set_match_limit(limits, MATCH_LIMIT);
        pcre2_set_depth_limit(limits, DEPTH_LIMIT);
        pcre2_set_heap_limit(limits, HEAP_LIMIT_KB);
        status = match_all(c, code, limits, in, out->data);
    }
    pcre2_match_context_free(limits);
    pcre2_code_free(code);
    return status;
}
