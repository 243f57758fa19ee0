# sluice_room(NAME SOURCES … [USES …] [LIBRARIES …])
# One library a room. USES names the rooms below it; a room that is not named does not link, which is how a wrong arrow
# between rooms is noticed.
function(sluice_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;USES;LIBRARIES" ${ARGN})
  string(REPLACE "/" "_" target ${name})
  add_library(sluice_${target} STATIC ${ROOM_SOURCES})
  list(TRANSFORM ROOM_USES PREPEND sluice_)
  target_link_libraries(sluice_${target} PUBLIC ${ROOM_USES} ${ROOM_LIBRARIES} sluice_flags)
endfunction()
