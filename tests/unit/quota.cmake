motet_test(test_quota ${CMAKE_CURRENT_LIST_DIR}/test_quota.c mt_core)
