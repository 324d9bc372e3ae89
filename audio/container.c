/* libsndfile quietly shortens a sound to the bytes that are there, so whether a file was cut off has to be read from
 * its chunks. It also cannot read a WAVE whose length is unknown: ffmpeg, sox and arecord write into a pipe before they
 * know it and leave 0, 0xffffffff or nearly 2 GiB in the header. So this walks the chunks of RIFF WAVE (EA IFF 85,
 * little or big endian; Multimedia Programming Interface 1.0, 1991) and AIFF up to the sound, and finds the last page
 * of an Ogg file (RFC 3533, section 6). */
#include "audio/container.h"

#include <sndfile.h>
#include <string.h>

enum {
    MOST_CHUNKS = 1000,
    OPEN_LENGTH = 0x7fff0000, /* lengths from here on stand for "unknown" */
    FORMAT_BYTES = 40,        /* of WAVEFORMATEXTENSIBLE */
    PLAIN_FORMAT_BYTES = 16,  /* of PCMWAVEFORMAT */
    WAVE_PCM = 1,
    WAVE_FLOAT = 3,
    WAVE_ALAW = 6,
    WAVE_ULAW = 7,
    WAVE_EXTENSIBLE = 0xfffe,
    AIFF_BEFORE_SOUND = 8, /* offset and block size, which count as part of the chunk */
    OGG_HEADER_BYTES = 27,
    OGG_LAST_PAGE = 4,
    OGG_LONGEST_PAGE = 65307,
};

static uint32_t number(const unsigned char *bytes, int count, bool big_endian)
{
    uint32_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | bytes[big_endian ? i : count - 1 - i];
    return value;
}

static int encoding_of(unsigned tag, unsigned bits)
{
    switch (tag << 16 | bits) {
    case WAVE_PCM << 16 | 8: return SF_FORMAT_PCM_U8;
    case WAVE_PCM << 16 | 16: return SF_FORMAT_PCM_16;
    case WAVE_PCM << 16 | 24: return SF_FORMAT_PCM_24;
    case WAVE_PCM << 16 | 32: return SF_FORMAT_PCM_32;
    case WAVE_FLOAT << 16 | 32: return SF_FORMAT_FLOAT;
    case WAVE_FLOAT << 16 | 64: return SF_FORMAT_DOUBLE;
    case WAVE_ALAW << 16 | 8: return SF_FORMAT_ALAW;
    case WAVE_ULAW << 16 | 8: return SF_FORMAT_ULAW;
    default: return 0;
    }
}

static void read_format(mt_source *source, int64_t offset, uint32_t length, mt_container *out)
{
    unsigned char format[FORMAT_BYTES];
    size_t got = mt_source_read(source, offset, format, length < FORMAT_BYTES ? length : FORMAT_BYTES);
    if (got < PLAIN_FORMAT_BYTES) return;
    bool big = out->big_endian;
    unsigned tag = number(format, 2, big), bits = number(format + 14, 2, big);
    unsigned channels = number(format + 2, 2, big), block = number(format + 12, 2, big);
    if (tag == WAVE_EXTENSIBLE && got == FORMAT_BYTES) tag = number(format + 24, 2, big);
    out->rate = (int)(number(format + 4, 4, big) & INT32_MAX);
    out->channels = (int)channels;
    out->encoding = block == channels * bits / 8 ? encoding_of(tag, bits) : 0;
}

/* An unfinished header has no length of sound, nor chunks behind it; a finished empty one may have them. */
static bool left_open(uint32_t length, uint32_t whole, int64_t offset)
{
    return length >= OPEN_LENGTH || (length == 0 && (whole >= OPEN_LENGTH || (int64_t)whole + 8 <= offset));
}

bool mt_container_read(mt_source *source, mt_container *out)
{
    unsigned char head[12];
    *out = (mt_container){0};
    if (mt_source_read(source, 0, head, sizeof head) < sizeof head) return false;
    bool aiff = memcmp(head, "FORM", 4) == 0 && memcmp(head + 8, "AIF", 3) == 0;
    out->big_endian = aiff || memcmp(head, "RIFX", 4) == 0;
    if (!aiff && ((!out->big_endian && memcmp(head, "RIFF", 4) != 0) || memcmp(head + 8, "WAVE", 4) != 0)) return false;
    uint32_t whole = number(head + 4, 4, out->big_endian);
    int64_t offset = sizeof head;
    for (int chunk = 0; chunk < MOST_CHUNKS; chunk++) {
        if (mt_source_read(source, offset, head, 8) < 8) return false;
        uint32_t length = number(head + 4, 4, out->big_endian);
        offset += 8;
        if (memcmp(head, aiff ? "SSND" : "data", 4) == 0) {
            int skip = aiff && length >= AIFF_BEFORE_SOUND ? AIFF_BEFORE_SOUND : 0;
            out->offset = offset + skip;
            out->length = left_open(length, whole, offset) ? -1 : (int64_t)length - skip;
            return true;
        }
        if (!aiff && memcmp(head, "fmt ", 4) == 0) read_format(source, offset, length, out);
        offset += (int64_t)length + (length & 1);
    }
    return false;
}

bool mt_ogg_complete(mt_source *source)
{
    unsigned char tail[OGG_LONGEST_PAGE];
    int64_t end = mt_source_reach(source), start = end > OGG_LONGEST_PAGE ? end - OGG_LONGEST_PAGE : 0;
    size_t got = mt_source_read(source, start, tail, sizeof tail);
    for (size_t at = got; at-- > 0;) {
        if (got - at < OGG_HEADER_BYTES || memcmp(tail + at, "OggS", 4) != 0) continue;
        return (tail[at + 5] & OGG_LAST_PAGE) != 0;
    }
    return false;
}
