#include "backend/cpu/kernels/kernels.h"

namespace folio::cpu::FOLIO_LEVEL {

void fill(KernelTable& t) {
  fill_linear(t), fill_norm(t), fill_elementwise(t), fill_attention(t);
  fill_classifier(t), fill_optimizer(t), fill_statistics(t), fill_limits(t);
}

}  // namespace folio::cpu::FOLIO_LEVEL
