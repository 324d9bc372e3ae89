# The command as a user meets it.
add_executable(make_audio ${CMAKE_CURRENT_LIST_DIR}/make_audio.c)
target_link_libraries(make_audio PRIVATE motet_settings PkgConfig::SNDFILE)
add_test(NAME cli COMMAND ${CMAKE_CURRENT_LIST_DIR}/cli.sh $<TARGET_FILE:motet_command> $<TARGET_FILE:make_audio>)
set_tests_properties(cli PROPERTIES TIMEOUT 600)
add_test(NAME cli_model COMMAND ${CMAKE_CURRENT_LIST_DIR}/model.sh $<TARGET_FILE:motet_command>)
add_test(NAME cli_voices COMMAND ${CMAKE_CURRENT_LIST_DIR}/voices.sh $<TARGET_FILE:motet_command> $<TARGET_FILE:make_audio>)
set_tests_properties(cli_voices PROPERTIES TIMEOUT 600)
add_test(NAME cli_pairs COMMAND ${CMAKE_CURRENT_LIST_DIR}/pairs.sh $<TARGET_FILE:motet_command>)
