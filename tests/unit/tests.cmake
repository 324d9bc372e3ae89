# One file a room, so that a room's tests are listed by those who write them: tests/unit/<room>.cmake.
file(GLOB unit_lists CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.cmake)
list(REMOVE_ITEM unit_lists ${CMAKE_CURRENT_LIST_FILE})
foreach(unit_list ${unit_lists})
  include(${unit_list})
endforeach()
