# Writes what the program prints of itself where `cmake --install` finds it: manual pages and completions.
#   cmake -DPROGRAM=build/release/folio -DSHARE=build/release/share -P cmake/pages.cmake
function(told file)
  execute_process(COMMAND ${CMAKE_COMMAND} -E env OMP_WAIT_POLICY=passive ${PROGRAM} ${ARGN}
    OUTPUT_VARIABLE text RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${PROGRAM} ${ARGN} ended with ${code}")
  endif()
  file(WRITE "${SHARE}/${file}" "${text}")
endfunction()

file(REMOVE_RECURSE "${SHARE}")
execute_process(COMMAND ${PROGRAM} help --json OUTPUT_VARIABLE verbs)
string(JSON last LENGTH "${verbs}")
math(EXPR last "${last} - 1")
told(man/man1/folio.1 help --man)
foreach(i RANGE ${last})
  string(JSON verb GET "${verbs}" ${i} verb)
  told(man/man1/folio-${verb}.1 help ${verb} --man)
endforeach()
told(bash-completion/completions/folio completion bash)
told(zsh/site-functions/_folio completion zsh)
told(fish/vendor_completions.d/folio.fish completion fish)
