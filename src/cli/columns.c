/* Names of people and of devices are UTF-8, so bytes are not columns. The C library knows widths only in a locale that
 * fits; what names are made of is known without: marks that stand over a letter take no column, East Asian characters
 * and pictures two (Unicode Standard Annex 11), everything else one. */
#include "columns.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct range {
    uint32_t first, last;
} range;

static const range marks[] = {{0x300, 0x36f},   {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},
                              {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}};
static const range wide[] = {{0x1100, 0x115f}, {0x2e80, 0xa4cf}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},
                             {0xfe30, 0xfe6f}, {0xff00, 0xff60}, {0x1f300, 0x1faff}, {0x20000, 0x3fffd}};

static int in(const range *ranges, size_t count, uint32_t c)
{
    for (size_t i = 0; i < count; i++)
        if (c >= ranges[i].first && c <= ranges[i].last) return 1;
    return 0;
}

static int width_of(uint32_t c)
{
    if (in(marks, sizeof marks / sizeof *marks, c)) return 0;
    return 1 + in(wide, sizeof wide / sizeof *wide, c);
}

/* The character at `text` and its bytes; one that is broken off ends with the text. */
static uint32_t decode(const unsigned char *text, size_t *bytes)
{
    uint32_t c = text[0];
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    if (more) c &= 0x3fu >> more;
    for (*bytes = 1; more-- && (text[*bytes] & 0xc0) == 0x80; ++*bytes) c = c << 6 | (text[*bytes] & 0x3fu);
    return c;
}

size_t columns_fit(const char *text, int columns, int *taken)
{
    size_t length = 0, bytes;
    *taken = 0;
    while (text[length]) {
        int width = width_of(decode((const unsigned char *)text + length, &bytes));
        if (*taken + width > columns) break;
        *taken += width;
        length += bytes;
    }
    return length;
}

void columns_pad(const char *text, int columns, char *out, size_t size)
{
    int taken;
    size_t length = columns_fit(text, columns, &taken);
    snprintf(out, size, "%.*s%*s", (int)length, text, columns - taken, "");
}
