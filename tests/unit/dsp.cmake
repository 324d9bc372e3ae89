motet_test(test_mel ${CMAKE_CURRENT_LIST_DIR}/test_mel.c mt_dsp mt_core)
