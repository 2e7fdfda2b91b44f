# Fuzz targets: every tests/fuzz/fuzz_<what>.c becomes a program with libFuzzer, AddressSanitizer and
# UndefinedBehaviorSanitizer. Configure with -DHP_FUZZ=ON -DCMAKE_C_COMPILER=clang; the libraries are built with coverage, too.
# tests/fuzz/run does it all. The first line of a target names the libraries that it needs: "// libs: discovery base".
if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "HP_FUZZ needs clang: -DCMAKE_C_COMPILER=clang")
endif()

# Whatever is fuzzed must report where it went.
target_compile_options(hp_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined)
target_link_options(hp_flags INTERFACE -fsanitize=address,undefined)

file(GLOB fuzz_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_*.c)
foreach(source ${fuzz_sources})
  get_filename_component(target ${source} NAME_WE)
  file(STRINGS ${source} line LIMIT_COUNT 1 REGEX "^// libs:")
  string(REGEX REPLACE "^// libs:[ \t]*" "" libs "${line}")
  string(REGEX REPLACE "[ \t,]+" ";" libs "${libs}")
  list(TRANSFORM libs PREPEND hp_)
  add_executable(${target} ${source})
  target_link_libraries(${target} PRIVATE hp_flags ${libs} PkgConfig::UV PkgConfig::CURL PkgConfig::JANSSON
    PkgConfig::SQLITE PkgConfig::CRYPTO PkgConfig::GNUTLS Threads::Threads)
  target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
  list(APPEND fuzz_targets ${target})
endforeach()
add_custom_target(fuzz DEPENDS ${fuzz_targets})
