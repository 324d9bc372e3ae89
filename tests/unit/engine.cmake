# The engine with operators of the test's own: a registry of its own in place of the one of src/ops.
motet_test(test_engine ${CMAKE_CURRENT_LIST_DIR}/test_engine.c mt_core mt_schema mt_onnx mt_graph mt_kernels mt_engine)
target_sources(test_engine PRIVATE ${PROJECT_SOURCE_DIR}/src/ops/op.c)
set_property(TEST test_engine APPEND PROPERTY LABELS threads)
