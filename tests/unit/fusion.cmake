# Passes that fuse, and a whole engine to compare what they make with what was there.
motet_test(test_fusion ${CMAKE_CURRENT_LIST_DIR}/test_fusion.c mt_core mt_schema mt_onnx mt_graph mt_ops mt_kernels mt_engine)
motet_test(test_forest ${CMAKE_CURRENT_LIST_DIR}/test_forest.c mt_core mt_schema mt_onnx mt_graph mt_ops mt_kernels mt_engine)
