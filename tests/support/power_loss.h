// What a loss of power may leave on a disk. The calls of a program that change files (tests/preload records them, with
// their data) are played on a disk as POSIX describes it: what was written is sure to be there once its file was
// synced, and a name once its folder was; until then each may be there, or not, or, of data, in part.
#pragma once

#include <algorithm>
#include <map>
#include <random>

#include "core/error.h"
#include "core/file.h"

namespace folio::test {

struct TracedCall {  // see tests/preload/failing_calls.cpp
  std::string op, path, second, data;
};

inline std::vector<TracedCall> read_trace(Path const& file, bool with_data) {
  std::string const text = read_file(file);
  std::vector<TracedCall> calls;
  for (size_t at = 0; at < text.size();) {
    size_t const end = text.find('\n', at);
    if (end == text.npos) break;  // the process died here
    std::vector<std::string> parts(1);
    for (char const c : text.substr(at, end - at))
      if (c == '\t') parts.emplace_back();
      else parts.back() += c;
    check(parts.size() == 4, "the trace has the line {}", text.substr(at, end - at));
    at = end + 1;
    TracedCall call{parts[0], parts[1], parts[2], {}};
    if (with_data && call.op == "write") {
      size_t const bytes = std::stoul(parts[3]);
      call.data = text.substr(at, bytes);
      at += bytes + 1;
    }
    calls.push_back(std::move(call));
  }
  return calls;
}

using Tree = std::map<std::string, std::optional<std::string>>;  // path → content; none: a folder

class Disk {
 public:
  explicit Disk(Path root) : root_(std::move(root)), nodes_(1) { nodes_[0].folder = true; }

  void play(TracedCall const& call) {
    auto const& [op, path, second, data] = call;
    auto const [folder, name] = place_of(path);
    if (op == "create" || op == "mkdir") {
      nodes_.push_back({.folder = op == "mkdir"});
      change(folder, {{name, int(nodes_.size()) - 1}});
    } else if (op == "write") {
      std::string& content = node(path).content;
      size_t const offset = std::stoul(second);
      content.resize(std::max(content.size(), offset + data.size()));
      content.replace(offset, data.size(), data);
    } else if (op == "truncate") {
      node(path).content.resize(std::stoul(second));
    } else if (op == "sync") {
      Node& n = node(path);
      n.durable = n.content, n.durable_names = n.names;
      n.pending.clear();
    } else if (op == "rename") {
      auto const [from_folder, from] = place_of(second);
      check(from_folder == folder, "{} to {}: not in one folder", second, path);
      change(folder, {{name, nodes_[size_t(folder)].names.at(from)}, {from, -1}});
    } else if (op == "exchange") {
      auto const& names = nodes_[size_t(folder)].names;
      std::string const other = place_of(second).second;
      change(folder, {{name, names.at(other)}, {other, names.at(name)}});
    } else if (op == "unlink" || op == "rmdir") {
      change(folder, {{name, -1}});
    } else {
      check(op == "open", "a call {} is in the trace", op);
    }
  }

  /// As the process sees it: what a kill leaves.
  Tree seen() const {
    return tree([](size_t) { return true; }, [](Node const& n) { return n.content; });
  }
  /// Only what is sure.
  Tree sure() const {
    return tree([](size_t) { return false; }, [](Node const& n) { return n.durable; });
  }
  /// All names, and of the data what is sure: files of no bytes where one forgot to sync.
  Tree names_before_data() const {
    return tree([](size_t) { return true; }, [](Node const& n) { return n.durable; });
  }
  /// Each change that is not sure made or lost by chance, and data that are not sure there, lost, cut or overwritten.
  Tree by_chance(std::mt19937& random) const {
    unsigned const likely = random() % 5;  // of 4
    return tree([&](size_t) { return random() % 4 < likely; },
                [&](Node const& n) {
                  if (n.content == n.durable || random() % 3 == 0) return n.durable;
                  std::string torn = n.content;
                  if (random() % 3 == 0) return torn;
                  size_t same = 0;  // what was synced stays
                  while (same < std::min(torn.size(), n.durable.size()) && torn[same] == n.durable[same]) ++same;
                  size_t const from = same + random() % (torn.size() - same + 1);
                  if (random() % 2) torn.resize(from);
                  else std::fill(torn.begin() + long(from), torn.end(), random() % 2 ? '\0' : 'x');
                  return torn;
                });
  }
  /// The number `lost` of the changes of names that are not sure is lost, and nothing else.
  Tree without(size_t lost) const {
    return tree([&](size_t n) { return n != lost; }, [](Node const& n) { return n.content; });
  }
  size_t unsure() const {
    size_t n = 0;
    for (Node const& node : nodes_) n += node.pending.size();
    return n;
  }

 private:
  using Change = std::vector<std::pair<std::string, int>>;  // names and what they are from then on; −1: nothing
  struct Node {
    bool folder = false;
    std::string content = {}, durable = {};
    std::map<std::string, int> names = {}, durable_names = {};
    std::vector<Change> pending = {};
  };

  static void make(std::map<std::string, int>& names, Change const& c) {
    for (auto const& [name, is] : c)
      if (is < 0) names.erase(name);
      else names[name] = is;
  }
  void change(int folder, Change const& c) {
    make(nodes_[size_t(folder)].names, c);
    nodes_[size_t(folder)].pending.push_back(c);
  }
  int find(Path const& path) const {
    int at = 0;
    Path const below = path.lexically_relative(root_);
    for (Path const& part : below)
      if (part != ".") at = nodes_[size_t(at)].names.at(part.string());
    return at;
  }
  Node& node(Path const& path) { return nodes_[size_t(find(path))]; }
  std::pair<int, std::string> place_of(Path const& path) const {
    if (path == root_) return {0, ""};
    return {find(path.parent_path()), path.filename().string()};
  }

  // kept(n): whether change n that is not sure is made; content(node): what of a file is there.
  template <class Kept, class Content>
  Tree tree(Kept kept, Content content) const {
    size_t number = 0;
    std::vector<std::map<std::string, int>> names;
    for (Node const& n : nodes_) {
      names.push_back(n.durable_names);
      for (Change const& c : n.pending)
        if (kept(number++)) make(names.back(), c);
    }
    Tree out;
    auto const add = [&](auto const& self, int at, std::string const& path) -> void {
      for (auto const& [name, child] : names[size_t(at)]) {
        Node const& n = nodes_[size_t(child)];
        if (n.folder) out[path + name] = std::nullopt, self(self, child, path + name + "/");
        else out[path + name] = content(n);
      }
    };
    add(add, 0, "");
    return out;
  }

  Path root_;
  std::vector<Node> nodes_;
};

/// Makes the tree below `at`, which is made anew.
inline void make_tree(Path const& at, Tree const& tree) {
  std::filesystem::remove_all(at);
  std::filesystem::create_directories(at);
  for (auto const& [path, content] : tree)
    if (!content) {
      std::filesystem::create_directory(at / path);
    } else {
      std::FILE* const out = std::fopen((at / path).c_str(), "w");
      std::fwrite(content->data(), 1, content->size(), out);
      std::fclose(out);
    }
}

}  // namespace folio::test
