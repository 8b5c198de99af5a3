#pragma once

#include "aipack/core/export.hpp"
#include "aipack/oci/digest.hpp"
#include "aipack/sign/certificate.hpp"
#include "aipack/sign/signing.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::sign {

/// One file of a model; the caller hashed it.
struct ModelFile {
  std::string path; ///< relative, '/' between parts; "." for a model that is one file
  oci::Digest digest;
  bool operator==(const ModelFile&) const = default;
};

struct ModelSignatureOptions {
  std::string name = "model"; ///< of the model's directory
  bool allow_symlinks = false;
  std::vector<std::string> ignored_paths{}; ///< relative, what the signer left out
};

/// Files in the order of OpenSSF model signing: by path component, so "a/b" before "a-b".
AIPACK_API void sort_model_files(std::vector<ModelFile>& files);
/// SHA-256 over the raw digests in that order: the statement's subject.
[[nodiscard]] AIPACK_API oci::Digest model_root(std::vector<ModelFile> files);

/// An OpenSSF model signature ("model.sig"): a bundle in JSON. Hash and key hint are those that the
/// project prescribes, not cosign's. Throws Error{invalid_input} for keys other than ECDSA, for
/// duplicate, absolute or climbing paths, and for no files at all. Source: model-transparency 1.1,
/// model_signing/_signing/signing.py.
[[nodiscard]] AIPACK_API std::string sign_model(std::vector<ModelFile> files,
                                                const ModelSignatureOptions& options,
                                                const Signatory& signatory);

/// Whom to trust with models.
struct ModelPolicy {
  std::vector<PublicKey> keys{};
  std::vector<Identity> identities{};
  TrustedRoot trusted_root{};
  bool allow_unsigned_files = false;
  std::chrono::sys_seconds time{};
};

struct ModelVerdict {
  bool verified = false;
  std::string reason;
  std::string key{};
  std::vector<std::string> missing{}; ///< signed, and not among the files
  std::vector<std::string> changed{};
  std::vector<std::string> unsigned_files{};
};

/// What the signature leaves out of the model; these paths and what is beneath them need not be
/// hashed. Not believed until verified.
[[nodiscard]] AIPACK_API std::vector<std::string> ignored_model_paths(std::string_view bundle_json,
                                                                      std::string_view name);

/// Judges a model signature against the files as they are. Throws Error{invalid_input} for a policy
/// that trusts nobody; all else is a verdict. Signatures over shards or other hashes than SHA-256
/// are refused with that reason.
[[nodiscard]] AIPACK_API ModelVerdict verify_model(std::string_view bundle_json,
                                                   std::vector<ModelFile> files,
                                                   const ModelPolicy& policy);

} // namespace aipack::sign
