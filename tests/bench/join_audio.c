/* Joins recordings end to end, over and over, until SECONDS are full: join_audio [-w] OUT.flac SECONDS IN... All must
 * have one rate and one channel. With -w silence fills every round up to whole seconds. Prints the length of one round
 * in seconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sndfile.h>

enum { BLOCK = 65536 };

static SNDFILE *open_input(const char *path, SF_INFO *info)
{
    *info = (SF_INFO){0};
    SNDFILE *in = sf_open(path, SFM_READ, info);
    if (!in || info->channels != 1) {
        fprintf(stderr, "join_audio: %s: %s\n", path, in ? "not mono" : sf_strerror(NULL));
        exit(1);
    }
    return in;
}

int main(int argc, char **argv)
{
    int whole = argc > 1 && !strcmp(argv[1], "-w");
    argc -= whole;
    argv += whole;
    if (argc < 4) {
        fprintf(stderr, "usage: join_audio [-w] OUT.flac SECONDS IN...\n");
        return 2;
    }
    SF_INFO info;
    sf_close(open_input(argv[3], &info));
    SF_INFO out_info = {.samplerate = info.samplerate, .channels = 1, .format = SF_FORMAT_FLAC | SF_FORMAT_PCM_16};
    SNDFILE *out = sf_open(argv[1], SFM_WRITE, &out_info);
    if (!out) {
        fprintf(stderr, "join_audio: %s: %s\n", argv[1], sf_strerror(NULL));
        return 1;
    }
    sf_count_t wanted = (sf_count_t)(atof(argv[2]) * info.samplerate), done = 0, round = 0;
    static short block[BLOCK];
    for (int i = 3; done < wanted; i = i + 1 < argc ? i + 1 : 3) {
        SNDFILE *in = open_input(argv[i], &info);
        for (sf_count_t n; done < wanted && (n = sf_readf_short(in, block, BLOCK)) > 0; done += n) {
            if (n > wanted - done) n = wanted - done;
            if (sf_writef_short(out, block, n) != n) return 1;
        }
        sf_close(in);
        if (whole && i == argc - 1)
            for (const short silence = 0; done < wanted && done % out_info.samplerate; done++)
                if (sf_writef_short(out, &silence, 1) != 1) return 1;
        if (i == argc - 1 && !round) round = done;
    }
    sf_close(out);
    printf("%.6f\n", (double)round / out_info.samplerate);
    return 0;
}
