# Read when the package is made.
find_program(HP_SHLIBDEPS dpkg-shlibdeps)
if(NOT HP_SHLIBDEPS)
  message(FATAL_ERROR "hostpair: dpkg-shlibdeps is missing, which finds the package's dependencies: install dpkg-dev")
endif()
# Two packages of the same sources are equal: every file in them has the time of the last commit.
if(NOT DEFINED ENV{SOURCE_DATE_EPOCH})
  execute_process(COMMAND git -C ${CPACK_HP_SOURCE_DIR} log -1 --format=%ct OUTPUT_VARIABLE seconds
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(failed)
    set(seconds 1767225600) # no git here: 2026-01-01
  endif()
  set(ENV{SOURCE_DATE_EPOCH} ${seconds})
endif()
