# Fuzzing. Everywhere: the corpus is replayed as a test. With the preset "fuzz" (clang): fuzz_session itself.
#
#     cmake --preset fuzz && cmake --build --preset fuzz --target fuzz_session
#     build/fuzz/tests/fuzz_session -max_total_time=600 SOME_FOLDER tests/fuzz/corpus
option(MOTET_FUZZ "build the libFuzzer targets (clang, with MOTET_SANITIZE=fuzzer-no-link,address,undefined)" OFF)

set(engine_rooms mt_core mt_schema mt_onnx mt_graph mt_ops mt_kernels mt_engine)
file(GLOB corpus CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/corpus/*)

add_executable(replay_session ${CMAKE_CURRENT_LIST_DIR}/fuzz_session.c ${CMAKE_CURRENT_LIST_DIR}/replay.c)
target_include_directories(replay_session PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(replay_session PRIVATE motet_settings ${engine_rooms})
add_test(NAME replay_session COMMAND replay_session ${corpus})

if(MOTET_FUZZ)
  add_executable(fuzz_session ${CMAKE_CURRENT_LIST_DIR}/fuzz_session.c)
  target_include_directories(fuzz_session PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(fuzz_session PRIVATE motet_settings ${engine_rooms})
  target_link_options(fuzz_session PRIVATE -fsanitize=fuzzer)
endif()
