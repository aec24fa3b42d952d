#include "train/log_lines.h"

#include "core/error.h"

namespace folio::train {

LogLines::LogLines(Path const& path, uint64_t from) : path_(path), at_(from) {
  std::error_code error;
  auto const status = std::filesystem::status(path, error);
  check(std::filesystem::exists(status), Fault::missing, "{} does not exist: check the path", path.string());
  check(!std::filesystem::is_directory(status), Fault::content, "{} is a folder: a file is needed here", path.string());
  in_.open(path, std::ios::binary);
  check(in_.is_open(), Fault::io, "{} cannot be read", path.string());
  if (from > 0) in_.seekg(std::streamoff(from));
}

bool LogLines::next(std::string& line) {
  bool const read = bool(std::getline(in_, line));
  check(!in_.bad(), Fault::io, "{}: reading failed after {} bytes", path_.string(), at_);
  torn_ = read && in_.eof();
  if (!read || torn_) return false;
  at_ += line.size() + 1;
  return true;
}

}  // namespace folio::train
