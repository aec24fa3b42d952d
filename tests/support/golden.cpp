#include "tests/support/golden.h"
#include "core/error.h"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace folio::test {
namespace {

model::Config config_of(nlohmann::json const& m) {
  return {.layers = m.at("layers"),
          .heads = m.at("heads"),
          .channels = m.at("channels"),
          .vocab = m.at("vocab"),
          .context = m.at("context"),
          .bias = m.at("bias"),
          .tied = m.at("tied"),
          .dropout = {}};
}

Golden::Entry entry_of(nlohmann::json const& e, std::string_view data) {
  std::string const type = e.at("dtype");
  Golden::Entry entry{type == "F64" ? DType::f64 : type == "F32" ? DType::f32 : DType::i32, {}, {}};
  std::vector<int64_t> const dims = e.at("shape");
  check(type == "F64" || type == "F32" || type == "I32", "golden dtype {}", type);
  check(dims.size() >= 1 && dims.size() <= 3, "golden shape of rank {}", dims.size());
  entry.shape = dims.size() == 1   ? Shape{dims[0]}
                : dims.size() == 2 ? Shape{dims[0], dims[1]}
                                   : Shape{dims[0], dims[1], dims[2]};
  size_t const begin = e.at("data_offsets").at(0), end = e.at("data_offsets").at(1);
  check(begin <= end && end <= data.size() && end - begin == entry.shape.size() * size_of(entry.dtype),
        "golden tensor {} at [{}, {}) of {} bytes", entry.shape, begin, end, data.size());
  entry.bytes.assign(data.begin() + begin, data.begin() + end);
  return entry;
}

template <class From, class To>
std::vector<To> converted(Golden::Entry const& e) {
  std::vector<From> v(e.bytes.size() / sizeof(From));
  std::memcpy(v.data(), e.bytes.data(), e.bytes.size());
  return {v.begin(), v.end()};
}

}  // namespace

Golden::Entry const& Golden::entry(std::string const& name) const {
  auto const found = tensors.find(name);
  check(found != tensors.end(), "no golden tensor {}", name);
  return found->second;
}
std::vector<int32_t> Golden::integers(std::string const& name) const {
  check(entry(name).dtype == DType::i32, "golden {} is {}", name, name_of(entry(name).dtype));
  return converted<int32_t, int32_t>(entry(name));
}
std::vector<double> Golden::values(std::string const& name) const {
  Entry const& e = entry(name);
  check(e.dtype != DType::i32, "golden {} is i32", name);
  return e.dtype == DType::f64 ? converted<double, double>(e) : converted<float, double>(e);
}

Golden read_golden(std::string const& name) {
  char const* source = std::getenv("FOLIO_SOURCE");
  check(source != nullptr, "FOLIO_SOURCE must name the source tree; ctest sets it");
  std::string const path = std::string(source) + "/tests/golden/" + name + ".safetensors";
  std::ifstream file(path, std::ios::binary);
  check(file.good(), "{} cannot be read", path);
  std::stringstream stream;
  stream << file.rdbuf();
  std::string const content = stream.str();
  uint64_t size = 0;
  check(content.size() > 8, "{} has {} bytes", path, content.size());
  std::memcpy(&size, content.data(), 8);
  check(size <= content.size() - 8, "{}: a header of {} bytes", path, size);
  nlohmann::json const header = nlohmann::json::parse(content.substr(8, size));
  nlohmann::json const& about = header.at("__metadata__");
  Golden g{.seed = std::stoull(about.at("seed").get<std::string>()),
           .scale = std::stoi(about.at("scale").get<std::string>()),
           .models = {},
           .tensors = {},
           .numbers = {}};
  nlohmann::json const models = nlohmann::json::parse(about.at("models").get<std::string>());
  for (auto const& [variant, m] : models.items()) {
    g.models[variant] = config_of(m);
    for (auto const& [key, value] : m.items())
      if (variant.empty() && value.is_number()) g.numbers[key] = value;
  }
  for (auto const& [key, e] : header.items())
    if (key != "__metadata__") g.tensors[key] = entry_of(e, std::string_view(content).substr(8 + size));
  return g;
}

}  // namespace folio::test
