/* All in double and in logarithms, so that speakers may die out without anything underflowing. The transition matrix is
 * a multiple of the identity plus a matrix of one row (1), so that a step of the forward and backward recursions takes
 * time in proportion to the speakers and not to their square. */
#include "diarize/vbx.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/memory.h"

enum { SUBSETS = 1 << MT_VBX_MAX_WINDOW };

typedef struct state {
    const mt_vbx_voices *voices;
    const mt_vbx_rules *rules;
    size_t count, dims, speakers;
    double *gamma;         /* count x speakers: how probable it is that voice t is speaker s's */
    double *fit;           /* count x speakers: (23) */
    double *ahead, *after; /* count x speakers: logarithms of forward and backward (20), (21) */
    double *prior, *claim; /* speakers: pi, and what it is to become */
    double *alpha, *inv_l; /* speakers x dims: (16), (17) */
    double *root, *toward; /* dims: of psi (18); of a speaker */
    double *subsets;       /* of a window's voices, see below */
} state;

static double add_logs(double a, double b)
{
    double most = a > b ? a : b;
    return most == -INFINITY ? most : most + log(exp(a - most) + exp(b - most));
}

static double sum_logs(const double *logs, size_t count)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++)
        if (logs[i] > most) most = logs[i];
    if (most == -INFINITY) return most;
    for (size_t i = 0; i < count; i++) sum += exp(logs[i] - most);
    return most + log(sum);
}

/* --- where the speakers are ------------------------------------------------------------------------------------ */

static double weight_of(const state *s, size_t voice)
{
    return s->voices->weights ? (double)s->voices->weights[voice] : 1;
}

static void place_speakers(state *s)
{
    double ratio = s->rules->fa / s->rules->fb;
    memset(s->alpha, 0, s->speakers * s->dims * sizeof *s->alpha);
    for (size_t k = 0; k < s->speakers; k++) {
        double *alpha = s->alpha + k * s->dims, *inv_l = s->inv_l + k * s->dims, voices = 0;
        for (size_t t = 0; t < s->count; t++) {
            const float *place = s->voices->places + t * s->dims;
            double share = s->gamma[t * s->speakers + k] * weight_of(s, t);
            voices += share;
            if (share < 1e-12) continue;
            for (size_t d = 0; d < s->dims; d++) alpha[d] += share * (double)place[d];
        }
        for (size_t d = 0; d < s->dims; d++) {
            inv_l[d] = 1 / (1 + ratio * voices * s->root[d] * s->root[d]); /* (17) */
            alpha[d] *= ratio * inv_l[d] * s->root[d];                     /* (16) */
        }
    }
}

/* Eight partial sums, as in mt_dot. */
static double dot(const double *a, const float *b, size_t n)
{
    enum { LANES = 8 };
    double partial[LANES] = {0}, rest = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++) partial[lane] += a[i + lane] * (double)b[i + lane];
    for (; i < n; i++) rest += a[i] * (double)b[i];
    for (size_t lane = 0; lane < LANES; lane++) rest += partial[lane];
    return rest;
}

/* How well each voice fits each speaker (23), without what is the same for all speakers. */
static void fit_voices(state *s)
{
    for (size_t k = 0; k < s->speakers; k++) {
        double *alpha = s->alpha + k * s->dims, *inv_l = s->inv_l + k * s->dims, own = 0;
        for (size_t d = 0; d < s->dims; d++) {
            own += s->root[d] * s->root[d] * (inv_l[d] + alpha[d] * alpha[d]);
            s->toward[d] = s->root[d] * alpha[d];
        }
        for (size_t t = 0; t < s->count; t++) {
            double match = dot(s->toward, s->voices->places + t * s->dims, s->dims) - own / 2;
            s->fit[t * s->speakers + k] = s->rules->fa * weight_of(s, t) * match;
        }
    }
}

/* What the speakers cost: the divergence of their places from the prior, in (25). */
static double cost_of_speakers(const state *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->speakers * s->dims; i++)
        sum += log(s->inv_l[i]) - s->inv_l[i] - s->alpha[i] * s->alpha[i] + 1;
    return -s->rules->fb * sum / 2;
}

/* --- who the voices are: a sequence ---------------------------------------------------------------------------- */

static void recur_forward(state *s)
{
    double stay = log(s->rules->loop), leave = log1p(-s->rules->loop);
    for (size_t k = 0; k < s->speakers; k++) s->ahead[k] = log(s->prior[k]) + s->fit[k];
    for (size_t t = 1; t < s->count; t++) {
        const double *before = s->ahead + (t - 1) * s->speakers;
        double all = leave + sum_logs(before, s->speakers);
        for (size_t k = 0; k < s->speakers; k++)
            s->ahead[t * s->speakers + k] =
                s->fit[t * s->speakers + k] + add_logs(stay + before[k], all + log(s->prior[k]));
    }
}

static void recur_backward(state *s)
{
    double stay = log(s->rules->loop), leave = log1p(-s->rules->loop);
    for (size_t k = 0; k < s->speakers; k++) s->after[(s->count - 1) * s->speakers + k] = 0;
    for (size_t t = s->count - 1; t-- > 0;) {
        const double *fit = s->fit + (t + 1) * s->speakers, *after = s->after + (t + 1) * s->speakers;
        for (size_t k = 0; k < s->speakers; k++) s->claim[k] = log(s->prior[k]) + fit[k] + after[k];
        double all = leave + sum_logs(s->claim, s->speakers);
        for (size_t k = 0; k < s->speakers; k++)
            s->after[t * s->speakers + k] = add_logs(stay + fit[k] + after[k], all);
    }
}

/* (19), and how often each speaker was chosen anew (24). Returns (22). */
static double label_sequence(state *s)
{
    recur_forward(s);
    recur_backward(s);
    double total = sum_logs(s->ahead + (s->count - 1) * s->speakers, s->speakers);
    double leave = log1p(-s->rules->loop), before = 0;
    for (size_t k = 0; k < s->speakers; k++) s->claim[k] = 0;
    for (size_t t = 0; t < s->count; t++) {
        for (size_t k = 0; k < s->speakers; k++) {
            size_t at = t * s->speakers + k;
            double entered = leave + before + log(s->prior[k]) + s->fit[at] + s->after[at] - total;
            s->gamma[at] = exp(s->ahead[at] + s->after[at] - total);
            s->claim[k] += t ? exp(entered) : s->gamma[at];
        }
        before = sum_logs(s->ahead + t * s->speakers, s->speakers);
    }
    return total;
}

/* --- who the voices are: windows ------------------------------------------------------------------------------- */

/* Speakers are gone through one by one, and each takes a set of the window's voices: none, one, or with a factor of
 * `same` for each beyond the first, several. Row k of `upto` is the sum over all ways in which the first k speakers
 * have taken exactly the voices of a set; `from` is the same for the speakers from k on and the voices outside the set.
 */
typedef struct window_sums {
    int voices, sets;
    double *upto, *from; /* speakers + 1 rows of sets */
    double *taken;       /* speakers rows of sets: the weight of that choice */
} window_sums;

static void weigh_choices(const state *s, window_sums *w, const double *odds)
{
    for (size_t k = 0; k < s->speakers; k++) {
        double *taken = w->taken + k * (size_t)w->sets;
        taken[0] = 1;
        for (int set = 1; set < w->sets; set++) {
            int voice = __builtin_ctz((unsigned)set), rest = set & (set - 1);
            taken[set] = taken[rest] * odds[(size_t)voice * s->speakers + k] * (rest ? s->rules->same : 1);
        }
    }
}

static double sum_choices(const state *s, window_sums *w)
{
    size_t sets = (size_t)w->sets, speakers = s->speakers;
    memset(w->upto, 0, (speakers + 1) * sets * sizeof(double));
    memset(w->from, 0, (speakers + 1) * sets * sizeof(double));
    w->upto[0] = w->from[speakers * sets + sets - 1] = 1;
    for (size_t k = 0; k < speakers; k++)
        for (size_t had = 0; had < sets; had++)
            for (size_t free = sets - 1 - had, set = free;; set = (set - 1) & free) { /* every subset of the rest */
                w->upto[(k + 1) * sets + had + set] += w->upto[k * sets + had] * w->taken[k * sets + set];
                if (!set) break;
            }
    for (size_t k = speakers; k-- > 0;)
        for (size_t had = 0; had < sets; had++)
            for (size_t free = sets - 1 - had, set = free;; set = (set - 1) & free) {
                w->from[k * sets + had] += w->taken[k * sets + set] * w->from[(k + 1) * sets + had + set];
                if (!set) break;
            }
    return w->upto[speakers * sets + sets - 1];
}

/* gamma of the window that begins with voice `first`; returns the logarithm of its likelihood. odds: MAX_WINDOW x
 * speakers of room. */
static double label_window(state *s, window_sums *w, size_t first, double *odds)
{
    double scale = 0;
    for (int v = 0; v < w->voices; v++) {
        double *row = odds + (size_t)v * s->speakers, most = -INFINITY;
        for (size_t k = 0; k < s->speakers; k++) {
            row[k] = log(s->prior[k]) + s->fit[(first + (size_t)v) * s->speakers + k];
            if (row[k] > most) most = row[k];
        }
        for (size_t k = 0; k < s->speakers; k++) row[k] = exp(row[k] - most);
        scale += most;
    }
    weigh_choices(s, w, odds);
    double total = sum_choices(s, w);
    size_t sets = (size_t)w->sets;
    for (size_t k = 0; k < s->speakers; k++)
        for (size_t had = 0; had < sets; had++)
            for (size_t free = sets - 1 - had, set = free; set; set = (set - 1) & free) {
                double share = w->upto[k * sets + had] * w->taken[k * sets + set] * w->from[(k + 1) * sets + had + set];
                for (size_t v = 0; v < (size_t)w->voices; v++)
                    if (set >> v & 1) s->gamma[(first + v) * s->speakers + k] += share / total;
            }
    return scale + log(total);
}

/* What the same window's sum is before anything is heard: the factors of `same` do not add up to 1. */
static double expected_of_window(state *s, window_sums *w, double *odds)
{
    for (int v = 0; v < w->voices; v++) memcpy(odds + (size_t)v * s->speakers, s->prior, s->speakers * sizeof *odds);
    weigh_choices(s, w, odds);
    return log(sum_choices(s, w));
}

static size_t end_of_window(const state *s, size_t first)
{
    size_t end = first + 1;
    while (end < s->count && s->voices->windows[end] == s->voices->windows[first]) end++;
    return end;
}

static double label_windows(state *s)
{
    double total = 0, expected[MT_VBX_MAX_WINDOW + 1], *odds = s->ahead;
    bool known[MT_VBX_MAX_WINDOW + 1] = {false};
    memset(s->gamma, 0, s->count * s->speakers * sizeof *s->gamma);
    for (size_t first = 0, end; first < s->count; first = end) {
        end = end_of_window(s, first);
        int voices = (int)(end - first);
        size_t rows = (s->speakers + 1) * SUBSETS;
        window_sums w = {voices, 1 << voices, s->subsets, s->subsets + rows, s->subsets + 2 * rows};
        if (!known[voices]) expected[voices] = expected_of_window(s, &w, odds);
        known[voices] = true;
        total += label_window(s, &w, first, odds) - expected[voices];
    }
    for (size_t k = 0; k < s->speakers; k++) {
        s->claim[k] = 0;
        for (size_t t = 0; t < s->count; t++) s->claim[k] += s->gamma[t * s->speakers + k];
    }
    return total;
}

/* --- rounds ---------------------------------------------------------------------------------------------------- */

static motet_status check(const mt_vbx_voices *voices, const mt_vbx_rules *rules, const int *labels, int speakers)
{
    if (!(rules->fa > 0) || !(rules->fb > 0) || !(rules->loop >= 0 && rules->loop < 1) || !(rules->same > 0))
        return mt_fail(MOTET_ERROR_ARGUMENT,
                       "VBx: Fa %g, Fb %g, loop %g, same %g: expected values above 0, loop below 1", rules->fa,
                       rules->fb, rules->loop, rules->same);
    for (int t = 0; t < voices->count; t++)
        if (labels[t] < 0 || labels[t] >= speakers)
            return mt_fail(MOTET_ERROR_ARGUMENT, "VBx: voice %d has label %d of %d", t, labels[t], speakers);
    for (int t = MT_VBX_MAX_WINDOW; voices->windows && t < voices->count; t++)
        if (voices->windows[t] == voices->windows[t - MT_VBX_MAX_WINDOW])
            return mt_fail(MOTET_ERROR_ARGUMENT, "VBx: more than %d voices in window %d", MT_VBX_MAX_WINDOW,
                           voices->windows[t]);
    return MOTET_OK;
}

static void free_state(state *s)
{
    mt_free(s->gamma);
    mt_free(s->fit);
    mt_free(s->ahead);
    mt_free(s->after);
    mt_free(s->prior);
    mt_free(s->claim);
    mt_free(s->alpha);
    mt_free(s->inv_l);
    mt_free(s->root);
    mt_free(s->toward);
    mt_free(s->subsets);
}

/* A window's odds borrow the room of `ahead`. */
static motet_status make_state(state *s, const mt_vbx_voices *voices, const mt_vbx_rules *rules, int speakers)
{
    size_t count = (size_t)voices->count, k = (size_t)speakers, dims = (size_t)voices->dims, cells, places;
    if (!mt_mul(count > MT_VBX_MAX_WINDOW ? count : MT_VBX_MAX_WINDOW, k, &cells) || !mt_mul(k, dims, &places))
        return mt_fail_memory(SIZE_MAX);
    *s = (state){.voices = voices,
                 .rules = rules,
                 .count = count,
                 .dims = dims,
                 .speakers = k,
                 .gamma = mt_alloc_array(cells, sizeof(double)),
                 .fit = mt_alloc_array(cells, sizeof(double)),
                 .ahead = mt_alloc_array(cells, sizeof(double)),
                 .after = mt_alloc_array(cells, sizeof(double)),
                 .prior = mt_alloc_array(k, sizeof(double)),
                 .claim = mt_alloc_array(k, sizeof(double)),
                 .alpha = mt_alloc_array(places, sizeof(double)),
                 .inv_l = mt_alloc_array(places, sizeof(double)),
                 .root = mt_alloc_array(dims, sizeof(double)),
                 .toward = mt_alloc_array(dims, sizeof(double)),
                 .subsets = voices->windows ? mt_alloc_array(3 * (k + 1), SUBSETS * sizeof(double)) : NULL};
    if (!s->gamma || !s->fit || !s->ahead || !s->after || !s->prior || !s->claim || !s->alpha || !s->inv_l ||
        !s->root || !s->toward || (voices->windows && !s->subsets)) {
        free_state(s);
        return mt_fail_memory(4 * cells * sizeof(double));
    }
    for (size_t d = 0; d < dims; d++) s->root[d] = sqrt((double)voices->psi[d]);
    return MOTET_OK;
}

static void take_labels(state *s, const int *labels)
{
    double other = 1 / (exp(s->rules->smoothing) + (double)s->speakers - 1);
    for (size_t t = 0; t < s->count; t++)
        for (size_t k = 0; k < s->speakers; k++)
            s->gamma[t * s->speakers + k] = (size_t)labels[t] == k ? other * exp(s->rules->smoothing) : other;
    for (size_t k = 0; k < s->speakers; k++) s->prior[k] = 1 / (double)s->speakers;
}

/* One round; returns the evidence (25). */
static double improve(state *s)
{
    place_speakers(s);
    fit_voices(s);
    double evidence = (s->voices->windows ? label_windows(s) : label_sequence(s)) - cost_of_speakers(s), all = 0;
    for (size_t k = 0; k < s->speakers; k++) all += s->claim[k];
    for (size_t k = 0; k < s->speakers; k++) s->prior[k] = s->claim[k] / all;
    return evidence;
}

/* The likeliest speakers, numbered as they appear. names: room for as many as there are speakers. */
static int give_labels(const state *s, int *labels, int *names)
{
    int used = 0;
    for (size_t k = 0; k < s->speakers; k++) names[k] = -1;
    for (size_t t = 0; t < s->count; t++) {
        const double *row = s->gamma + t * s->speakers;
        size_t best = 0;
        for (size_t k = 1; k < s->speakers; k++)
            if (row[k] > row[best]) best = k;
        if (names[best] < 0) names[best] = used++;
        labels[t] = names[best];
    }
    return used;
}

motet_status mt_vbx(const mt_vbx_voices *voices, const mt_vbx_rules *rules, int *labels, int *speakers,
                    double *evidence)
{
    if (evidence) *evidence = 0;
    if (voices->count == 0) {
        *speakers = 0;
        return MOTET_OK;
    }
    MT_TRY(check(voices, rules, labels, *speakers));
    int *names = mt_alloc_array((size_t)*speakers, sizeof *names);
    state s;
    motet_status status =
        names ? make_state(&s, voices, rules, *speakers) : mt_fail_memory((size_t)*speakers * sizeof *names);
    if (status == MOTET_OK) {
        take_labels(&s, labels);
        double before = -INFINITY, now = 0;
        for (int round = 0; round < rules->rounds; round++, before = now) {
            now = improve(&s);
            if (now - before < rules->epsilon) break;
        }
        *speakers = give_labels(&s, labels, names);
        if (evidence) *evidence = now;
        free_state(&s);
    }
    mt_free(names);
    return status;
}
