# Programs that peers.py and its like drive; nothing here is a test.
add_executable(bench_session ${CMAKE_CURRENT_SOURCE_DIR}/bench/bench_session.c)
target_link_libraries(bench_session PRIVATE motet_settings motet)
add_executable(join_audio ${CMAKE_CURRENT_SOURCE_DIR}/bench/join_audio.c)
target_link_libraries(join_audio PRIVATE motet_settings PkgConfig::SNDFILE)
add_executable(measure ${CMAKE_CURRENT_SOURCE_DIR}/bench/measure.c)
target_link_libraries(measure PRIVATE motet_settings)
add_executable(bench_kernels ${CMAKE_CURRENT_LIST_DIR}/bench_kernels.c)
target_include_directories(bench_kernels PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(bench_kernels PRIVATE motet_settings mt_kernels mt_core)

# Clustering alone, on published x-vectors: a table, and a bar that is tested where MOTET_DATA is there.
add_executable(cluster_xvectors ${CMAKE_CURRENT_LIST_DIR}/cluster_xvectors.c ${CMAKE_CURRENT_LIST_DIR}/xvectors.c)
target_include_directories(cluster_xvectors PRIVATE ${PROJECT_SOURCE_DIR}/src ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(cluster_xvectors PRIVATE motet_settings motet_static)
add_test(NAME clustering COMMAND ${CMAKE_CURRENT_LIST_DIR}/clustering.sh ${PROJECT_BINARY_DIR})
