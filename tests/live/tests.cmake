# Not among the tests for the thread sanitizer: libpulse races in its own code by that account, and ten times slower the
# checks of time do not hold. test_live, test_ring and test_recorder are.
# motet live against a real sound server; skipped, and says so, where there is none to start.
add_test(NAME live COMMAND ${CMAKE_CURRENT_LIST_DIR}/live.sh $<TARGET_FILE:motet_command>)
set_tests_properties(live PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77)
