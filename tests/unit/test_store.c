/* core/store: it grows in place and keeps what it holds, also when memory was let go and when there is no disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/store.h"

enum { BYTES = 5 << 20 };

static void fill_and_check(void)
{
    mt_store store;
    assert_int_equal(mt_store_open(&store), MOTET_OK);
    const unsigned char *first = store.bytes;
    for (size_t n = 0; n < BYTES; n += 1000) {
        assert_int_equal(mt_store_grow(&store, n + 1000), MOTET_OK);
        assert_ptr_equal(store.bytes, first);
        memset(store.bytes + n, (int)(n / 1000 % 251), 1000);
        if (n % 500000 == 0) mt_store_let_go(&store, n);
    }
    mt_store_let_go(&store, BYTES);
    for (size_t n = 0; n < BYTES; n++) assert_int_equal(store.bytes[n], n / 1000 % 251);
    assert_int_equal(mt_store_grow(&store, SIZE_MAX), MOTET_ERROR_LIMIT);
    mt_store_close(&store);
    mt_store_close(&store);
}

static void it_keeps_what_it_holds(void **state)
{
    (void)state;
    fill_and_check();
}

static void also_without_a_file(void **state)
{
    (void)state;
    setenv("TMPDIR", "/nonexistent", 1);
    fill_and_check();
    unsetenv("TMPDIR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_keeps_what_it_holds),
        cmocka_unit_test(also_without_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
