// The four types of layers that numbers of many tensors are gathered by.
#pragma once

#include <string_view>

namespace folio::model {

enum class LayerType { embedding, attention, mlp, norm };
inline constexpr LayerType kLayerTypes[] = {LayerType::embedding, LayerType::attention, LayerType::mlp,
                                            LayerType::norm};

inline char const* name_of(LayerType t) {
  constexpr char const* names[] = {"embedding", "attention", "mlp", "norm"};
  return names[static_cast<int>(t)];
}

/// Of a tensor by its name in for_each. A head that is not tied counts as an embedding.
inline LayerType layer_type(std::string_view tensor) {
  if (tensor.find(".attn.") != tensor.npos) return LayerType::attention;
  if (tensor.find(".mlp.") != tensor.npos) return LayerType::mlp;
  return tensor.find("ln_") != tensor.npos ? LayerType::norm : LayerType::embedding;
}

}  // namespace folio::model
