// The communicator of GPUs of one machine.
#pragma once

#include "backend/communicator.h"

namespace folio::cuda {

/// See folio::make_nccl.
std::vector<std::unique_ptr<Communicator>> make_nccl(std::span<Backend* const>);

/// "NCCL 2.28.3"; throws Fault::device where its library cannot be opened, with the loader's words.
std::string nccl_version();

}  // namespace folio::cuda
