# Memory that runs out, at every allocation there is: seeds of the fuzzer and of the command's tests serve as models,
# between them branches, loops, functions, sequences and constants.
file(GLOB seeds CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/../fuzz/corpus/session/*.onnx)
add_executable(oom_session ${CMAKE_CURRENT_LIST_DIR}/oom_session.c)
target_include_directories(oom_session PRIVATE ${PROJECT_SOURCE_DIR}/src ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(oom_session PRIVATE motet_settings mt_core mt_schema mt_onnx mt_graph mt_ops mt_kernels mt_engine)
add_test(NAME oom_session COMMAND oom_session ${seeds} ${CMAKE_CURRENT_LIST_DIR}/../cli/models/split.onnx
  ${PROJECT_SOURCE_DIR}/models/motet-cnn.onnx)
