# folio_embed(FILE NAME): the text of FILE as `inline constexpr char NAME[]` in "embedded/NAME.h".
include_directories(${CMAKE_BINARY_DIR}/generated)
function(folio_embed file name)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} content)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/embedded/${name}.h CONTENT
    "#pragma once\ninline constexpr char @name@[] = R\"embedded(@content@)embedded\";\n" @ONLY)
endfunction()

folio_embed(src/report/look.css kLookSheet)
folio_embed(src/cli/score_page.js kScoreScript)
folio_embed(src/report/charts.js kChartScript)
