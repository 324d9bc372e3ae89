motet_test(test_audio ${CMAKE_CURRENT_LIST_DIR}/test_audio.c mt_audio mt_core)
motet_test(test_resample ${CMAKE_CURRENT_LIST_DIR}/test_resample.c mt_audio mt_core)
