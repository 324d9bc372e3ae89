# Operators one by one, on a host of the test's own in place of the engine.
motet_test(test_ops ${CMAKE_CURRENT_LIST_DIR}/test_ops.c mt_core mt_schema mt_onnx mt_graph mt_ops mt_kernels)
set_property(TEST test_ops APPEND PROPERTY LABELS threads)
motet_test(test_classical ${CMAKE_CURRENT_LIST_DIR}/test_classical.c mt_core mt_schema mt_onnx mt_graph mt_ops mt_kernels)
