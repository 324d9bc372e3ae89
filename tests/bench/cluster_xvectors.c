/* Clusters a meeting's x-vectors and prints the turns as RTTM: cluster_xvectors FOLDER NAME ahc|vbx CLUSTERS
 *
 * ahc: the dendrogram cut into so many clusters. vbx: what VBx makes of them. Its settings are those of the published
 * example (BUTSpeechFIT/VBx run_example.sh: Fa 0.3, Fb 17, loop 0.99, smoothing 7), so that nothing is chosen on the
 * meeting that is scored. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/xvectors.h"
#include "core/memory.h"
#include "diarize/vbx.h"

static const mt_vbx_rules rules = {
    .fa = 0.3, .fb = 17, .loop = 0.99, .smoothing = 7, .same = 1, .epsilon = 1e-6, .rounds = 40};

/* The unit vectors of all into `points`, their places into `places`. */
static motet_status map_vectors(const xvectors *x, mt_points *points, float *places)
{
    size_t dims = (size_t)x->plda.dims;
    float *unit = mt_alloc_array(dims, sizeof *unit);
    motet_status status = unit ? MOTET_OK : mt_fail_memory(dims * sizeof *unit);
    for (int i = 0; i < x->count && status == MOTET_OK; i++) {
        mt_plda_reduce(&x->plda, x->vectors + (size_t)i * (size_t)x->dims, unit);
        mt_plda_project(&x->plda, unit, places + (size_t)i * dims);
        status = mt_points_add(points, unit, 1);
    }
    mt_free(unit);
    return status;
}

static motet_status cluster(const xvectors *x, bool vbx, int clusters, mt_merge *merges, float *places, int *labels)
{
    mt_points points = {.dims = x->plda.dims};
    mt_vbx_voices voices = {.count = x->count, .dims = x->plda.dims, .places = places, .psi = x->plda.psi};
    motet_status status = map_vectors(x, &points, places);
    if (status == MOTET_OK) status = mt_agglomerate(&points, merges);
    if (status == MOTET_OK) mt_cut(merges, x->count - clusters, x->count, labels, &clusters);
    if (status == MOTET_OK && vbx) status = mt_vbx(&voices, &rules, labels, &clusters, NULL);
    mt_points_free(&points);
    return status;
}

/* Segments that touch or overlap and have one label are one turn; where labels differ, the overlap is halved. */
static void print_turns(const xvectors *x, const char *name, const int *labels)
{
    double start = x->start[0];
    for (int i = 0; i < x->count; i++) {
        double end = x->end[i], next = end;
        bool last = i + 1 == x->count, touch = !last && x->start[i + 1] <= end + 1e-6;
        if (touch && labels[i + 1] == labels[i]) continue;
        if (touch) end = next = (end + x->start[i + 1]) / 2;
        printf("SPEAKER %s 1 %.6f %.6f <NA> <NA> %d <NA> <NA>\n", name, start, end - start, labels[i] + 1);
        start = touch ? next : last ? 0 : x->start[i + 1];
    }
}

int main(int argc, char **argv)
{
    bool vbx = argc == 5 && !strcmp(argv[3], "vbx"), ahc = argc == 5 && !strcmp(argv[3], "ahc");
    int clusters = vbx || ahc ? atoi(argv[4]) : 0;
    if (clusters < 1) {
        fprintf(stderr, "usage: cluster_xvectors FOLDER NAME ahc|vbx CLUSTERS\n");
        return 2;
    }
    xvectors x;
    if (xvectors_read(argv[1], argv[2], &x) != MOTET_OK) {
        fprintf(stderr, "cluster_xvectors: %s\n", motet_error_message());
        return 1;
    }
    size_t count = (size_t)x.count;
    mt_merge *merges = mt_alloc_array(count, sizeof *merges);
    float *places = mt_alloc_array(count * (size_t)x.plda.dims, sizeof *places);
    int *labels = mt_alloc_array(count, sizeof *labels), code = 0;
    if (clusters > x.count) clusters = x.count;
    if (!merges || !places || !labels || cluster(&x, vbx, clusters, merges, places, labels) != MOTET_OK) {
        fprintf(stderr, "cluster_xvectors: %s\n", motet_error_message());
        code = 1;
    } else {
        print_turns(&x, argv[2], labels);
    }
    mt_free(merges);
    mt_free(places);
    mt_free(labels);
    xvectors_free(&x);
    return code;
}
