#include "aipack/fs/root_path.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace aipack::fs {

namespace {

/// Why `text`, freed of its prefix and trailing slash, is no path beneath a root; empty when it is
/// one.
std::string_view fault_of(std::string_view text) {
  if (text.size() > RootPath::max_bytes) {
    return "longer than 4096 bytes";
  }
  if (text.find('\0') != std::string_view::npos) {
    return "it contains a NUL byte";
  }
  if (text.empty()) {
    return {};
  }
  for (const auto part : split(text, '/')) {
    if (part.empty()) {
      return "it has an empty part";
    }
    if (part == "." || part == "..") {
      return "it has a part '.' or '..'";
    }
    if (part.size() > RootPath::max_part_bytes) {
      return "a part is longer than 255 bytes";
    }
  }
  return {};
}

/// Without one leading "/" or "./" and one trailing "/". "." and "./" are the root; an empty text
/// is one too.
std::string_view strip(std::string_view text) noexcept {
  if (text == ".") {
    return {};
  }
  if (text.starts_with("./")) {
    text.remove_prefix(2);
  } else if (text.starts_with('/')) {
    text.remove_prefix(1);
  }
  if (text.ends_with('/')) {
    text.remove_suffix(1);
  }
  return text;
}

} // namespace

RootPath RootPath::parse(std::string_view text) {
  const auto inner = strip(text);
  if (const auto fault = fault_of(inner); !fault.empty()) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot use the path {}: {}", quoted(text), fault));
  }
  return RootPath(std::string(inner));
}

std::optional<RootPath> RootPath::try_parse(std::string_view text) {
  const auto inner = strip(text);
  if (!fault_of(inner).empty()) {
    return std::nullopt;
  }
  return RootPath(std::string(inner));
}

std::string_view RootPath::filename() const noexcept {
  const auto slash = text_.rfind('/');
  return std::string_view(text_).substr(slash == std::string::npos ? 0 : slash + 1);
}

RootPath RootPath::parent() const {
  const auto slash = text_.rfind('/');
  return slash == std::string::npos ? RootPath() : RootPath(text_.substr(0, slash));
}

RootPath RootPath::operator/(std::string_view relative) const {
  const auto below = parse(relative);
  if (is_root() || below.is_root()) {
    return is_root() ? below : *this;
  }
  return parse(text_ + "/" + below.text_); // the length is checked again
}

bool RootPath::is_within(const RootPath& directory) const noexcept {
  return directory.is_root() ||
         (text_.starts_with(directory.text_) &&
          (text_.size() == directory.text_.size() || text_[directory.text_.size()] == '/'));
}

RootPath RootPath::resolve_link(std::string_view target) const {
  std::string walked = target.starts_with('/') ? std::string() : parent().text_;
  for (const auto part : split(target, '/')) {
    if (part.empty() || part == ".") {
      continue;
    }
    if (part == "..") {
      const auto slash = walked.rfind('/');
      walked.resize(slash == std::string::npos ? 0 : slash);
      continue;
    }
    if (!walked.empty()) {
      walked += '/';
    }
    walked += part;
  }
  return parse(walked);
}

std::strong_ordering RootPath::operator<=>(const RootPath& other) const noexcept {
  const auto [mine, theirs] =
      std::mismatch(text_.begin(), text_.end(), other.text_.begin(), other.text_.end());
  if (mine == text_.end() || theirs == other.text_.end()) {
    return text_.size() <=> other.text_.size();
  }
  // "/" sorts before every other byte: comparing whole paths then equals comparing part by part.
  const auto rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c) + 1; };
  return rank(*mine) <=> rank(*theirs);
}

} // namespace aipack::fs
