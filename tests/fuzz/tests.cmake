# Fuzzing. Everywhere: each target is built and fed its seeds as a test. With the preset "fuzz" (clang): the targets
# themselves, as fuzz_NAME.
#
#     cmake --preset fuzz && cmake --build --preset fuzz
#     build/fuzz/tests/fuzz_session -max_total_time=600 SOME_FOLDER tests/fuzz/corpus/session
option(MOTET_FUZZ "build the libFuzzer targets (clang, with MOTET_SANITIZE=fuzzer-no-link,address,undefined)" OFF)

set(fuzzed_rooms mt_core mt_schema mt_onnx mt_graph mt_ops mt_kernels mt_engine mt_model mt_quantize mt_tensor_file)

# motet_fuzz(NAME CORPUS): fuzz_NAME.c, and its seeds.
function(motet_fuzz name corpus)
  file(GLOB seeds CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${corpus}/*)
  add_executable(replay_${name} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_${name}.c ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/replay.c)
  target_include_directories(replay_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(replay_${name} PRIVATE motet_settings ${fuzzed_rooms})
  add_test(NAME replay_${name} COMMAND replay_${name} ${seeds})
  if(MOTET_FUZZ)
    add_executable(fuzz_${name} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_${name}.c)
    target_include_directories(fuzz_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(fuzz_${name} PRIVATE motet_settings ${fuzzed_rooms})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  endif()
endfunction()

motet_fuzz(wire session)
motet_fuzz(loader session)
motet_fuzz(session session)
motet_fuzz(operators operators)
motet_fuzz(external external)
motet_fuzz(tensor_file tensor_file)
