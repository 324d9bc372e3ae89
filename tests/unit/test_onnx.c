/* onnx: the wire format, the copy without weights, tensors in all their forms, external data, damaged files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "onnx/compact.h"
#include "onnx/file.h"
#include "onnx/tensor.h"
#include "onnx_writer.h"

static int teardown(void **state)
{
    (void)state;
    forget_pieces();
    return 0;
}

/* --- wire ----------------------------------------------------------------------------------------------------- */

static const char *next(const char *bytes, size_t size, mt_wire_field *field)
{
    const uint8_t *at = (const uint8_t *)bytes;
    return mt_wire_next(&at, at + size, field);
}

static void fields_are_read(void **state)
{
    (void)state;
    mt_wire_field field;
    assert_null(next("\x08\x96\x01", 3, &field));
    assert_int_equal(field.number, 1);
    assert_int_equal(field.length, 2);
    assert_null(next("\x12\x03"
                     "abc",
                     5, &field));
    assert_int_equal(field.type, MT_WIRE_BYTES);
    assert_memory_equal(field.payload, "abc", 3);
    assert_null(next("\x0d\x01\x02\x03\x04", 5, &field));
    assert_int_equal(field.length, 4);
    assert_null(next("\x09\x01\x02\x03\x04\x05\x06\x07\x08", 9, &field));
    assert_int_equal(field.length, 8);
    assert_null(next("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, &field));
}

static void damaged_fields_are_refused(void **state)
{
    (void)state;
    mt_wire_field field;
    assert_non_null(next("\x08\x96", 2, &field));                                      /* a varint cut short */
    assert_non_null(next("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, &field)); /* over 64 bits */
    assert_non_null(next("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, &field));
    assert_non_null(next("\x12\x04"
                         "abc",
                         5, &field)); /* longer than what is left */
    assert_non_null(next("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, &field));
    assert_non_null(next("\x0d\x01\x02\x03", 4, &field));
    assert_non_null(next("\x0b", 1, &field));     /* a group */
    assert_non_null(next("\x00\x01", 2, &field)); /* field 0 */
    assert_non_null(next("\x80", 1, &field));     /* half a key */
}

/* --- files ---------------------------------------------------------------------------------------------------- */

/* The message with which the bytes are refused. */
static const char *refusal(piece bytes, motet_status expected)
{
    mt_file *file;
    assert_int_equal(mt_file_open_memory(bytes.bytes, bytes.size, &file), expected);
    assert_null(file);
    return motet_error_message();
}

static void what_is_no_model_is_named(void **state)
{
    (void)state;
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0";
    assert_string_equal(refusal(raw("", 0), MOTET_ERROR_FORMAT), "not an ONNX model: there are no bytes");
    assert_non_null(strstr(refusal(raw("hello, world\n", 13), MOTET_ERROR_FORMAT), "not an ONNX model: byte "));
    assert_non_null(strstr(refusal(raw(pointer, sizeof pointer), MOTET_ERROR_FORMAT), "git lfs pull"));
    assert_non_null(strstr(refusal(number(1, 8), MOTET_ERROR_FORMAT), "there is no graph in it"));
    assert_non_null(strstr(refusal(number(7, 8), MOTET_ERROR_FORMAT), "a number where"));
    piece twice = JOIN(message(7, NONE), message(7, NONE));
    assert_non_null(strstr(refusal(twice, MOTET_ERROR_FORMAT), "byte 2: a second message"));
}

static void every_cut_is_refused_or_read(void **state)
{
    (void)state;
    piece bytes = model(17, JOIN(input("x", MOTET_FLOAT, "batch 3"), output("y"), node("Relu", "x", "y", named("r")),
                                 initializer(tensor("w", MOTET_FLOAT, "2", FLOATS(1, 2)))));
    for (size_t size = 1; size < bytes.size; size++) {
        uint8_t *cut = mt_alloc(size); /* of its own, so that a read beyond the end shows under a sanitizer */
        mt_file *file;
        memcpy(cut, bytes.bytes, size);
        assert_int_equal(mt_file_open_memory(cut, size, &file), MOTET_ERROR_FORMAT);
        mt_free(cut);
    }
}

static void every_flipped_byte_is_refused_or_read(void **state)
{
    (void)state;
    piece bytes = model(17, JOIN(input("x", MOTET_FLOAT, "batch 3"), output("y"),
                                 node("Relu", "x", "y", attribute_float("alpha", 1)),
                                 initializer(tensor("w", MOTET_FLOAT, "2", FLOATS(1, 2)))));
    uint8_t *copy = mt_alloc(bytes.size);
    for (size_t i = 0; i < bytes.size * 8; i++) {
        mt_file *file;
        memcpy(copy, bytes.bytes, bytes.size);
        copy[i / 8] ^= (uint8_t)(1 << i % 8);
        if (mt_file_open_memory(copy, bytes.size, &file) == MOTET_OK) {
            for (size_t k = 0; k < file->model->graph->n_initializer; k++) {
                motet_tensor read = {0};
                if (mt_file_tensor(file, file->model->graph->initializer[k], &read) == MOTET_OK) mt_tensor_clear(&read);
            }
            mt_file_close(file);
        }
    }
    mt_free(copy);
}

static void depth_has_a_limit(void **state)
{
    (void)state;
    piece type = NONE;
    for (int i = 0; i < 200; i++) type = message(4, message(1, type)); /* a sequence of sequences of ... */
    piece bytes = model(17, message(11, JOIN(text(1, "x"), message(2, type))));
    assert_non_null(strstr(refusal(bytes, MOTET_ERROR_LIMIT), "nest deeper"));
}

static void younger_fields_do_no_harm(void **state)
{
    (void)state;
    mt_file *file;
    piece bytes =
        JOIN(model(17, JOIN(text(16, "metadata of a graph"), message(1, JOIN(text(4, "Relu"), text(9, "?"))))),
             text(26, "a field of 2030"));
    assert_int_equal(mt_file_open_memory(bytes.bytes, bytes.size, &file), MOTET_OK);
    assert_string_equal(file->model->graph->node[0]->op_type, "Relu");
    mt_file_close(file);
}

/* --- tensors -------------------------------------------------------------------------------------------------- */

/* A file whose only initializer is `tensor_piece`. */
static mt_file *open_tensor(piece tensor_piece, piece *bytes)
{
    mt_file *file;
    *bytes = model(17, initializer(tensor_piece));
    assert_int_equal(mt_file_open_memory(bytes->bytes, bytes->size, &file), MOTET_OK);
    return file;
}

static void check_tensor(piece tensor_piece, motet_type type, const void *elements, size_t size)
{
    piece bytes;
    motet_tensor read = {0};
    mt_file *file = open_tensor(tensor_piece, &bytes);
    assert_int_equal(mt_file_tensor(file, file->model->graph->initializer[0], &read), MOTET_OK);
    assert_int_equal(read.type, type);
    assert_true(read.constant);
    assert_memory_equal(read.data, elements, size);
    mt_tensor_clear(&read);
    mt_file_close(file);
}

static void refuse_tensor(piece tensor_piece, motet_status expected, const char *words_of_message)
{
    piece bytes;
    motet_tensor read = {0};
    mt_file *file = open_tensor(tensor_piece, &bytes);
    assert_int_equal(mt_file_tensor(file, file->model->graph->initializer[0], &read), expected);
    assert_non_null(strstr(motet_error_message(), words_of_message));
    assert_null(read.data);
    mt_file_close(file);
}

static void typed_fields_are_decoded(void **state)
{
    (void)state;
    const float floats[] = {1, -2};
    const double doubles[] = {0.5, 3};
    const int64_t longs[] = {-1, 7};
    const int32_t ints[] = {-1, 7};
    const uint32_t unsigneds[] = {UINT32_MAX, 7};
    const uint16_t halves[] = {0x3c00, 0xbc00};
    const int8_t bytes[] = {-1, 7};
    const uint8_t truths[] = {1, 0};
    piece minus_one_and_7 = JOIN(number(5, UINT64_MAX), number(5, 7));
    check_tensor(tensor("t", MOTET_FLOAT, "2", message(4, raw(floats, 8))), MOTET_FLOAT, floats, 8);
    check_tensor(tensor("t", MOTET_FLOAT, "2", JOIN(single(4, 1), single(4, -2))), MOTET_FLOAT, floats, 8);
    check_tensor(tensor("t", MOTET_COMPLEX64, "1", message(4, raw(floats, 8))), MOTET_COMPLEX64, floats, 8);
    check_tensor(tensor("t", MOTET_DOUBLE, "2", message(10, raw(doubles, 16))), MOTET_DOUBLE, doubles, 16);
    check_tensor(tensor("t", MOTET_INT64, "2", JOIN(number(7, UINT64_MAX), number(7, 7))), MOTET_INT64, longs, 16);
    check_tensor(tensor("t", MOTET_INT32, "2", minus_one_and_7), MOTET_INT32, ints, 8);
    check_tensor(tensor("t", MOTET_INT8, "2", minus_one_and_7), MOTET_INT8, bytes, 2);
    check_tensor(tensor("t", MOTET_UINT32, "2", JOIN(number(11, UINT32_MAX), number(11, 7))), MOTET_UINT32, unsigneds,
                 8);
    check_tensor(tensor("t", MOTET_FLOAT16, "2", JOIN(number(5, 0x3c00), number(5, 0xbc00))), MOTET_FLOAT16, halves, 4);
    check_tensor(tensor("t", MOTET_BOOL, "2", JOIN(number(5, 256), number(5, 0))), MOTET_BOOL, truths, 2);
}

static void strings_are_decoded(void **state)
{
    (void)state;
    piece bytes;
    motet_tensor read = {0};
    size_t length;
    mt_file *file = open_tensor(tensor("t", MOTET_STRING, "2", JOIN(text(6, "ab"), text(6, ""))), &bytes);
    assert_int_equal(mt_file_tensor(file, file->model->graph->initializer[0], &read), MOTET_OK);
    assert_string_equal(motet_tensor_string(&read, 0, &length), "ab");
    assert_string_equal(motet_tensor_string(&read, 1, &length), "");
    mt_tensor_clear(&read);
    mt_file_close(file);
}

/* Raw elements are used where they lie, unless their type cannot stand there. */
static void raw_data_stays_in_the_file(void **state)
{
    (void)state;
    static const float values[] = {1, 2, 3};
    int in_place = 0, copied = 0;
    for (size_t shift = 0; shift < 4; shift++) {
        piece bytes = model(17, JOIN(text(2, &"name"[shift]),
                                     initializer(tensor("w", MOTET_FLOAT, "3", raw_data(values, sizeof values)))));
        mt_file *file;
        motet_tensor read = {0};
        assert_int_equal(mt_file_open_memory(bytes.bytes, bytes.size, &file), MOTET_OK);
        assert_int_equal(mt_file_tensor(file, file->model->graph->initializer[0], &read), MOTET_OK);
        assert_memory_equal(read.data, values, sizeof values);
        assert_int_equal((uintptr_t)read.data % sizeof(float), 0);
        bool inside =
            (const uint8_t *)read.data >= bytes.bytes && (const uint8_t *)read.data < bytes.bytes + bytes.size;
        assert_int_equal(inside, read.buffer == NULL);
        *(inside ? &in_place : &copied) += 1;
        mt_tensor_clear(&read);
        mt_file_close(file);
    }
    assert_int_equal(in_place, 1);
    assert_int_equal(copied, 3);
}

static void odd_booleans_become_one(void **state)
{
    (void)state;
    check_tensor(tensor("t", MOTET_BOOL, "3", raw_data("\x02\x00\xff", 3)), MOTET_BOOL, "\x01\x00\x01", 3);
}

static void tensors_that_lie_are_refused(void **state)
{
    (void)state;
    refuse_tensor(tensor("w", MOTET_FLOAT, "4", FLOATS(1, 2, 3)), MOTET_ERROR_FORMAT,
                  "tensor 'w': its shape takes 16 bytes, but 12 are there");
    refuse_tensor(tensor("w", MOTET_FLOAT, "4", message(4, raw("12345678", 8))), MOTET_ERROR_FORMAT,
                  "its shape takes 4 elements, but 2 are there");
    refuse_tensor(tensor("w", MOTET_FLOAT, "1000000000000", NONE), MOTET_ERROR_FORMAT, "but 0 are there");
    refuse_tensor(tensor("w", MOTET_FLOAT, "4611686018427387904 4", NONE), MOTET_ERROR_LIMIT, "is not possible");
    refuse_tensor(tensor("w", MOTET_DOUBLE, "2305843009213693952", raw_data("", 0)), MOTET_ERROR_LIMIT, "memory");
    refuse_tensor(tensor("w", MOTET_FLOAT, "-1", NONE), MOTET_ERROR_LIMIT, "[-1]");
    refuse_tensor(tensor("w", MOTET_FLOAT, "1 1 1 1 1 1 1 1 1", FLOATS(1)), MOTET_ERROR_LIMIT, "9 axes");
    refuse_tensor(tensor("w", 29, "2", raw_data("1", 1)), MOTET_ERROR_UNSUPPORTED, "type 29");
    refuse_tensor(tensor("w", MOTET_INT4, "3", raw_data("1", 1)), MOTET_ERROR_FORMAT, "2 bytes");
    refuse_tensor(tensor("w", 99, "2", raw_data("1", 1)), MOTET_ERROR_UNSUPPORTED, "type 99");
    refuse_tensor(tensor("w", -5, "2", raw_data("1", 1)), MOTET_ERROR_FORMAT, "no element type");
    refuse_tensor(tensor("w", MOTET_STRING, "1", raw_data("a", 1)), MOTET_ERROR_FORMAT, "strings");
    refuse_tensor(tensor("w", MOTET_FLOAT, "1", JOIN(FLOATS(1), message(3, NONE))), MOTET_ERROR_UNSUPPORTED,
                  "segments");
}

static void empty_tensors_have_data(void **state)
{
    (void)state;
    check_tensor(tensor("t", MOTET_FLOAT, "0 5", NONE), MOTET_FLOAT, "", 0);
    check_tensor(tensor("t", MOTET_FLOAT, "0", raw_data("", 0)), MOTET_FLOAT, "", 0);
}

/* --- sparse tensors ------------------------------------------------------------------------------------------- */

/* A file whose only weight is float32[2,3] with these elements at these places, read. */
static motet_status read_sparse(piece values, piece places, const char *shape, motet_tensor *read)
{
    mt_file *file;
    piece bytes = model(17, sparse_initializer(sparse(values, places, shape)));
    assert_int_equal(mt_file_open_memory(bytes.bytes, bytes.size, &file), MOTET_OK);
    motet_status status = mt_file_sparse_tensor(file, file->model->graph->sparse_initializer[0], read);
    mt_file_close(file);
    return status;
}

static void sparse_tensors_are_written_out(void **state)
{
    (void)state;
    static const float wanted[] = {0, 0, 5, -7, 0, 0};
    piece values = tensor("s", MOTET_FLOAT, "2", FLOATS(5, -7));
    const piece places[] = {tensor("", MOTET_INT64, "2", INT64S(2, 3)),
                            tensor("", MOTET_INT64, "2 2", INT64S(0, 2, 1, 0))};
    for (int i = 0; i < 2; i++) {
        motet_tensor read = {0};
        assert_int_equal(read_sparse(values, places[i], "2 3", &read), MOTET_OK);
        assert_int_equal(read.rank, 2);
        assert_true(read.constant);
        assert_memory_equal(read.data, wanted, sizeof wanted);
        mt_tensor_clear(&read);
    }
    motet_tensor read = {0};
    piece word = tensor("s", MOTET_STRING, "1", text(6, "ab"));
    assert_int_equal(read_sparse(word, tensor("", MOTET_INT64, "1", INT64S(1)), "2", &read), MOTET_OK);
    assert_string_equal(motet_tensor_string(&read, 0, NULL), "");
    assert_string_equal(motet_tensor_string(&read, 1, NULL), "ab");
    mt_tensor_clear(&read);
    piece nothing = tensor("s", MOTET_FLOAT, "0", NONE);
    assert_int_equal(read_sparse(nothing, tensor("", MOTET_INT64, "0", NONE), "2", &read), MOTET_OK);
    assert_memory_equal(read.data, wanted, 2 * sizeof *wanted);
    mt_tensor_clear(&read);
}

static void sparse_tensors_that_lie_are_refused(void **state)
{
    (void)state;
    piece values = tensor("s", MOTET_FLOAT, "2", FLOATS(5, -7));
    const struct {
        piece places;
        const char *shape, *words_of_message;
        motet_status expected;
    } cases[] = {
        {tensor("", MOTET_INT64, "2", INT64S(3, 2)), "2 3", "sparse tensor 's': the place of value 1",
         MOTET_ERROR_FORMAT},
        {tensor("", MOTET_INT64, "2", INT64S(2, 2)), "2 3", "the place of value 1", MOTET_ERROR_FORMAT},
        {tensor("", MOTET_INT64, "2", INT64S(-1, 2)), "2 3", "the place of value 0", MOTET_ERROR_FORMAT},
        {tensor("", MOTET_INT64, "2", INT64S(2, 6)), "2 3", "the place of value 1", MOTET_ERROR_FORMAT},
        {tensor("", MOTET_INT64, "2 2", INT64S(0, 2, 1, 3)), "2 3", "the place of value 1", MOTET_ERROR_FORMAT},
        {tensor("", MOTET_INT64, "2 2", INT64S(0, -1, 1, 0)), "2 3", "the place of value 0", MOTET_ERROR_FORMAT},
        {tensor("", MOTET_INT64, "1", INT64S(2)), "2 3", "do not make a sparse tensor", MOTET_ERROR_FORMAT},
        {tensor("", MOTET_INT64, "2 1", INT64S(2, 3)), "2 3", "do not make a sparse tensor", MOTET_ERROR_FORMAT},
        {tensor("", MOTET_FLOAT, "2", FLOATS(2, 3)), "2 3", "do not make a sparse tensor", MOTET_ERROR_FORMAT},
        {tensor("", MOTET_INT64, "2", INT64S(2, 3)), "1000000 1000000", "more than", MOTET_ERROR_LIMIT},
        {tensor("", MOTET_INT64, "2", INT64S(2, 3)), "4611686018427387904 4", "more than", MOTET_ERROR_LIMIT},
        {tensor("", MOTET_INT64, "2", INT64S(2, 3)), "1 1 1 1 1 1 1 1 6", "9 axes", MOTET_ERROR_LIMIT},
        {tensor("", MOTET_INT64, "2", INT64S(2)), "2 3", "16 bytes", MOTET_ERROR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        motet_tensor read = {0};
        assert_int_equal(read_sparse(values, cases[i].places, cases[i].shape, &read), cases[i].expected);
        if (!strstr(motet_error_message(), cases[i].words_of_message)) fail_msg("%s", motet_error_message());
        assert_null(read.data);
    }
}

/* --- external data -------------------------------------------------------------------------------------------- */

static piece external(const char *location, const char *offset, const char *length)
{
    piece entries = message(13, JOIN(text(1, "location"), text(2, location)));
    if (offset) entries = JOIN(entries, message(13, JOIN(text(1, "offset"), text(2, offset))));
    if (length) entries = JOIN(entries, message(13, JOIN(text(1, "length"), text(2, length))));
    return JOIN(entries, number(14, 1));
}

static void write_file(const char *folder, const char *name, piece bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.bytes, 1, bytes.size, file), bytes.size);
    fclose(file);
}

/* A folder with weights.bin (floats 1 2 3 4), below/more.bin, and links; removed by remove_folder. */
static const char *const contents[] = {"model.onnx", "weights.bin", "link.bin", "below/more.bin", "away", "below"};

static void make_folder(char *folder)
{
    char path[512];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/below", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    static const float values[] = {1, 2, 3, 4};
    write_file(folder, "weights.bin", raw(values, sizeof values));
    write_file(folder, "below/more.bin", raw(values, sizeof values));
    snprintf(path, sizeof path, "%s/link.bin", folder);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof path, "%s/away", folder);
    assert_int_equal(symlink("/etc", path), 0);
}

static void remove_folder(const char *folder)
{
    char path[512];
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, contents[i]);
        remove(path);
    }
    assert_int_equal(rmdir(folder), 0);
}

/* Reads a float[2] tensor of the folder's model; the status, and the first element. */
static motet_status read_external(const char *folder, piece elements, float *first)
{
    char path[512];
    mt_file *file;
    motet_tensor read = {0};
    write_file(folder, "model.onnx", model(17, initializer(tensor("w", MOTET_FLOAT, "2", elements))));
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    assert_int_equal(mt_file_open(path, &file), MOTET_OK);
    motet_status status = mt_file_tensor(file, file->model->graph->initializer[0], &read);
    if (status == MOTET_OK) *first = *(const float *)read.data;
    mt_tensor_clear(&read);
    mt_file_close(file);
    return status;
}

static void refuse_external(const char *folder, piece elements, const char *words_of_message)
{
    float first;
    assert_int_not_equal(read_external(folder, elements, &first), MOTET_OK);
    if (!strstr(motet_error_message(), words_of_message))
        fail_msg("\"%s\" does not say \"%s\"", motet_error_message(), words_of_message);
}

static void external_data_is_mapped(void **state)
{
    (void)state;
    char folder[] = "/tmp/motet-test-XXXXXX";
    float first = 0;
    make_folder(folder);
    assert_int_equal(read_external(folder, external("weights.bin", NULL, NULL), &first), MOTET_OK);
    assert_true(first == 1);
    assert_int_equal(read_external(folder, external("weights.bin", "8", "8"), &first), MOTET_OK);
    assert_true(first == 3);
    assert_int_equal(read_external(folder, external("below/more.bin", "4", NULL), &first), MOTET_OK);
    assert_true(first == 2);
    remove_folder(folder);
}

static void external_data_stays_in_the_folder(void **state)
{
    (void)state;
    char folder[] = "/tmp/motet-test-XXXXXX";
    make_folder(folder);
    refuse_external(folder, external("/etc/passwd", NULL, NULL), "external data \"/etc/passwd\": an absolute path");
    refuse_external(folder, external("../weights.bin", NULL, NULL), "out of the model's folder");
    refuse_external(folder, external("below/../../x", NULL, NULL), "out of the model's folder");
    refuse_external(folder, external("link.bin", NULL, NULL), "link");
    refuse_external(folder, external("away/passwd", NULL, NULL), "link");
    refuse_external(folder, external("below", NULL, NULL), "is a folder");
    refuse_external(folder, external("nothing.bin", NULL, NULL), "No such file");
    refuse_external(folder, external("", NULL, NULL), "not a path");
    refuse_external(folder, external("below//more.bin", NULL, NULL), "not a path");
    refuse_external(folder, number(14, 1), "without a location");
    remove_folder(folder);
}

static void external_ranges_are_checked(void **state)
{
    (void)state;
    char folder[] = "/tmp/motet-test-XXXXXX";
    make_folder(folder);
    refuse_external(folder, external("weights.bin", "12", NULL), "bytes 12 to 20 are declared, but the file has 16");
    refuse_external(folder, external("weights.bin", "18446744073709551615", NULL), "but the file has 16");
    refuse_external(folder, external("weights.bin", "0", "16"), "the tensor takes 8 bytes, but 16 are declared");
    refuse_external(folder, external("weights.bin", "-8", NULL), "not a number of bytes");
    refuse_external(folder, external("weights.bin", "99999999999999999999999", NULL), "not a number of bytes");
    refuse_external(folder, external("weights.bin", "8 ", NULL), "not a number of bytes");
    remove_folder(folder);
}

/* Beyond what 32 bits hold, signed or not. The files have holes, and take a few pages. */
static void external_data_may_be_large(void **state)
{
    (void)state;
    static const char *const offsets[] = {"2147483648", "4294967300", "6442450940"};
    static const float wanted[] = {1, 2, 3, 4};
    char folder[] = "/tmp/motet-onnx-XXXXXX", path[64], weights[64];
    make_folder(folder);
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    snprintf(weights, sizeof weights, "%s/weights.bin", folder);
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        FILE *sparse_file = fopen(weights, "wb");
        assert_non_null(sparse_file);
        assert_int_equal(fseeko(sparse_file, (off_t)strtoll(offsets[i], NULL, 10), SEEK_SET), 0);
        assert_int_equal(fwrite(wanted, 1, sizeof wanted, sparse_file), sizeof wanted);
        assert_int_equal(fclose(sparse_file), 0);
        write_file(folder, "model.onnx",
                   model(17, initializer(tensor("w", MOTET_FLOAT, "4", external("weights.bin", offsets[i], "16")))));
        mt_file *file;
        motet_tensor read = {0};
        assert_int_equal(mt_file_open(path, &file), MOTET_OK);
        assert_int_equal(mt_file_tensor(file, file->model->graph->initializer[0], &read), MOTET_OK);
        assert_memory_equal(read.data, wanted, sizeof wanted);
        mt_tensor_clear(&read);
        mt_file_close(file);
    }
    remove_folder(folder);
}

static void memory_has_no_external_data(void **state)
{
    (void)state;
    refuse_tensor(tensor("w", MOTET_FLOAT, "2", external("weights.bin", NULL, NULL)), MOTET_ERROR_FORMAT,
                  "a model from memory");
}

static void folders_and_devices_are_no_models(void **state)
{
    (void)state;
    mt_file *file;
    assert_int_equal(mt_file_open("/tmp", &file), MOTET_ERROR_IO);
    assert_int_equal(mt_file_open("/dev/zero", &file), MOTET_ERROR_IO);
    assert_int_equal(mt_file_open("/nowhere/model.onnx", &file), MOTET_ERROR_IO);
    assert_non_null(strstr(motet_error_message(), "No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_read),
        cmocka_unit_test(damaged_fields_are_refused),
        cmocka_unit_test_teardown(what_is_no_model_is_named, teardown),
        cmocka_unit_test_teardown(every_cut_is_refused_or_read, teardown),
        cmocka_unit_test_teardown(every_flipped_byte_is_refused_or_read, teardown),
        cmocka_unit_test_teardown(depth_has_a_limit, teardown),
        cmocka_unit_test_teardown(younger_fields_do_no_harm, teardown),
        cmocka_unit_test_teardown(typed_fields_are_decoded, teardown),
        cmocka_unit_test_teardown(strings_are_decoded, teardown),
        cmocka_unit_test_teardown(raw_data_stays_in_the_file, teardown),
        cmocka_unit_test_teardown(odd_booleans_become_one, teardown),
        cmocka_unit_test_teardown(tensors_that_lie_are_refused, teardown),
        cmocka_unit_test_teardown(empty_tensors_have_data, teardown),
        cmocka_unit_test_teardown(sparse_tensors_are_written_out, teardown),
        cmocka_unit_test_teardown(sparse_tensors_that_lie_are_refused, teardown),
        cmocka_unit_test_teardown(external_data_is_mapped, teardown),
        cmocka_unit_test_teardown(external_data_stays_in_the_folder, teardown),
        cmocka_unit_test_teardown(external_ranges_are_checked, teardown),
        cmocka_unit_test_teardown(external_data_may_be_large, teardown),
        cmocka_unit_test_teardown(memory_has_no_external_data, teardown),
        cmocka_unit_test_teardown(folders_and_devices_are_no_models, teardown),
    };
    return cmocka_run_group_tests_name("onnx", tests, NULL, NULL);
}
