# The programs of samples/ are built with the tests and run on the shipped conversation.
add_executable(sample_who ${PROJECT_SOURCE_DIR}/samples/who.c)
target_link_libraries(sample_who PRIVATE motet motet_settings)
add_test(NAME sample_who COMMAND sample_who ${PROJECT_SOURCE_DIR}/models/motet-cnn.onnx ${PROJECT_SOURCE_DIR}/samples/conversation.flac)
set_tests_properties(sample_who PROPERTIES PASS_REGULAR_EXPRESSION "SPEAKER_00")

add_executable(sample_run_model ${PROJECT_SOURCE_DIR}/samples/run_model.c)
target_link_libraries(sample_run_model PRIVATE motet motet_settings)
add_test(NAME sample_run_model COMMAND sample_run_model ${PROJECT_SOURCE_DIR}/models/motet-cnn.onnx)
set_tests_properties(sample_run_model PROPERTIES PASS_REGULAR_EXPRESSION "activity  float32.1,150,7.")

# Each public header compiles alone.
file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/motet/*.h)
foreach(header ${headers})
  get_filename_component(name ${header} NAME_WE)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/header_${name}.c)
  file(CONFIGURE OUTPUT ${source} CONTENT "#include <motet/${name}.h>\n#include <motet/${name}.h>\n")
  list(APPEND header_sources ${source})
endforeach()
add_library(public_headers OBJECT ${header_sources})
target_link_libraries(public_headers PRIVATE motet_settings)

# An instrumented library wants an instrumented program.
if(NOT MOTET_SANITIZE)
  add_test(NAME install COMMAND ${CMAKE_CURRENT_LIST_DIR}/install.sh ${PROJECT_BINARY_DIR} ${PROJECT_SOURCE_DIR})
endif()
