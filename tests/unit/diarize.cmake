motet_test(test_text ${CMAKE_CURRENT_LIST_DIR}/test_text.c mt_core)
motet_test(test_cluster ${CMAKE_CURRENT_LIST_DIR}/test_cluster.c motet_static)
motet_test(test_turns ${CMAKE_CURRENT_LIST_DIR}/test_turns.c motet_static)
