/* Eight lanes take every eighth word each, so that a processor works on all of them at once. A step cannot lose
 * anything (exclusive or, rotation and a product with an odd number can be undone), and the rotation brings high bits,
 * which a product alone would never spread, down. The finish is that of MurmurHash3 (Appleby), which mixes all bits
 * into all. */
#include "core/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LANES = 8, BLOCK = LANES * sizeof(uint64_t), ROTATION = 29 };

static const uint64_t multiplier = 0x9e3779b97f4a7c15u; /* 2^64 over the golden ratio, made odd */

static uint64_t step(uint64_t lane, uint64_t word)
{
    lane ^= word;
    return (lane << ROTATION | lane >> (64 - ROTATION)) * multiplier;
}

static uint64_t finish(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdu;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

static void take(mt_digest *d, const unsigned char *block)
{
    uint64_t words[LANES];
    memcpy(words, block, BLOCK);
    for (int i = 0; i < LANES; i++) d->lanes[i] = step(d->lanes[i], words[i]);
}

void mt_digest_begin(mt_digest *d)
{
    for (int i = 0; i < LANES; i++) d->lanes[i] = finish((uint64_t)i + 1);
}

void mt_digest_add(mt_digest *d, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    mt_digest local = *d; /* in registers */
    size_t left = size;
    for (; left >= BLOCK; left -= BLOCK, at += BLOCK) take(&local, at);
    unsigned char last[2 * BLOCK] = {0};
    uint64_t length = size;
    if (left) memcpy(last, at, left);
    memcpy(last + BLOCK, &length, sizeof length);
    take(&local, last);
    take(&local, last + BLOCK);
    *d = local;
}

void mt_digest_end(const mt_digest *d, uint64_t out[2])
{
    out[0] = 1;
    out[1] = 2;
    for (int i = 0; i < LANES; i++) {
        out[0] = finish(out[0] + d->lanes[i]);
        out[1] = finish(out[1] ^ d->lanes[LANES - 1 - i]) + out[0];
    }
}

void mt_digest_text(const mt_digest *d, char text[MT_DIGEST_TEXT])
{
    uint64_t words[2];
    mt_digest_end(d, words);
    snprintf(text, MT_DIGEST_TEXT, "%016" PRIx64 "%016" PRIx64, words[0], words[1]);
}
