#include "keyring.hpp"

#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"

#include "certificates.hpp"
#include "librnp.hpp"
#include "quiet_stderr.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <mutex>

#include <fcntl.h>
#include <fmt/format.h>
#include <rnp/rnp_err.h>

namespace aipack::deb {
namespace {

/// Where the Debian archive keyring is looked for, in this order: Debian 13's name, the older one,
/// and the copy that comes with aipack for hosts that are not Debian.
constexpr std::array<const char*, 4> default_keyrings{
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/local/share/aipack/debian-archive-keyring.gpg",
    "/usr/share/aipack/debian-archive-keyring.gpg",
};

/// MD5, SHA-1 and RIPEMD-160 are broken or near it; apt refuses them since 2017.
constexpr std::array<std::string_view, 5> strong_hashes{"SHA256", "SHA384", "SHA512", "SHA3-256",
                                                        "SHA3-512"};

constexpr std::string_view begin_message = "-----BEGIN PGP SIGNED MESSAGE-----";
constexpr std::string_view begin_signature = "\n-----BEGIN PGP SIGNATURE-----";
constexpr std::string_view end_signature = "\n-----END PGP SIGNATURE-----";

struct FfiDeleter {
  void operator()(rnp_ffi_t ffi) const noexcept { librnp().ffi_destroy(ffi); }
};
struct InputDeleter {
  void operator()(rnp_input_t input) const noexcept { librnp().input_destroy(input); }
};
struct OutputDeleter {
  void operator()(rnp_output_t output) const noexcept { librnp().output_destroy(output); }
};
struct VerifyDeleter {
  void operator()(rnp_op_verify_t op) const noexcept { librnp().op_verify_destroy(op); }
};
struct KeyDeleter {
  void operator()(rnp_key_handle_t key) const noexcept { librnp().key_handle_destroy(key); }
};
struct SignatureDeleter {
  void operator()(rnp_signature_handle_t handle) const noexcept {
    librnp().signature_handle_destroy(handle);
  }
};
struct BufferDeleter {
  void operator()(char* text) const noexcept { librnp().buffer_destroy(text); }
};
template <class Handle, class Deleter>
using Owner = std::unique_ptr<std::remove_pointer_t<Handle>, Deleter>;
using FfiPtr = Owner<rnp_ffi_t, FfiDeleter>;
using InputPtr = Owner<rnp_input_t, InputDeleter>;
using OutputPtr = Owner<rnp_output_t, OutputDeleter>;
using VerifyPtr = Owner<rnp_op_verify_t, VerifyDeleter>;
using KeyPtr = Owner<rnp_key_handle_t, KeyDeleter>;
using SignaturePtr = Owner<rnp_signature_handle_t, SignatureDeleter>;
using BufferPtr = std::unique_ptr<char, BufferDeleter>;

void check(rnp_result_t result, std::string_view what) {
  if (result != RNP_SUCCESS) {
    throw Error(ErrorCode::internal,
                fmt::format("cannot {}: {}", what, librnp().result_to_string(result)));
  }
}

InputPtr memory_input(std::string_view bytes) {
  rnp_input_t input = nullptr;
  check(librnp().input_from_memory(&input, reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                   bytes.size(), false),
        "give bytes to librnp");
  return InputPtr(input);
}

/// The frame that RFC 4880, 7 describes, before librnp sees it: librnp also takes other kinds of
/// OpenPGP messages, skips what stands in front and ignores what follows. A file that holds more
/// than the signed message is not what the archive published.
void check_frame(std::string_view message, std::string_view name) {
  const auto bad = [&](std::string_view cause) {
    return Error(ErrorCode::corrupt, fmt::format("cannot verify {}: {}", name, cause));
  };
  const std::string_view rest = message.substr(std::min(message.size(), begin_message.size()));
  if (message.substr(0, begin_message.size()) != begin_message ||
      (rest.substr(0, 1) != "\n" && rest.substr(0, 2) != "\r\n")) {
    throw bad("it is not clear-signed")
        .with_hint("a proxy or login page may have answered instead of the mirror");
  }
  const std::size_t signature = message.find(begin_signature);
  const std::size_t end =
      signature == std::string_view::npos ? signature : message.find(end_signature, signature);
  if (end == std::string_view::npos) {
    throw bad("its signature is missing or cut off");
  }
  if (!trim(message.substr(end + end_signature.size())).empty()) {
    throw bad("bytes follow its signature");
  }
  // Every line of the text that starts with a dash is escaped, so a second frame inside the first
  // is a trick.
  if (message.substr(0, signature).find("\n-----", begin_message.size()) !=
      std::string_view::npos) {
    throw bad("it holds a second message");
  }
}

} // namespace

namespace {

/// The caller's clock, not librnp's own: verification is a function of its arguments.
void set_time(rnp_ffi_t ffi, std::int64_t now) {
  check(librnp().set_timestamp(ffi, static_cast<std::uint64_t>(std::max<std::int64_t>(now, 1))),
        "set librnp's clock");
}

/// librnp without keys.
FfiPtr make_ffi(std::int64_t now) {
  rnp_ffi_t raw = nullptr;
  check(librnp().ffi_create(&raw, "GPG", "GPG"), "set up librnp");
  FfiPtr ffi(raw);
  // librnp keeps (and at the end closes) the stderr of this moment, unless it gets a log file of
  // its own.
  const int null_device = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null_device < 0 || librnp().ffi_set_log_fd(ffi.get(), null_device) != RNP_SUCCESS) {
    throw_errno("open '/dev/null'", errno);
  }
  set_time(ffi.get(), now);
  return ffi;
}

/// Permissive: an archive keyring may hold a key of a kind that this librnp does not know.
rnp_result_t import_keys(rnp_ffi_t ffi, std::string_view bytes) {
  const InputPtr input = memory_input(bytes);
  return librnp().import_keys(ffi, input.get(),
                              RNP_LOAD_SAVE_PUBLIC_KEYS | RNP_LOAD_SAVE_PERMISSIVE, nullptr);
}

/// A message that librnp went through, with the keys that it had.
struct Execution {
  OutputPtr output;
  VerifyPtr op;
  rnp_result_t result;
  std::size_t signatures;
};

Execution execute(rnp_ffi_t ffi, std::string_view message) {
  const InputPtr input = memory_input(message);
  rnp_output_t raw_output = nullptr;
  check(librnp().output_to_memory(&raw_output, message.size() + 1), "give memory to librnp");
  OutputPtr output(raw_output);
  rnp_op_verify_t raw_op = nullptr;
  check(librnp().op_verify_create(&raw_op, ffi, input.get(), output.get()),
        "set up a verification");
  VerifyPtr op(raw_op);
  // Its result is not asked: success would mean one valid signature by librnp's clock and rules.
  // Each signature is judged by itself.
  const rnp_result_t result = librnp().op_verify_execute(op.get());
  std::size_t count = 0;
  if (librnp().op_verify_get_signature_count(op.get(), &count) != RNP_SUCCESS) {
    count = 0;
  }
  return {std::move(output), std::move(op), result, count};
}

/// The IDs of the keys that a message says it was signed by.
std::vector<std::string> signers_of(std::string_view message, std::int64_t now) {
  const FfiPtr ffi = make_ffi(now);
  const Execution execution = execute(ffi.get(), message);
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < execution.signatures; ++i) {
    rnp_op_verify_signature_t signature = nullptr;
    rnp_signature_handle_t raw = nullptr;
    if (librnp().op_verify_get_signature_at(execution.op.get(), i, &signature) != RNP_SUCCESS ||
        librnp().op_verify_signature_get_handle(signature, &raw) != RNP_SUCCESS) {
      continue;
    }
    const SignaturePtr handle(raw);
    char* id = nullptr;
    if (librnp().signature_get_keyid(handle.get(), &id) == RNP_SUCCESS && id != nullptr) {
      const BufferPtr owner(id);
      ids.emplace_back(id);
    }
  }
  return ids;
}

} // namespace

struct Keyring::State {
  /// A certificate of one of the files, loaded when it is first needed.
  struct Certificate {
    CertificateBytes content;
    FfiPtr ffi{};
  };

  State(std::vector<std::string> contents, std::vector<std::string> paths)
      : files(std::move(contents)), names(std::move(paths)), digest(digest_of(files)) {
    for (const auto& file : files) {
      auto read = read_certificates(file);
      if (!read) {
        certificates.clear(); // not of the plain kind: taken as a whole
        break;
      }
      for (auto& content : *read) {
        certificates.push_back({std::move(content)});
      }
    }
    // The cheapest first: one good signature is enough, and keys are loaded by the byte.
    std::ranges::stable_sort(certificates, {}, [](const Certificate& certificate) {
      return certificate.content.bytes.size();
    });
  }

  static oci::Digest digest_of(const std::vector<std::string>& files) {
    codec::Sha256 hash;
    for (const auto& file : files) {
      hash.update(io::as_bytes(fmt::format("{}\n", file.size())));
      hash.update(io::as_bytes(file));
    }
    return hash.digest();
  }

  std::vector<std::string> files;
  std::vector<std::string> names;
  oci::Digest digest;
  std::vector<Certificate> certificates{};
  std::mutex mutex{};
  FfiPtr everything{};

  rnp_ffi_t load_everything(std::int64_t now) {
    if (!everything) {
      FfiPtr fresh = make_ffi(now);
      for (std::size_t i = 0; i < files.size(); ++i) {
        const rnp_result_t result = import_keys(fresh.get(), files[i]);
        if (result != RNP_SUCCESS) {
          throw Error(ErrorCode::invalid_input,
                      fmt::format("cannot read keyring {}: {}", aipack::quoted(names[i]),
                                  librnp().result_to_string(result)));
        }
      }
      everything = std::move(fresh);
    }
    set_time(everything.get(), now);
    return everything.get();
  }

  /// Null when librnp does not take it by itself.
  static rnp_ffi_t load(Certificate& certificate, std::int64_t now) {
    if (!certificate.ffi) {
      FfiPtr fresh = make_ffi(now);
      if (import_keys(fresh.get(), certificate.content.bytes) != RNP_SUCCESS) {
        return nullptr;
      }
      certificate.ffi = std::move(fresh);
    }
    set_time(certificate.ffi.get(), now);
    return certificate.ffi.get();
  }

  /// What is good by one of the certificates that the message names. Empty: it takes the whole
  /// keyring to say, also why not.
  std::optional<SignedText> try_named(std::string_view message, std::int64_t now) {
    const auto ids = signers_of(message, now);
    for (auto& certificate : certificates) {
      const auto& own = certificate.content.key_ids;
      const bool is_named = std::ranges::any_of(
          own, [&](const std::string& id) { return std::ranges::find(ids, id) != ids.end(); });
      if (!is_named) {
        continue;
      }
      // A key that is there twice, once revoked perhaps, or that another key may have revoked, is
      // judged with all that is said of it.
      if (certificate.content.has_revocation || has_twin(certificate)) {
        return std::nullopt;
      }
      if (rnp_ffi_t ffi = load(certificate, now); ffi != nullptr) {
        auto judged = judge(ffi, message, now);
        if (!judged.text.signed_by.empty()) {
          return std::move(judged.text);
        }
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] bool has_twin(const Certificate& certificate) const {
    return std::ranges::any_of(certificates, [&](const Certificate& other) {
      return &other != &certificate &&
             std::ranges::any_of(other.content.key_ids, [&](const std::string& id) {
               return std::ranges::find(certificate.content.key_ids, id) !=
                      certificate.content.key_ids.end();
             });
    });
  }

  struct Judgement {
    SignedText text; ///< without signers: it is not to be trusted
    std::string why; ///< then
  };

  /// Until when `key` may vouch (0: not at all): a revoked key, or one whose primary key is
  /// revoked, never; an expired one not any more.
  [[nodiscard]] static std::int64_t vouches_until(rnp_ffi_t ffi, rnp_key_handle_t key) {
    bool revoked = true;
    std::uint32_t until = 0;
    if (librnp().key_is_revoked(key, &revoked) != RNP_SUCCESS || revoked ||
        librnp().key_valid_till(key, &until) != RNP_SUCCESS) {
      return 0;
    }
    bool is_subkey = false;
    check(librnp().key_is_sub(key, &is_subkey), "read an archive key");
    if (is_subkey) {
      char* fingerprint = nullptr;
      if (librnp().key_get_primary_fprint(key, &fingerprint) != RNP_SUCCESS) {
        return 0;
      }
      const BufferPtr owner(fingerprint);
      rnp_key_handle_t raw = nullptr;
      if (librnp().locate_key(ffi, "fingerprint", fingerprint, &raw) != RNP_SUCCESS ||
          raw == nullptr) {
        return 0;
      }
      const KeyPtr primary(raw);
      return std::min<std::int64_t>(vouches_until(ffi, primary.get()), forever_if_max(until));
    }
    return forever_if_max(until);
  }

  static std::int64_t forever_if_max(std::uint32_t until) noexcept {
    return until == std::numeric_limits<std::uint32_t>::max()
               ? std::numeric_limits<std::int64_t>::max()
               : until;
  }

  /// Each signature by a key that `ffi` has.
  static Judgement judge(rnp_ffi_t ffi, std::string_view message, std::int64_t now) {
    const Execution execution = execute(ffi, message);
    SignedText result;
    std::string why = librnp().result_to_string(execution.result);
    for (std::size_t i = 0; i < execution.signatures; ++i) {
      rnp_op_verify_signature_t signature = nullptr;
      check(librnp().op_verify_get_signature_at(execution.op.get(), i, &signature),
            "read a signature");
      const rnp_result_t status = librnp().op_verify_signature_get_status(signature);
      rnp_key_handle_t raw_key = nullptr;
      if (librnp().op_verify_signature_get_key(signature, &raw_key) != RNP_SUCCESS ||
          raw_key == nullptr) {
        why = "no signature is by a key of the keyring";
        continue;
      }
      const KeyPtr key(raw_key);
      char* raw_text = nullptr;
      check(librnp().key_get_fprint(key.get(), &raw_text), "read an archive key");
      const BufferPtr fingerprint(raw_text);
      if (status != RNP_SUCCESS) {
        why = status == RNP_ERROR_SIGNATURE_EXPIRED
                  ? fmt::format("the signature by key {} is expired", fingerprint.get())
                  : fmt::format("the signature by key {} is not valid for the text",
                                fingerprint.get());
        continue;
      }
      check(librnp().op_verify_signature_get_hash(signature, &raw_text), "read a signature");
      const BufferPtr hash(raw_text);
      if (std::find(strong_hashes.begin(), strong_hashes.end(), hash.get()) ==
          strong_hashes.end()) {
        why = fmt::format("the signature by key {} uses the weak hash {}", fingerprint.get(),
                          hash.get());
        continue;
      }
      std::uint32_t created = 0;
      std::uint32_t lifetime = 0;
      check(librnp().op_verify_signature_get_times(signature, &created, &lifetime),
            "read a signature");
      const std::int64_t key_until = vouches_until(ffi, key.get());
      const std::int64_t signature_until = lifetime == 0 ? std::numeric_limits<std::int64_t>::max()
                                                         : std::int64_t{created} + lifetime;
      if (key_until <= now) {
        why = fmt::format("key {} is {}", fingerprint.get(),
                          key_until == 0 ? "revoked or not valid" : "expired");
        continue;
      }
      if (signature_until <= now) {
        why = fmt::format("the signature by key {} is expired", fingerprint.get());
        continue;
      }
      result.signed_by.emplace_back(fingerprint.get());
      result.valid_until = std::max(result.valid_until, std::min(key_until, signature_until));
    }
    if (result.signed_by.empty()) {
      return {std::move(result), std::move(why)};
    }
    std::sort(result.signed_by.begin(), result.signed_by.end());
    std::uint8_t* bytes = nullptr;
    std::size_t size = 0;
    check(librnp().output_memory_get_buf(execution.output.get(), &bytes, &size, false),
          "read the signed text");
    result.text.assign(reinterpret_cast<const char*>(bytes), size);
    return {std::move(result), {}};
  }
};

Keyring::Keyring(std::unique_ptr<State> state) : state_(std::move(state)) {}
Keyring::~Keyring() = default;

const oci::Digest& Keyring::digest() const noexcept {
  return state_->digest;
}

std::shared_ptr<Keyring> Keyring::open(std::span<const std::filesystem::path> files) {
  std::vector<std::filesystem::path> paths(files.begin(), files.end());
  if (paths.empty()) {
    const auto found =
        std::find_if(default_keyrings.begin(), default_keyrings.end(), [](const char* path) {
          std::error_code error;
          return std::filesystem::exists(path, error);
        });
    if (found == default_keyrings.end()) {
      throw Error(ErrorCode::not_found,
                  "cannot verify packages: this host has no Debian archive keyring")
          .with_hint(
              "install the package debian-archive-keyring, or name a keyring file with --keyring");
    }
    paths.emplace_back(*found);
  }
  std::vector<std::string> contents;
  std::vector<std::string> names;
  for (const auto& path : paths) {
    contents.push_back(io::read_text_file(path, max_keyring_bytes));
    names.push_back(path.string());
  }
  return std::shared_ptr<Keyring>(
      new Keyring(std::make_unique<State>(std::move(contents), std::move(names))));
}

SignedText Keyring::verify(std::string_view message, std::string_view name, std::int64_t now) {
  check_frame(message, name);
  const std::lock_guard lock(state_->mutex);
  const QuietStderr quiet;
  if (auto good = state_->try_named(message, now)) {
    return std::move(*good);
  }
  auto judged = State::judge(state_->load_everything(now), message, now);
  if (judged.text.signed_by.empty()) {
    throw Error(ErrorCode::corrupt, fmt::format("cannot verify {}: {}", name, judged.why))
        .with_hint("check the mirror and the keyring; an old debian-archive-keyring does not know "
                   "new keys");
  }
  return std::move(judged.text);
}

} // namespace aipack::deb
