/* Feeds files to a fuzz target, one after the other: the corpus, and what fuzzing once found. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int replay(const char *path)
{
    enum { MAX_BYTES = 1 << 20 };
    FILE *file = fopen(path, "rb");
    uint8_t *read = malloc(MAX_BYTES);
    if (!file || !read) {
        perror(path);
        return 1;
    }
    size_t size = fread(read, 1, MAX_BYTES, file);
    fclose(file);
    uint8_t *bytes =
        realloc(read, size ? size : 1); /* no room behind the end, so that a sanitizer sees a step over it */
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    return 0;
}

int main(int count, char **paths)
{
    int failed = 0;
    for (int i = 1; i < count; i++) failed |= replay(paths[i]);
    return failed;
}
