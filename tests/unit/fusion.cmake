# Passes that fuse, and a whole engine to compare what they make with what was there.
motet_test(test_fusion ${CMAKE_CURRENT_LIST_DIR}/test_fusion.c mt_core mt_schema mt_onnx mt_graph mt_ops mt_kernels mt_engine)
motet_test(test_forest ${CMAKE_CURRENT_LIST_DIR}/test_forest.c mt_core mt_schema mt_onnx mt_graph mt_ops mt_kernels mt_engine)
# The passes on whole encoders, through the public face.
motet_test(test_passes ${CMAKE_CURRENT_LIST_DIR}/test_passes.c motet_static)
set_property(TEST test_passes APPEND PROPERTY LABELS threads)
# Counts allocations by its own malloc, which sanitizers have too.
if(NOT MOTET_SANITIZE)
  motet_test(test_warm ${CMAKE_CURRENT_LIST_DIR}/test_warm.c motet_static)
endif()
