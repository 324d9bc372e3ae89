# motet live against a real sound server; skipped, and says so, where there is none to start. Under the thread sanitizer
# everything takes fifty times as long and the checks of time do not hold, so sessions of few windows run there.
if(MOTET_SANITIZE MATCHES thread)
  add_test(NAME live_threads COMMAND ${CMAKE_CURRENT_LIST_DIR}/threads.sh $<TARGET_FILE:motet_command>)
  set_tests_properties(live_threads PROPERTIES TIMEOUT 300 LABELS threads)
else()
  set(late 50) # by how many milliseconds the time of events may differ
  if(MOTET_SANITIZE)
    set(late 300)
  endif()
  add_test(NAME live COMMAND ${CMAKE_CURRENT_LIST_DIR}/live.sh $<TARGET_FILE:motet_command> ${late})
  set_tests_properties(live PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77 COST 1000) # mostly waits, so it begins first
endif()
