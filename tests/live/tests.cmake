# motet live against a real sound server; skipped, and says so, where there is none to start.
add_test(NAME live COMMAND ${CMAKE_CURRENT_LIST_DIR}/live.sh $<TARGET_FILE:motet_command>)
set_tests_properties(live PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77 LABELS threads)
