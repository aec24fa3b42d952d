// Where folio keeps what it did not get as an argument.
#pragma once

#include "core/file.h"

namespace folio {

/// $FOLIO_DATA, else $XDG_DATA_HOME/folio, else $HOME/.local/share/folio (an XDG_DATA_HOME
/// that is no absolute path is passed over, as its specification says). It need not exist: set-up makes it. It holds
/// gpt2/encoder.json and gpt2/vocab.bpe (the GPT-2 vocabulary) and shakespeare/. Throws Fault::missing where none of
/// the three variables is set.
Path data_directory();

/// $TMPDIR, else /tmp. Throws Fault::io where that is no folder.
Path temporary_folder();

}  // namespace folio
