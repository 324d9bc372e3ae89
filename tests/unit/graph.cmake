motet_test(test_graph ${CMAKE_CURRENT_LIST_DIR}/test_graph.c mt_core mt_schema mt_onnx mt_graph)
