#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

/// Tar bytes by hand, right or wrong as a test wants them; free of library code.
namespace aipack::testing {

struct RawMember {
  std::string name{};
  char type = '0';
  std::string content{};
  std::string link_name{};
  std::string prefix{};
  std::string magic = std::string("ustar\00000", 8);
  std::string mode = "0000644";
  std::string uid = "0000000";
  std::string gid = "0000000";
  std::string mtime = "00000000001";
  std::string size{}; ///< empty: the content's, in octal
  std::string user_name{};
  std::string group_name{};
};

inline std::string octal(std::uint64_t value, int digits) {
  char text[32];
  std::snprintf(text, sizeof(text), "%0*llo", digits, static_cast<unsigned long long>(value));
  return text;
}

inline std::string padded(std::string content) {
  content.resize((content.size() + 511) / 512 * 512, '\0');
  return content;
}

inline std::string with_checksum(std::string block) {
  block.replace(148, 8, 8, ' ');
  unsigned sum = 0;
  for (const char c : block) {
    sum += static_cast<unsigned char>(c);
  }
  return block.replace(148, 8, octal(sum, 6) + std::string("\0 ", 2));
}

inline std::string raw_header(const RawMember& member) {
  std::string block(512, '\0');
  const auto put = [&](std::size_t offset, const std::string& text) {
    block.replace(offset, text.size(), text);
  };
  put(0, member.name.substr(0, 100));
  put(100, member.mode);
  put(108, member.uid);
  put(116, member.gid);
  put(124, member.size.empty() ? octal(member.content.size(), 11) : member.size);
  put(136, member.mtime);
  block[156] = member.type;
  put(157, member.link_name.substr(0, 100));
  put(257, member.magic);
  put(265, member.user_name);
  put(297, member.group_name);
  put(345, member.prefix.substr(0, 155));
  return with_checksum(std::move(block));
}

inline std::string raw_member(const RawMember& member) {
  return raw_header(member) + padded(member.content);
}

inline std::string tar_end() {
  return std::string(1024, '\0');
}

inline std::string pax_line(const std::string& key, const std::string& value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest;
  while (length != rest + std::to_string(length).size()) {
    length = rest + std::to_string(length).size();
  }
  return std::to_string(length) + " " + key + "=" + value + "\n";
}

} // namespace aipack::testing
