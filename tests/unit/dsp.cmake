motet_test(test_mel ${CMAKE_CURRENT_LIST_DIR}/test_mel.c mt_dsp mt_core)
motet_test(test_fbank ${CMAKE_CURRENT_LIST_DIR}/test_fbank.c mt_dsp mt_core)
