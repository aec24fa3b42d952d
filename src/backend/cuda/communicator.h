// The communicator of GPUs of one machine.
#pragma once

#include "backend/communicator.h"

namespace folio::cuda {

/// See folio::make_nccl.
std::vector<std::unique_ptr<Communicator>> make_nccl(std::span<Backend* const>);

}  // namespace folio::cuda
