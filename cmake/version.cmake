# What `folio --version` tells: the commit and the compiler, in a header of its own, so that a new commit
# recompiles one file.
find_package(Git QUIET)
set(FOLIO_COMMIT "unknown")
set(FOLIO_DATE "2026-11-22")  # of the commit; of the version where there is no repository
if(GIT_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} -C ${CMAKE_SOURCE_DIR} describe --always --dirty --abbrev=10
    OUTPUT_VARIABLE folio_described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(folio_described)
    set(FOLIO_COMMIT ${folio_described})
    execute_process(COMMAND ${GIT_EXECUTABLE} -C ${CMAKE_SOURCE_DIR} log -1 --format=%cs
      OUTPUT_VARIABLE FOLIO_DATE OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/version.h.in ${CMAKE_BINARY_DIR}/generated/folio_version.h @ONLY)
add_library(folio_version INTERFACE)
target_include_directories(folio_version INTERFACE ${CMAKE_BINARY_DIR}/generated)
