# Unit tests: every tests/unit/test_<module>.c becomes the program test_<module> and a ctest entry of that name.
#
# One of the first lines of a test may name the libraries that it needs, so that it can be built while other layers
# do not compile:
#
#   // libs: base db
#
# A test without that line links all of them; "all" stands for them. HP_SOURCE_DIR is the root of the checkout, for fixtures.
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
if(NOT CMOCKA_FOUND)
  message(STATUS "hostpair: cmocka is not installed, the unit tests are not built")
  return()
endif()

set(unit_all_libs api pairing rendezvous settings localsend inbox push traffic peer http transfer message doctor discovery fetch tunnel share store db secure
    identity path archive pool os base)
file(GLOB unit_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/test_*.c)

foreach(source ${unit_sources})
  get_filename_component(test ${source} NAME_WE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})

  file(STRINGS ${source} line LIMIT_INPUT 2000 LIMIT_COUNT 1 REGEX "^// libs:")
  if(line)
    string(REGEX REPLACE "^// libs:[ \t]*" "" libs "${line}")
    string(REGEX REPLACE "[ \t,]+" ";" libs "${libs}")
    list(REMOVE_ITEM libs "")
    list(TRANSFORM libs REPLACE "^all$" "${unit_all_libs}")
  else()
    set(libs ${unit_all_libs})
  endif()
  list(TRANSFORM libs PREPEND hp_)

  add_executable(${test} ${source})
  target_compile_definitions(${test} PRIVATE HP_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${test} PRIVATE hp_flags ${libs} PkgConfig::CMOCKA PkgConfig::UV PkgConfig::CURL
    PkgConfig::JANSSON PkgConfig::SSL PkgConfig::CRYPTO PkgConfig::SQLITE PkgConfig::GNUTLS PkgConfig::ARCHIVE Threads::Threads)
  set_target_properties(${test} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/unit)

  add_test(NAME ${test} COMMAND ${test})
  set_tests_properties(${test} PROPERTIES
    TIMEOUT 180
    ENVIRONMENT "ASAN_OPTIONS=detect_leaks=1:abort_on_error=0;UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1")
endforeach()
