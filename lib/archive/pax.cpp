#include "pax.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <cassert>
#include <set>

#include <fmt/format.h>

namespace aipack::archive {

namespace {

/// "-?DIGITS(.DIGITS)?", rounded down to whole seconds.
std::optional<std::int64_t> parse_time(std::string_view text) {
  const bool negative = text.starts_with('-');
  text.remove_prefix(negative ? 1 : 0);
  const auto dot = text.find('.');
  const auto seconds = parse_decimal(text.substr(0, dot));
  if (!seconds || *seconds >= static_cast<std::uint64_t>(INT64_MAX)) {
    return std::nullopt;
  }
  bool has_fraction = false;
  if (dot != std::string_view::npos) {
    for (const char c : text.substr(dot + 1)) {
      if (c < '0' || c > '9') {
        return std::nullopt;
      }
      has_fraction = has_fraction || c != '0';
    }
  }
  const auto whole = static_cast<std::int64_t>(*seconds);
  return negative ? -whole - (has_fraction ? 1 : 0) : whole;
}

} // namespace

PaxValues parse_pax(std::string_view body, const std::string& file, std::uint64_t offset) {
  PaxValues values;
  std::set<std::string, std::less<>> seen;
  const std::size_t whole = body.size();
  const auto fail = [&](std::string_view cause) {
    throw FormatError(file, offset + (whole - body.size()), cause);
  };
  const auto number = [&](std::string_view text) {
    const auto value = parse_decimal(text);
    if (!value) {
      fail("a PAX record holds a malformed number");
    }
    return value;
  };
  while (!body.empty()) {
    const auto space = body.find(' ');
    const auto length = parse_decimal(body.substr(0, space));
    // "N k=\n" is the shortest: its length covers the digits, the space, the key, "=" and the
    // newline.
    if (space == std::string_view::npos || !length || *length > body.size() ||
        *length < space + 4) {
      fail("a PAX record has a malformed length");
    }
    const auto record = body.substr(0, static_cast<std::size_t>(*length)).substr(space + 1);
    const auto equals = record.find('=');
    if (record.back() != '\n' || equals == std::string_view::npos || equals == 0) {
      fail("a PAX record is not 'KEY=VALUE'");
    }
    const auto key = record.substr(0, equals);
    const auto value = record.substr(equals + 1, record.size() - equals - 2);
    const auto text = [&] {
      if (value.find('\0') != std::string_view::npos) {
        fail("a PAX record holds a NUL byte in a name");
      }
      return value.empty() ? std::nullopt : std::optional(std::string(value));
    };
    // Which of two values counts is where readers differ, and what hostile archives build on.
    const auto once = [&] {
      if (!seen.emplace(key).second) {
        fail(fmt::format("the PAX record {} is given twice", quoted(key)));
      }
      return true;
    };
    if (key.starts_with("GNU.sparse.")) {
      fail("sparse members are not supported");
    } else if (key == "path" && once()) {
      values.path = text();
    } else if (key == "linkpath" && once()) {
      values.link_path = text();
    } else if (key == "uname" && once()) {
      values.user_name = text();
    } else if (key == "gname" && once()) {
      values.group_name = text();
    } else if (key == "size" && once() && !value.empty()) {
      values.size = number(value);
    } else if (key == "uid" && once() && !value.empty()) {
      values.uid = number(value);
    } else if (key == "gid" && once() && !value.empty()) {
      values.gid = number(value);
    } else if (key == "mtime" && once() && !value.empty()) {
      values.mtime = parse_time(value);
      if (!values.mtime) {
        fail("a PAX record holds a malformed time");
      }
    }
    body.remove_prefix(static_cast<std::size_t>(*length));
  }
  return values;
}

std::string pax_record(std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3; // " ", "=" and "\n"
  // The length counts its own digits: one more digit can ask for one more digit, but only once.
  std::size_t length = rest + fmt::formatted_size("{}", rest);
  length = rest + fmt::formatted_size("{}", length);
  return fmt::format("{} {}={}\n", length, key, value);
}

std::string pax_filler(std::uint64_t length) {
  assert(length >= min_pax_filler_bytes);
  std::string record = fmt::format("{} comment=", length);
  // Any length can be met exactly: the digits are those of `length` itself, and the value takes
  // what is left.
  record.resize(static_cast<std::size_t>(length) - 1, '.');
  record += '\n';
  return record;
}

} // namespace aipack::archive
