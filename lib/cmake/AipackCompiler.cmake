# Two private interface targets carry how aipack is compiled; nothing sets directory-wide or global flags.
add_library(aipack_settings INTERFACE)
target_compile_features(aipack_settings INTERFACE cxx_std_20)
set_target_properties(aipack_settings PROPERTIES INTERFACE_POSITION_INDEPENDENT_CODE ON)
target_compile_options(aipack_settings INTERFACE -fvisibility=hidden -fvisibility-inlines-hidden)
# No path of the build machine in binaries: __FILE__ and debug info are relative to the source tree.
target_compile_options(aipack_settings INTERFACE "-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.")
target_compile_definitions(aipack_settings INTERFACE _FILE_OFFSET_BITS=64)
foreach(sanitizer IN LISTS AIPACK_SANITIZE)
  target_compile_options(aipack_settings INTERFACE -fsanitize=${sanitizer} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(aipack_settings INTERFACE -fsanitize=${sanitizer})
endforeach()

# libFuzzer steers by coverage: the library itself must be instrumented, not only the target's main file.
if(AIPACK_BUILD_FUZZERS)
  target_compile_options(aipack_settings INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(aipack_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()

add_library(aipack_warnings INTERFACE)
target_compile_options(aipack_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
  -Wcast-qual -Wformat=2 -Wimplicit-fallthrough -Wnull-dereference
  # Designated initialisers that leave members at their documented defaults are the house form (style.md, rule 7).
  -Wno-missing-field-initializers
  $<$<BOOL:${AIPACK_WERROR}>:-Werror>)
# GCC 12 reports false positives of these deep inside libstdc++ when it inlines std::string and std::variant at -O2.
target_compile_options(aipack_warnings INTERFACE
  $<$<CXX_COMPILER_ID:GNU>:-Wno-null-dereference -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds -Wno-dangling-pointer>)
