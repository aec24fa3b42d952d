// FOLIO_API marks what libfolio.so exports: all else in it is hidden. Only public headers (cmake/public_headers.cmake)
// carry the mark, and a test compares them with the symbols of the library.
#pragma once

#define FOLIO_API __attribute__((visibility("default")))
