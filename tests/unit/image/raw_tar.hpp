#pragma once

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

namespace aipack::image::test {

/// A ustar writer of the tests' own: it writes what aipack's refuses to (whiteouts), and judges
/// what aipack's reader makes of it. Source: POSIX.1-2017 pax, "ustar Interchange Format".
class RawTar {
public:
  RawTar& file(std::string_view name, std::string_view content) {
    return add(name, '0', {}, content);
  }
  RawTar& directory(std::string_view name) { return add(std::string(name) + "/", '5', {}, {}); }
  RawTar& symlink(std::string_view name, std::string_view target) {
    return add(name, '2', target, {});
  }
  RawTar& hard_link(std::string_view name, std::string_view target) {
    return add(name, '1', target, {});
  }
  [[nodiscard]] std::string bytes() const { return bytes_ + std::string(1024, '\0'); }

private:
  RawTar& add(std::string_view name, char type, std::string_view link, std::string_view content) {
    std::string header(512, '\0');
    const auto put = [&](std::size_t at, std::string_view text) {
      header.replace(at, text.size(), text);
    };
    const auto octal = [&](std::size_t at, int digits, std::size_t value) {
      std::array<char, 32> text{};
      std::snprintf(text.data(), text.size(), "%0*zo", digits, value);
      put(at, text.data());
    };
    put(0, name);
    octal(100, 7, type == '5' ? 0755 : 0644);
    octal(108, 7, 0);
    octal(116, 7, 0);
    octal(124, 11, content.size());
    octal(136, 11, 1'700'000'000);
    put(148, "        ");
    header[156] = type;
    put(157, link);
    put(257, std::string_view("ustar\00000", 8));
    std::size_t sum = 0;
    for (const char c : header) {
      sum += static_cast<unsigned char>(c);
    }
    octal(148, 6, sum);
    header[154] = '\0';
    bytes_ += header;
    bytes_ += content;
    bytes_.append((512 - content.size() % 512) % 512, '\0');
    return *this;
  }

  std::string bytes_;
};

} // namespace aipack::image::test
