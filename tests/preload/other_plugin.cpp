// A plug-in that another folio was built with: it must be refused before anything else of it is called.
extern "C" __attribute__((visibility("default"))) char const* folio_plugin_abi() { return "1: folio 0.0.0, g++ 4.1"; }
