# What the build links. All of it comes from the system's packages (scripts/bootstrap installs them); nothing is
# fetched at configure time.
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(tomlplusplus QUIET)  # Debian's headers come without a CMake file in some releases
if(NOT FOLIO_FUZZ)  # which compiles no backend that computes
  find_package(OpenMP REQUIRED COMPONENTS CXX)
endif()
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(CLI11 REQUIRED)

function(folio_require_header header package)
  find_path(${package}_INCLUDE ${header})
  if(NOT ${package}_INCLUDE)
    message(FATAL_ERROR "${header} was not found: run scripts/bootstrap, which installs ${package}")
  endif()
endfunction()
function(folio_require_library name package)
  find_library(${package}_LIBRARY ${name})
  if(NOT ${package}_LIBRARY)
    message(FATAL_ERROR "lib${name} was not found: run scripts/bootstrap, which installs ${package}")
  endif()
endfunction()

folio_require_header(toml++/toml.h libtomlplusplus-dev)
folio_require_header(xxhash.h libxxhash-dev)
folio_require_header(oneapi/dnnl/dnnl.hpp libdnnl-dev)
folio_require_library(dnnl libdnnl-dev)
folio_require_library(xxhash libxxhash-dev)

add_library(folio_dependencies INTERFACE)
target_include_directories(folio_dependencies SYSTEM INTERFACE
  ${libtomlplusplus-dev_INCLUDE} ${libxxhash-dev_INCLUDE} ${libdnnl-dev_INCLUDE})
target_link_libraries(folio_dependencies INTERFACE spdlog::spdlog nlohmann_json::nlohmann_json
  ${libdnnl-dev_LIBRARY} ${libxxhash-dev_LIBRARY} OpenSSL::Crypto Threads::Threads ${CMAKE_DL_LIBS})

add_library(folio_cli_dependencies INTERFACE)
target_link_libraries(folio_cli_dependencies INTERFACE CLI11::CLI11)
