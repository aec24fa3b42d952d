#include "core/json.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/error.h"

namespace folio {

namespace {

using Members = std::vector<std::pair<std::string const, Json>>;  // what an ordered object is underneath

/// Builds the value event by event. nlohmann's parser keeps no stack of calls, so depth costs nothing before it is
/// refused; what is built is shallow enough for nlohmann's recursive copy, dump and destruction.
class Builder : public nlohmann::json_sax<Json> {
 public:
  Builder(std::string const& name, JsonLimits limits) : name_(name), limits_(limits) {}
  Json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool v) override { return add(v); }
  bool number_integer(number_integer_t v) override { return add(v); }
  bool number_unsigned(number_unsigned_t v) override { return add(v); }
  bool number_float(number_float_t v, string_t const&) override { return add(v); }
  bool string(string_t& v) override { return add(std::move(v)); }
  bool binary(binary_t&) override { return false; }  // not in JSON text
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& key) override {
    Level& level = levels_.back();
    check(level.keys.size() < limits_.members, Fault::content, "{}: {} has more than {} members", name_, place(),
          limits_.members);
    if (!level.keys.insert(key).second)
      fail(Fault::content, "{}: the key \"{}\" stands twice in {}", name_, shortened(key), place());
    level.key = std::move(key);
    return true;
  }

  bool parse_error(size_t, std::string const&, nlohmann::detail::exception const& e) override {
    std::string_view reason = e.what();  // "[json.exception.…] parse error at line 1, column 5: …"
    if (size_t const end = reason.find("] "); end != reason.npos) reason.remove_prefix(end + 2);
    fail(Fault::content, "{} is not JSON: {}", name_, shortened(reason));
  }

 private:
  struct Level {
    Json* container;
    std::string key = {};                       // the member being read
    std::unordered_set<std::string> keys = {};  // of an object
  };

  static std::string shortened(std::string_view text) {
    return text.size() <= 200 ? std::string(text) : std::string(text.substr(0, 200)) + "…";
  }

  std::string place() const {  // "/layers/3"
    std::string path;
    for (size_t i = 0; i + 1 < levels_.size(); ++i) {
      Json const& c = *levels_[i].container;
      path += '/' + (c.is_array() ? std::to_string(c.size() - 1) : levels_[i].key);
    }
    return path.empty() ? "the outermost object" : shortened(path);
  }

  Json* put(Json&& value) {
    if (levels_.empty()) return &(root_ = std::move(value));
    Level& level = levels_.back();
    check(!level.container->is_array() || level.container->size() < limits_.items, Fault::content,
          "{}: a list has more than {} items", name_, limits_.items);
    if (level.container->is_array()) return &level.container->get_ref<Json::array_t&>().emplace_back(std::move(value));
    Members& members = level.container->get_ref<Json::object_t&>();  // keys are unique: no search
    return &members.emplace_back(level.key, std::move(value)).second;
  }

  bool add(Json&& value) {
    put(std::move(value));
    return true;
  }

  bool open(Json&& container) {
    check(static_cast<int>(levels_.size()) < limits_.depth, Fault::content,
          "{}: values are nested deeper than {} levels", name_, limits_.depth);
    levels_.push_back({put(std::move(container))});
    return true;
  }

  bool close() {
    levels_.pop_back();
    return true;
  }

  std::string const& name_;
  JsonLimits limits_;
  Json root_;
  std::vector<Level> levels_;
};

Json const* member(Json const& object, std::string const& key, std::string const& name) {
  check(object.is_object(), Fault::content, "{}: an object with \"{}\" was expected, not {}", name, key,
        object.type_name());
  auto const found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

template <class T>
T required(std::optional<T> value, std::string const& key, std::string const& name) {
  check(value.has_value(), Fault::content, "{}: \"{}\" is missing", name, key);
  return *std::move(value);
}

[[noreturn]] void wrong_type(Json const& value, char const* expected, std::string const& key, std::string const& name) {
  std::string shown = dump(value);
  if (shown.size() > 60) shown = shown.substr(0, 60) + "…";
  fail(Fault::content, "{}: \"{}\" is {}, expected {}", name, key, shown, expected);
}

}  // namespace

Json parse_json(std::string_view text, std::string const& name, JsonLimits limits) {
  check(text.size() <= limits.bytes, Fault::content, "{} holds {} bytes; the limit for JSON here is {}", name,
        text.size(), limits.bytes);
  check(text.find('\0') == text.npos, Fault::content, "{} is not JSON: it has a zero byte",
        name);  // an end to nlohmann's eyes
  Builder builder(name, limits);
  bool const whole = Json::sax_parse(text.begin(), text.end(), &builder);
  check(whole, Fault::content, "{} is not JSON", name);
  return builder.take();
}

Json read_json(Path const& path, JsonLimits limits) {
  return parse_json(read_file(path, limits.bytes), path.string(), limits);
}

void write_json(Path const& path, Json const& json, int indent) { write_file(path, dump(json, indent) + '\n'); }

std::string dump(Json const& json, int indent) { return json.dump(indent, ' ', false, Json::error_handler_t::replace); }

std::optional<int64_t> find_integer(Json const& object, std::string const& key, std::string const& name) {
  Json const* value = member(object, key, name);
  if (!value) return std::nullopt;
  if (value->is_number_unsigned() && value->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX))
    return static_cast<int64_t>(value->get<uint64_t>());
  if (value->is_number_integer() && !value->is_number_unsigned()) return value->get<int64_t>();
  if (value->is_number_float()) {  // 1024.0, as some writers have it
    double const v = value->get<double>();
    if (v == std::floor(v) && std::abs(v) <= 9007199254740992.0) return static_cast<int64_t>(v);
  }
  wrong_type(*value, "a whole number below 2^63", key, name);
}

std::optional<double> find_number(Json const& object, std::string const& key, std::string const& name) {
  Json const* value = member(object, key, name);
  if (!value) return std::nullopt;
  if (!value->is_number()) wrong_type(*value, "a number", key, name);
  return value->get<double>();
}

std::optional<std::string> find_string(Json const& object, std::string const& key, std::string const& name) {
  Json const* value = member(object, key, name);
  if (!value) return std::nullopt;
  if (!value->is_string()) wrong_type(*value, "a text", key, name);
  return value->get<std::string>();
}

std::optional<bool> find_bool(Json const& object, std::string const& key, std::string const& name) {
  Json const* value = member(object, key, name);
  if (!value) return std::nullopt;
  if (!value->is_boolean()) wrong_type(*value, "true or false", key, name);
  return value->get<bool>();
}

int64_t get_version(Json const& object, int64_t known, std::string const& name) {
  int64_t const version = get_integer(object, "version", name);
  check(version <= known, Fault::content, "{} has version {}, this folio reads up to {}: use a newer folio", name,
        version, known);
  check(version >= 1, Fault::content, "{} has version {}: there is none of that number, they begin at 1", name,
        version);
  return version;
}

int64_t get_integer(Json const& object, std::string const& key, std::string const& name) {
  return required(find_integer(object, key, name), key, name);
}
double get_number(Json const& object, std::string const& key, std::string const& name) {
  return required(find_number(object, key, name), key, name);
}
std::string get_string(Json const& object, std::string const& key, std::string const& name) {
  return required(find_string(object, key, name), key, name);
}
bool get_bool(Json const& object, std::string const& key, std::string const& name) {
  return required(find_bool(object, key, name), key, name);
}

Json finite_or_null(double v) { return std::isfinite(v) ? Json(v) : Json(nullptr); }

std::string bits_of(double value) { return fmt::format("{:016x}", std::bit_cast<uint64_t>(value)); }

double from_bits(std::string const& text, std::string const& name) {
  uint64_t bits = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits, 16);
  check(text.size() == 16 && error == std::errc{} && end == text.data() + text.size(), Fault::content,
        "{}: \"{}\" is not the bits of a number (16 hexadecimal digits)", name, text.substr(0, 40));
  return std::bit_cast<double>(bits);
}

}  // namespace folio
