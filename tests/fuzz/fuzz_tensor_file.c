/* Fuzz target: any bytes as a tensor file, .npy or .pb, and as a list of tensors. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "motet/tensor_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char path[64];
    motet_tensor *tensor;
    int file = memfd_create("tensor", MFD_CLOEXEC);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (motet_tensor_read(path, &tensor) == MOTET_OK) motet_tensor_destroy(tensor);
    if (motet_tensor_read_list(path, MOTET_SEQUENCE, &tensor) == MOTET_OK) motet_tensor_destroy(tensor);
    if (motet_tensor_read_list(path, MOTET_OPTIONAL, &tensor) == MOTET_OK) motet_tensor_destroy(tensor);
    close(file);
    return 0;
}
