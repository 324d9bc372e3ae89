# Where the weights of a file are, from the map to the kernels.
motet_test(test_load ${CMAKE_CURRENT_LIST_DIR}/test_load.c mt_core mt_schema mt_onnx mt_graph mt_ops mt_kernels mt_engine)
set_property(TEST test_load APPEND PROPERTY LABELS threads)
