# Programs that engine.py and its like drive; nothing here is a test.
add_executable(bench_session ${CMAKE_CURRENT_SOURCE_DIR}/bench/bench_session.c)
target_link_libraries(bench_session PRIVATE mt_conformance mt_schema motet PkgConfig::PROTOBUF_C)
add_executable(join_audio ${CMAKE_CURRENT_SOURCE_DIR}/bench/join_audio.c)
target_link_libraries(join_audio PRIVATE motet_settings PkgConfig::SNDFILE)
add_executable(measure ${CMAKE_CURRENT_SOURCE_DIR}/bench/measure.c)
target_link_libraries(measure PRIVATE motet_settings)
