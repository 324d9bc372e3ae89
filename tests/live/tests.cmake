# motet live against a real sound server; skipped, and says so, where there is none to start. Under the thread sanitizer
# everything takes fifty times as long and the checks of time do not hold, so sessions of few windows run there.
if(MOTET_SANITIZE MATCHES thread)
  add_test(NAME live_threads COMMAND ${CMAKE_CURRENT_LIST_DIR}/threads.sh $<TARGET_FILE:motet_command>)
  set_tests_properties(live_threads PROPERTIES TIMEOUT 300 LABELS threads)
else()
  add_test(NAME live COMMAND ${CMAKE_CURRENT_LIST_DIR}/live.sh $<TARGET_FILE:motet_command> $<IF:$<BOOL:${MOTET_SANITIZE}>,300,50>)
  set_tests_properties(live PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77)
endif()
