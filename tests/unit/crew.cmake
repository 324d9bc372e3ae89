motet_test(test_crew ${CMAKE_CURRENT_LIST_DIR}/test_crew.c mt_core)
