# folio-cuda.so, the backend of NVIDIA GPUs: a plug-in that the program opens at run time (src/backend/plugin.h), so that
# one build runs with and without a GPU. It has its own copies of the few functions of folio that it needs, and exports what
# plugin.h says: nothing of it meets a symbol of who opens it. The CUDA runtime is linked statically and asks for a driver
# only when it is called; cublasLt is found at run time.
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(folio_nvcc nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin NO_CACHE)
  if(NOT folio_nvcc)
    message(FATAL_ERROR "FOLIO_CUDA is on and nvcc was found neither on PATH nor in /usr/local/cuda: install the CUDA 13 "
      "toolkit, or configure the preset `release`")
  endif()
  set(CMAKE_CUDA_COMPILER ${folio_nvcc})
endif()
set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 90-virtual CACHE STRING "what the GPU's code is compiled for")
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
set(CMAKE_CUDA_FLAGS_RELEASE "-O2")  # of what runs on the host
if(FOLIO_CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()
enable_language(CUDA)
set(CMAKE_CUDA_STANDARD 20)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # nvcc has it from 12.0 on, CMake knows it from 3.26 on
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
find_package(CUDAToolkit 13 REQUIRED)
include(cmake/cuda_headers.cmake)
folio_require_cuda_headers(${CUDAToolkit_INCLUDE_DIRS})

set(cuda_libraries ${CUDAToolkit_LIBRARY_DIR} /usr/local/cuda/lib64)
file(GLOB cuda_sources CONFIGURE_DEPENDS src/backend/cuda/*.cu src/backend/cuda/*.cpp)
set(cuda_own_copies src/backend/backend.cpp src/backend/communicator.cpp src/backend/plugin_abi.cpp src/core/error.cpp
  src/core/tensor.cpp)
add_library(folio_cuda MODULE ${cuda_sources} ${cuda_own_copies})
set_target_properties(folio_cuda PROPERTIES PREFIX "" OUTPUT_NAME folio-cuda
  INSTALL_RPATH "$ORIGIN;${cuda_libraries}")
target_include_directories(folio_cuda PRIVATE src)
target_compile_definitions(folio_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:FMT_USE_CONSTEXPR=1>)
target_compile_options(folio_cuda PRIVATE
  "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;--expt-extended-lambda;-Werror=all-warnings;-Xcompiler=-Wall,-Wextra,-Werror>")
target_link_libraries(folio_cuda PRIVATE fmt::fmt CUDA::cudart_static CUDA::cublasLt ${CMAKE_DL_LIBS})
target_link_options(folio_cuda PRIVATE LINKER:--version-script=${CMAKE_SOURCE_DIR}/cmake/plugin.map LINKER:-z,defs)
set_target_properties(folio_cuda PROPERTIES LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/plugin.map)

add_dependencies(folio_program folio_cuda)
install(TARGETS folio_cuda LIBRARY DESTINATION ${folio_plugins})
