motet_test(test_compare ${CMAKE_CURRENT_LIST_DIR}/test_compare.c mt_core mt_schema mt_onnx mt_tensor_file)
