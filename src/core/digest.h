/* 128 bits that stand for some bytes: fast, as it has to go through hundreds of megabytes while somebody waits. It
 * tells apart whatever nobody made alike on purpose. */
#ifndef MT_CORE_DIGEST_H
#define MT_CORE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { MT_DIGEST_TEXT = 33 };

typedef struct mt_digest {
    uint64_t lanes[8];
} mt_digest;

void mt_digest_begin(mt_digest *digest);

/* Bytes in two pieces are not the same as in one. */
void mt_digest_add(mt_digest *digest, const void *bytes, size_t size);

/* What has been added so far, as two numbers or as 32 hexadecimal digits and a NUL. */
void mt_digest_end(const mt_digest *digest, uint64_t out[2]);
void mt_digest_text(const mt_digest *digest, char text[MT_DIGEST_TEXT]);

#endif
