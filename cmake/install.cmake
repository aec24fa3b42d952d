# libfolio.so, and what `cmake --install` copies: the program, the library with its headers and its CMake package, manual
# pages and completions. The tree may be moved as a whole afterwards.
include(CMakePackageConfigHelpers)
include(cmake/public_headers.cmake)

add_library(folio SHARED ${folio_objects})
target_compile_features(folio PUBLIC cxx_std_20)
target_include_directories(folio INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(folio PRIVATE fmt::fmt folio_dependencies OpenMP::OpenMP_CXX)
target_link_options(folio PRIVATE LINKER:--version-script=${CMAKE_SOURCE_DIR}/cmake/libfolio.map)
set_target_properties(folio PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
  LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/libfolio.map)

install(TARGETS folio EXPORT folio-targets)
install(TARGETS folio_program)
install(CODE "set(folio_source \"${CMAKE_SOURCE_DIR}\")\nset(folio_public_headers \"${folio_public_headers}\")")
install(SCRIPT cmake/install_headers.cmake)

set(folio_package ${CMAKE_INSTALL_LIBDIR}/cmake/folio)
install(EXPORT folio-targets NAMESPACE folio:: DESTINATION ${folio_package})
configure_package_config_file(cmake/folio-config.cmake.in ${CMAKE_BINARY_DIR}/generated/folio-config.cmake
  INSTALL_DESTINATION ${folio_package})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/generated/folio-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/generated/folio-config.cmake ${CMAKE_BINARY_DIR}/generated/folio-config-version.cmake
  DESTINATION ${folio_package})
install(FILES LICENSE NOTICE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/share/man/man1/folio.1
  COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:folio_program> -DSHARE=${CMAKE_BINARY_DIR}/share
    -P ${CMAKE_SOURCE_DIR}/cmake/pages.cmake
  DEPENDS folio_program ${CMAKE_SOURCE_DIR}/cmake/pages.cmake VERBATIM)
add_custom_target(folio_pages ALL DEPENDS ${CMAKE_BINARY_DIR}/share/man/man1/folio.1)
install(DIRECTORY ${CMAKE_BINARY_DIR}/share/ DESTINATION ${CMAKE_INSTALL_DATAROOTDIR})
