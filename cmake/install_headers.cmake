# Run at install time: copies the public headers into include/folio. In the checkout they include one another as
# "core/tensor.h", from src/; installed they say <folio/core/tensor.h>, so that a user's include path has one name of
# folio's and no more.
foreach(header ${folio_public_headers})
  file(READ "${folio_source}/src/${header}" content)
  string(REGEX REPLACE "#include \"([a-z_0-9/]+\\.h)\"" "#include <folio/\\1>" content "${content}")
  set(target "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/include/folio/${header}")
  set(before "")
  if(EXISTS "${target}")
    file(READ "${target}" before)
  endif()
  if(NOT content STREQUAL before)
    message(STATUS "Installing: ${target}")
    file(WRITE "${target}" "${content}")
  endif()
endforeach()
