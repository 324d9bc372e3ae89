# The kernels of src/kernels against plain C: random shapes, guarded output, one thread against two.
motet_test(test_kernels ${CMAKE_CURRENT_LIST_DIR}/test_kernels.c mt_kernels mt_core)
motet_test(test_bytes ${CMAKE_CURRENT_LIST_DIR}/test_bytes.c mt_kernels mt_core)
set_property(TEST test_bytes APPEND PROPERTY LABELS threads)
set_property(TEST test_kernels APPEND PROPERTY LABELS threads)
