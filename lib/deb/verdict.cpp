#include "verdict.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/version.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"

#include "release.hpp"

#include <array>

#include <nlohmann/json.hpp>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

namespace aipack::deb {
namespace {

constexpr std::uint64_t max_verdict_bytes = max_release_bytes + (std::uint64_t{64} << 10);
constexpr std::size_t key_bytes = 32;
constexpr std::uint64_t max_key_file_bytes = 4096;

// The file: the seal of all that follows, in hex; a line of JSON; the signed text byte by byte.
//   <seal>
//   {"by": what judged, "message": its digest, "keyring": its digest, "judged": seconds,
//    "valid_until": seconds, "signed_by": [fingerprints]}
//   Origin: Debian
//   …

/// Another version may judge otherwise.
std::string judge_name() {
  return "aipack " + std::string(version());
}

/// HMAC-SHA-256.
std::string seal(const std::string& key, std::string_view content) {
  oci::Digest::Bytes bytes{};
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(content.data()), content.size(),
           reinterpret_cast<unsigned char*>(bytes.data()), &size) == nullptr ||
      size != bytes.size()) {
    throw Error(ErrorCode::internal, "cannot seal a verdict: OpenSSL refused");
  }
  return oci::Digest::from_bytes(bytes).hex();
}

bool is_sealed(const std::string& key, std::string_view content, std::string_view by) {
  const auto expected = seal(key, content);
  return by.size() == expected.size() &&
         CRYPTO_memcmp(by.data(), expected.data(), expected.size()) == 0;
}

/// What the user alone can read and write.
bool is_private(const std::filesystem::path& file) noexcept {
  struct stat status {};
  return ::lstat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         status.st_uid == ::geteuid() && (status.st_mode & 077U) == 0;
}

std::string read_key(const std::filesystem::path& file) {
  if (!is_private(file)) {
    return {};
  }
  auto key = io::read_text_file(file, max_key_file_bytes);
  return key.size() == key_bytes ? key : std::string();
}

/// One of several that make it at once wins; a later run finds that one.
std::string make_key(const std::filesystem::path& file, io::TempFile::IfExists if_exists) {
  std::array<unsigned char, key_bytes> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    return {};
  }
  std::filesystem::create_directories(file.parent_path());
  io::TempFile made(file.parent_path());
  made.write(std::as_bytes(std::span(bytes)));
  made.commit(file, if_exists, io::Durability::synced, 0600);
  return read_key(file);
}

std::optional<SignedText> parse(std::string_view content, const std::string& key,
                                const Keyring& keyring, std::string_view message,
                                std::int64_t now) {
  const std::size_t seal_end = content.find('\n');
  if (seal_end == std::string_view::npos ||
      !is_sealed(key, content.substr(seal_end + 1), content.substr(0, seal_end))) {
    return std::nullopt;
  }
  // From here on the bytes are what we wrote.
  const std::size_t head_end = content.find('\n', seal_end + 1);
  if (head_end == std::string_view::npos) {
    return std::nullopt;
  }
  try {
    const auto head = nlohmann::json::parse(content.substr(seal_end + 1, head_end - seal_end - 1));
    const auto judged = head.at("judged").get<std::int64_t>();
    SignedText verdict{.text = std::string(content.substr(head_end + 1)),
                       .signed_by = head.at("signed_by").get<std::vector<std::string>>(),
                       .valid_until = head.at("valid_until").get<std::int64_t>()};
    // One from the future is a clock that was set back.
    const bool is_fresh = judged <= now && now - judged < verdict_lifetime;
    if (!is_fresh || now >= verdict.valid_until || head.at("by") != judge_name() ||
        head.at("keyring") != keyring.digest().to_string() ||
        head.at("message") != oci::Digest::of(message).to_string()) {
      return std::nullopt;
    }
    return verdict;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

std::string write(const SignedText& verdict, const std::string& key, const Keyring& keyring,
                  std::string_view message, std::int64_t now) {
  const nlohmann::json head{{"by", judge_name()},
                            {"message", oci::Digest::of(message).to_string()},
                            {"keyring", keyring.digest().to_string()},
                            {"judged", now},
                            {"valid_until", verdict.valid_until},
                            {"signed_by", verdict.signed_by}};
  const auto content = head.dump() + "\n" + verdict.text;
  return seal(key, content) + "\n" + content;
}

} // namespace

const std::string& Verdicts::key() {
  const std::lock_guard lock(mutex_);
  if (!key_) {
    key_.emplace();
    try {
      std::error_code failed;
      if (key_file_.empty()) {
        return *key_;
      }
      if (!std::filesystem::exists(key_file_, failed)) {
        key_ = make_key(key_file_, io::TempFile::IfExists::keep);
      } else if (is_private(key_file_)) {
        key_ = read_key(key_file_);
        if (key_->empty()) { // ours, and broken: by a crash, perhaps
          key_ = make_key(key_file_, io::TempFile::IfExists::replace);
        }
      }
    } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): nothing is remembered
    }
  }
  return *key_;
}

SignedText Verdicts::verify_once(const std::filesystem::path& file, Keyring& keyring,
                                 std::string_view message, std::string_view name,
                                 std::int64_t now) {
  const auto& secret = key();
  if (secret.empty()) {
    return keyring.verify(message, name, now);
  }
  try {
    if (auto known =
            parse(io::read_text_file(file, max_verdict_bytes), secret, keyring, message, now)) {
      return std::move(*known);
    }
  } catch (const Error&) { // NOLINT(bugprone-empty-catch): absent, as a rule
  }
  auto verdict = keyring.verify(message, name, now);
  try {
    io::write_file_atomically(file, io::as_bytes(write(verdict, secret, keyring, message, now)));
  } catch (const Error&) { // NOLINT(bugprone-empty-catch): the next run judges again
  }
  return verdict;
}

} // namespace aipack::deb
