motet_test(test_assignment ${CMAKE_CURRENT_LIST_DIR}/test_assignment.c mt_core)
motet_test(test_rttm ${CMAKE_CURRENT_LIST_DIR}/test_rttm.c mt_score mt_core)
motet_test(test_score ${CMAKE_CURRENT_LIST_DIR}/test_score.c mt_score mt_core)
