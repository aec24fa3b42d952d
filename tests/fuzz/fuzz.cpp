#include "tests/fuzz/fuzz.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "core/error.h"

#if defined(__SANITIZE_ADDRESS__)
#define FOLIO_COUNTS_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FOLIO_COUNTS_MEMORY 1
#endif
#endif
#ifdef FOLIO_COUNTS_MEMORY
// Of the sanitizers' allocator interface, whose header comes with clang alone.
extern "C" {
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(void const volatile*, size_t),
                                              void (*on_free)(void const volatile*));
size_t __sanitizer_get_allocated_size(void const volatile* at);
}
#endif

namespace folio::fuzz {
namespace {

std::atomic<int64_t> held{0}, most{0};  // bytes since a run began

#ifdef FOLIO_COUNTS_MEMORY
void on_malloc(void const volatile*, size_t size) {
  int64_t const now = held += int64_t(size);
  int64_t seen = most;
  while (now > seen && !most.compare_exchange_weak(seen, now)) {}
}
void on_free(void const volatile* at) {
  if (at) held -= int64_t(__sanitizer_get_allocated_size(at));
}

[[maybe_unused]] bool const watched = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0;
#endif

[[noreturn]] void broken(std::string const& sentence) {
  std::fprintf(stderr, "fuzz: %s\n", sentence.c_str());
  std::abort();
}

class Folder {
 public:
  Folder() {
    Path const memory = "/dev/shm";
    std::error_code error;
    Path const above = std::filesystem::is_directory(memory, error) ? memory : std::filesystem::temp_directory_path();
    path_ = above / fmt::format("folio-fuzz-{}", ::getpid());
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Path const& path() const { return path_; }

 private:
  Path path_;
};

}  // namespace

int run(std::function<void()> const& reader, size_t size, Memory memory) {
  held = most = 0;
  try {
    reader();
  } catch (Error const& e) {
    bool const of_the_input =
        e.fault == Fault::content || e.fault == Fault::missing || e.fault == Fault::value || e.fault == Fault::usage;
    if (!of_the_input) broken(fmt::format("fault {}: {}", int(e.fault), e.what()));
  } catch (std::exception const& e) {
    broken(fmt::format("an exception that is no Error: {}", e.what()));
  }
  auto const allowed = int64_t(memory.each * double(size)) + int64_t(kAllowance);
  if (most > allowed)
    broken(fmt::format("{} bytes were held for an input of {}; {} are allowed", most.load(), size, allowed));
  return 0;
}

Path const& folder() {
  static Folder const made;
  return made.path();
}

Path put(std::string const& name, std::string_view bytes) {
  Path const path = folder() / name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
  return path;
}

std::vector<std::string_view> parts(std::string_view bytes, size_t count) {
  std::vector<std::string_view> all;
  while (all.size() + 1 < count) {
    size_t const end = std::min(bytes.find('\x1e'), bytes.size());
    all.push_back(bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  all.push_back(bytes);
  return all;
}

}  // namespace folio::fuzz
