# aipack_component(<name> SOURCES <files> [DEPENDS <lower components>] [LIBRARIES <third party targets>])
#
# One folder of lib/ with its twin in include/aipack/. Each is an object library, linked only against lower floors, so that a component
# and its unit tests build before the ones above it compile; `aipack` joins them into the one library that users see.
function(aipack_component name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  set_property(GLOBAL PROPERTY AIPACK_DEPENDS_${name} "${arg_DEPENDS}")
  set_property(GLOBAL PROPERTY AIPACK_LIBRARIES_${name} "${arg_LIBRARIES}")
  if(NOT arg_SOURCES)
    return()
  endif()
  add_library(aipack_${name} OBJECT ${arg_SOURCES})
  target_include_directories(aipack_${name}
    PUBLIC "${PROJECT_SOURCE_DIR}/include" "${PROJECT_BINARY_DIR}/include" PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
  target_link_libraries(aipack_${name} PRIVATE aipack_settings aipack_warnings ${arg_LIBRARIES})
  set_property(GLOBAL APPEND PROPERTY AIPACK_COMPONENTS ${name})
endfunction()

# Every component that `names` stand on, themselves included, each once.
function(aipack_component_closure out)
  set(pending ${ARGN})
  set(seen "")
  while(pending)
    list(POP_FRONT pending name)
    if(NOT name IN_LIST seen)
      list(APPEND seen ${name})
      get_property(depends GLOBAL PROPERTY AIPACK_DEPENDS_${name})
      list(APPEND pending ${depends})
    endif()
  endwhile()
  set(${out} ${seen} PARENT_SCOPE)
endfunction()

# Links the objects of `components` (closure included) and their third-party libraries into `target`.
function(aipack_link_components target)
  aipack_component_closure(closure ${ARGN})
  foreach(name IN LISTS closure)
    get_property(libraries GLOBAL PROPERTY AIPACK_LIBRARIES_${name})
    if(TARGET aipack_${name})
      target_link_libraries(${target} PRIVATE aipack_${name} ${libraries})
    endif()
  endforeach()
endfunction()
