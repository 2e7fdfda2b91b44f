# The library that makes system calls fail (tests/faults/run). Without sanitizers, which want to be loaded first.
add_library(hp_faults MODULE ${PROJECT_SOURCE_DIR}/tests/faults/faults.c)
target_link_libraries(hp_faults PRIVATE ${CMAKE_DL_LIBS})
set_target_properties(hp_faults PROPERTIES C_VISIBILITY_PRESET default PREFIX "" OUTPUT_NAME faults LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lab)
