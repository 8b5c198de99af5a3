// OpenSSF model signing 1.0: a statement over every file of a model. Source: sigstore/
// model-transparency 1.1, model_signing/_signing/signing.py and manifest.py.
#include "aipack/sign/model_signature.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/overloaded.hpp"
#include "aipack/core/text.hpp"
#include "aipack/sign/bundle.hpp"

#include "json.hpp"
#include "signing_impl.hpp"
#include "trust.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include <fmt/format.h>

namespace aipack::sign {
namespace {

using Json = nlohmann::ordered_json; // members stay in the order in which they are added

constexpr std::string_view method_files = "files";

/// The project fixes one hash per curve; other kinds of key it does not know.
std::span<const Scheme> model_schemes(KeyType type) noexcept {
  static constexpr std::array p256{Scheme::ecdsa_sha256};
  static constexpr std::array p384{Scheme::ecdsa_sha384};
  static constexpr std::array p521{Scheme::ecdsa_sha512};
  switch (type) {
  case KeyType::ecdsa_p256:
    return p256;
  case KeyType::ecdsa_p384:
    return p384;
  case KeyType::ecdsa_p521:
    return p521;
  case KeyType::rsa:
  case KeyType::ed25519:
    break;
  }
  return {};
}

/// The order of Python's PurePosixPath, by its parts; UTF-8 sorts as its code points do.
bool comes_before(std::string_view left, std::string_view right) {
  const auto parts_of = [](std::string_view path) {
    return path == "." ? std::vector<std::string_view>{} : split(path, '/');
  };
  return parts_of(left) < parts_of(right);
}

void check_path(const std::string& path, std::size_t count) {
  if (path == "." && count == 1) {
    return;
  }
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == "." || part == "..") {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot sign model file {}: its path is not a plain relative one",
                              quoted(path)));
    }
  }
}

oci::Digest root_of(const std::vector<ModelFile>& sorted) {
  std::string digests;
  for (const ModelFile& file : sorted) {
    digests.append(reinterpret_cast<const char*>(file.digest.bytes().data()),
                   file.digest.bytes().size());
  }
  return oci::Digest::of(digests);
}

/// What a signature says about the model.
struct SignedModel {
  std::vector<ModelFile> files; ///< in the order of the signature
  std::vector<std::string> ignored_paths;
};

SignedModel read_predicate(const std::string& predicate) {
  const nlohmann::json document = nlohmann::json::parse(predicate);
  const JsonField root(document, "model signature");
  const JsonField serialization = root.get("serialization");
  const JsonField method = serialization.get("method");
  if (method.text() != method_files) {
    method.refuse(fmt::format("is {}; only whole files are verified", quoted(method.text())));
  }
  SignedModel model;
  if (const auto ignored = serialization.find("ignore_paths")) {
    for (const JsonField& path : ignored->elements()) {
      model.ignored_paths.push_back(path.text());
    }
  }
  for (const JsonField& resource : root.get("resources").elements()) {
    const JsonField algorithm = resource.get("algorithm");
    if (algorithm.text() != "sha256") {
      algorithm.refuse(fmt::format("is {}; only sha256 is verified", quoted(algorithm.text())));
    }
    const JsonField digest = resource.get("digest");
    const auto parsed = oci::Digest::try_from_hex(digest.text());
    if (!parsed) {
      digest.refuse("must be 64 lower-case hexadecimal digits");
    }
    model.files.push_back({.path = resource.get("name").text(), .digest = *parsed});
  }
  return model;
}

struct Parsed {
  Bundle bundle;
  Statement statement;
  SignedModel model;
  [[nodiscard]] const Envelope& envelope() const { return std::get<Envelope>(bundle.content); }
};

Parsed parse(std::string_view bundle_json, std::string_view name) {
  Parsed parsed{.bundle = parse_bundle(bundle_json, name, BundleRules::model_signing),
                .statement = {},
                .model = {}};
  const auto* const envelope = std::get_if<Envelope>(&parsed.bundle.content);
  if (envelope == nullptr || envelope->payload_type != statement_payload_type) {
    throw FormatError(std::string(name), std::nullopt, "there is no statement in its bundle");
  }
  parsed.statement = parse_statement(envelope->payload, name);
  if (parsed.statement.predicate_type != predicate_type::model_signature) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot read model signature {}: its statement is of type {}",
                            quoted(name), quoted(parsed.statement.predicate_type)));
  }
  parsed.model = read_predicate(parsed.statement.predicate);
  return parsed;
}

SignedBy check_signature(const Parsed& parsed, const ModelPolicy& policy) {
  const Trust trust{policy.keys, policy.identities, policy.trusted_root, policy.time,
                    model_schemes};
  const Envelope& envelope = parsed.envelope();
  const std::string message = pre_authentication_encoding(envelope.payload_type, envelope.payload);
  const std::string& signature = envelope.signatures.front().signature;
  return std::visit(overloaded{[&](const KeyHint& key) {
                                 const SignedBy signed_by =
                                     check_key_signature(trust, message, signature);
                                 const bool is_hinted =
                                     key.hint.empty() ||
                                     std::any_of(policy.keys.begin(), policy.keys.end(),
                                                 [&](const PublicKey& trusted) {
                                                   return trusted.model_signing_hint() == key.hint;
                                                 });
                                 if (!is_hinted) {
                                   distrust("its key hint names another key");
                                 }
                                 return signed_by;
                               },
                               [&](const CertificateChain& chain) {
                                 return check_certificate_signature(
                                     trust, message, signature, chain, parsed.bundle.timestamps);
                               }},
                    parsed.bundle.material);
}

/// The statement must agree with itself: its subject is the root of its own list.
void check_root(const Parsed& parsed) {
  const auto& subjects = parsed.statement.subjects;
  const auto expected = Subject::of(root_of(parsed.model.files)).digests;
  if (subjects.size() != 1 || subjects.front().digests != expected) {
    distrust("its subject is not the root of the files that it lists");
  }
}

bool is_beneath(const std::string& path, const std::vector<std::string>& roots) {
  return std::any_of(roots.begin(), roots.end(), [&](const std::string& root) {
    return path == root || path.starts_with(root + "/");
  });
}

void compare_files(const SignedModel& model, const std::vector<ModelFile>& files,
                   ModelVerdict& verdict) {
  std::map<std::string, oci::Digest> present;
  for (const ModelFile& file : files) {
    present.emplace(file.path, file.digest);
  }
  for (const ModelFile& file : model.files) {
    const auto found = present.find(file.path);
    if (found == present.end()) {
      verdict.missing.push_back(file.path);
      continue;
    }
    if (found->second != file.digest) {
      verdict.changed.push_back(file.path);
    }
    present.erase(found);
  }
  for (const auto& [path, digest] : present) {
    if (!is_beneath(path, model.ignored_paths)) {
      verdict.unsigned_files.push_back(path);
    }
  }
}

std::string difference(const ModelVerdict& verdict, bool allow_unsigned_files) {
  const auto name = [](std::string_view what, const std::vector<std::string>& paths) {
    return paths.size() == 1 ? fmt::format("its file {} is {}", quoted(paths.front()), what)
                             : fmt::format("its file {} and {} more are {}", quoted(paths.front()),
                                           paths.size() - 1, what);
  };
  if (!verdict.changed.empty()) {
    return name("changed", verdict.changed);
  }
  if (!verdict.missing.empty()) {
    return name("missing", verdict.missing);
  }
  if (!verdict.unsigned_files.empty() && !allow_unsigned_files) {
    return name("not signed", verdict.unsigned_files);
  }
  return {};
}

} // namespace

void sort_model_files(std::vector<ModelFile>& files) {
  std::sort(files.begin(), files.end(), [](const ModelFile& left, const ModelFile& right) {
    return comes_before(left.path, right.path);
  });
}

oci::Digest model_root(std::vector<ModelFile> files) {
  sort_model_files(files);
  return root_of(files);
}

std::string sign_model(std::vector<ModelFile> files, const ModelSignatureOptions& options,
                       const Signatory& signatory) {
  const PublicKey key = signatory.signer.public_key();
  const auto schemes = model_schemes(key.type());
  if (schemes.empty()) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot sign a model with a key of type {}: OpenSSF model signing "
                            "knows ECDSA keys only",
                            to_string(key.type())));
  }
  if (files.empty()) {
    throw Error(ErrorCode::invalid_input, "cannot sign a model: it has no files");
  }
  sort_model_files(files);
  for (std::size_t at = 0; at < files.size(); ++at) {
    check_path(files[at].path, files.size());
    if (at > 0 && files[at - 1].path == files[at].path) {
      throw Error(
          ErrorCode::invalid_input,
          fmt::format("cannot sign model file {}: it is named twice", quoted(files[at].path)));
    }
  }
  Json predicate = Json::object();
  Json& serialization = predicate["serialization"] = Json::object();
  serialization["method"] = method_files;
  serialization["hash_type"] = "sha256";
  serialization["allow_symlinks"] = options.allow_symlinks;
  serialization["ignore_paths"] = options.ignored_paths;
  Json& resources = predicate["resources"] = Json::array();
  for (const ModelFile& file : files) {
    Json entry = Json::object();
    entry["name"] = file.path;
    entry["algorithm"] = "sha256";
    entry["digest"] = file.digest.hex();
    resources.push_back(std::move(entry));
  }
  Subject subject = Subject::of(root_of(files));
  subject.name = options.name;
  const Statement statement{.subjects = {std::move(subject)},
                            .predicate_type = std::string(predicate_type::model_signature),
                            .predicate = dump(predicate, "model signature")};
  return make_bundle(write(statement), signatory, schemes.front(), key.model_signing_hint());
}

std::vector<std::string> ignored_model_paths(std::string_view bundle_json, std::string_view name) {
  return parse(bundle_json, name).model.ignored_paths;
}

ModelVerdict verify_model(std::string_view bundle_json, std::vector<ModelFile> files,
                          const ModelPolicy& policy) {
  if (policy.keys.empty() &&
      (policy.identities.empty() || policy.trusted_root.certificate_authorities.empty())) {
    throw Error(ErrorCode::invalid_input, "cannot verify a model signature: nobody is trusted");
  }
  ModelVerdict verdict;
  try {
    const Parsed parsed = parse(bundle_json, "model signature");
    verdict.key = check_signature(parsed, policy).key;
    check_root(parsed);
    compare_files(parsed.model, files, verdict);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal || error.code() == ErrorCode::invalid_input) {
      throw;
    }
    verdict.reason = error.message();
    return verdict;
  }
  verdict.reason = difference(verdict, policy.allow_unsigned_files);
  verdict.verified = verdict.reason.empty();
  if (verdict.verified) {
    verdict.reason = "signed by " + verdict.key;
  } else {
    verdict.reason = "cannot trust the model: " + verdict.reason;
  }
  return verdict;
}

} // namespace aipack::sign
