#include "verdict.hpp"

#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/version.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"

#include "release.hpp"

#include <optional>

#include <nlohmann/json.hpp>

namespace aipack::deb {
namespace {

constexpr std::uint64_t max_verdict_bytes = max_release_bytes + (std::uint64_t{64} << 10);

// The file: a line of JSON, then the signed text byte by byte.
//   {"by": what judged, "message": its digest, "keyring": its digest, "text": its digest,
//    "judged": seconds, "valid_until": seconds, "signed_by": [fingerprints]}

/// Another version may judge otherwise.
std::string judge_name() {
  return "aipack " + std::string(version());
}

std::optional<SignedText> parse(std::string_view content, const Keyring& keyring,
                                std::string_view message, std::int64_t now) {
  const std::size_t end = content.find('\n');
  if (end == std::string_view::npos) {
    return std::nullopt;
  }
  try {
    const auto head = nlohmann::json::parse(content.substr(0, end));
    const auto judged = head.at("judged").get<std::int64_t>();
    SignedText verdict{.text = std::string(content.substr(end + 1)),
                       .signed_by = head.at("signed_by").get<std::vector<std::string>>(),
                       .valid_until = head.at("valid_until").get<std::int64_t>()};
    // One from the future is a clock that was set back.
    const bool is_fresh = judged <= now && now - judged < verdict_lifetime;
    if (!is_fresh || now >= verdict.valid_until || head.at("by") != judge_name() ||
        head.at("keyring") != keyring.digest().to_string() ||
        head.at("message") != oci::Digest::of(message).to_string() ||
        head.at("text") != oci::Digest::of(verdict.text).to_string()) {
      return std::nullopt;
    }
    return verdict;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt; // a broken verdict is none
  }
}

std::optional<SignedText> read(const std::filesystem::path& file, const Keyring& keyring,
                               std::string_view message, std::int64_t now) {
  try {
    return parse(io::read_text_file(file, max_verdict_bytes), keyring, message, now);
  } catch (const Error&) {
    return std::nullopt; // absent, as a rule
  }
}

void write(const std::filesystem::path& file, const SignedText& verdict, const Keyring& keyring,
           std::string_view message, std::int64_t now) {
  const nlohmann::json head{{"by", judge_name()},
                            {"message", oci::Digest::of(message).to_string()},
                            {"keyring", keyring.digest().to_string()},
                            {"text", oci::Digest::of(verdict.text).to_string()},
                            {"judged", now},
                            {"valid_until", verdict.valid_until},
                            {"signed_by", verdict.signed_by}};
  try {
    io::write_file_atomically(file, io::as_bytes(head.dump() + "\n" + verdict.text));
  } catch (const Error&) { // NOLINT(bugprone-empty-catch): the next run judges again
  }
}

} // namespace

SignedText verify_once(const std::filesystem::path& file, Keyring& keyring,
                       std::string_view message, std::string_view name, std::int64_t now) {
  if (auto known = read(file, keyring, message, now)) {
    return std::move(*known);
  }
  auto verdict = keyring.verify(message, name, now);
  write(file, verdict, keyring, message, now);
  return verdict;
}

} // namespace aipack::deb
