# Gives LibSolv::solv and LibSolv::solvext (libsolv's own module lacks imported targets).
find_package(PkgConfig QUIET)
pkg_check_modules(PC_LibSolv QUIET libsolv)
find_path(LibSolv_INCLUDE_DIR solv/pool.h HINTS ${PC_LibSolv_INCLUDE_DIRS})
find_path(LibSolv_EXT_INCLUDE_DIR solv/repo_deb.h HINTS ${PC_LibSolv_INCLUDE_DIRS})
find_library(LibSolv_LIBRARY solv HINTS ${PC_LibSolv_LIBRARY_DIRS})
find_library(LibSolv_EXT_LIBRARY solvext HINTS ${PC_LibSolv_LIBRARY_DIRS})
set(LibSolv_VERSION ${PC_LibSolv_VERSION})
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibSolv
  REQUIRED_VARS LibSolv_LIBRARY LibSolv_EXT_LIBRARY LibSolv_INCLUDE_DIR LibSolv_EXT_INCLUDE_DIR VERSION_VAR LibSolv_VERSION)
if(LibSolv_FOUND AND NOT TARGET LibSolv::solv)
  add_library(LibSolv::solv UNKNOWN IMPORTED)
  set_target_properties(LibSolv::solv PROPERTIES
    IMPORTED_LOCATION "${LibSolv_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${LibSolv_INCLUDE_DIR}")
  add_library(LibSolv::solvext UNKNOWN IMPORTED)
  set_target_properties(LibSolv::solvext PROPERTIES
    IMPORTED_LOCATION "${LibSolv_EXT_LIBRARY}" INTERFACE_LINK_LIBRARIES LibSolv::solv)
endif()
mark_as_advanced(LibSolv_INCLUDE_DIR LibSolv_EXT_INCLUDE_DIR LibSolv_LIBRARY LibSolv_EXT_LIBRARY)
