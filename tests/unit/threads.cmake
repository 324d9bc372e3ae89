# Several threads on one session, under the thread sanitizer too.
motet_test(test_threads ${CMAKE_CURRENT_LIST_DIR}/test_threads.c motet_static)
set_property(TEST test_threads APPEND PROPERTY LABELS threads)
