# Random graphs, plain against fast: 300 here, as many as MOTET_RANDOM_GRAPHS says otherwise.
motet_test(test_random ${CMAKE_CURRENT_LIST_DIR}/test_random.c mt_core mt_schema mt_onnx mt_graph mt_ops mt_kernels mt_engine)
target_sources(test_random PRIVATE ${CMAKE_CURRENT_LIST_DIR}/graph.c)
target_include_directories(test_random PRIVATE ${CMAKE_CURRENT_LIST_DIR})
set_tests_properties(test_random PROPERTIES TIMEOUT 3000)
