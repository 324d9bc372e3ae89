# From a float file to a quantised one, and a whole engine to run both.
motet_test(test_quantize ${CMAKE_CURRENT_LIST_DIR}/test_quantize.c mt_core mt_schema mt_onnx mt_graph mt_ops mt_kernels mt_engine
  mt_model mt_quantize PkgConfig::PCRE2)
