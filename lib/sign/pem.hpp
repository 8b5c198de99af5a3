#pragma once

#include "openssl.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace aipack::sign {

inline constexpr std::size_t max_pem_blocks = 1024; ///< of one text: CA bundles hold a few hundred

/// One "-----BEGIN LABEL-----" block, RFC 7468.
struct PemBlock {
  std::string label;
  bool has_headers = false; ///< RFC 1421 lines before the base64, as PEM encryption of old writes
  WipedBytes content;
};

/// Every block of `text`; what stands between them is skipped. Throws FormatError{corrupt} when a
/// block is damaged or there is none.
[[nodiscard]] std::vector<PemBlock> parse_pem(std::string_view text, std::string_view name);
/// 64 columns, with the final newline.
[[nodiscard]] std::string write_pem(const char* label, std::string_view content);

} // namespace aipack::sign
