motet_test(test_core ${CMAKE_CURRENT_LIST_DIR}/test_core.c mt_core)
set_property(TEST test_core APPEND PROPERTY LABELS threads)
