motet_test(test_onnx ${CMAKE_CURRENT_LIST_DIR}/test_onnx.c mt_core mt_schema mt_onnx)
