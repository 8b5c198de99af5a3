// What sign_interop.py cannot do itself: aipack's side of a signature, files in and files out.
//
//   sign_fixture keygen TYPE FORMAT PRIVATE PUBLIC       password in $PASSWORD
//   sign_fixture public KEY                              prints the public key
//   sign_fixture sign-blob KEY FILE                      prints base64 of the signature
//   sign_fixture verify-blob PUBLIC FILE BASE64
//   sign_fixture sign KEY DIR MEDIA_TYPE DIGEST SIZE REFERENCE…
//   sign_fixture sign-certified KEY CHAIN DIR MEDIA_TYPE DIGEST SIZE
//   sign_fixture attest KEY DIR MEDIA_TYPE DIGEST SIZE TYPE PREDICATE
//   sign_fixture notation KEY CHAIN DIR MEDIA_TYPE DIGEST SIZE
//   sign_fixture model KEY NAME=FILE…                    prints the bundle
//   sign_fixture verify key=FILE|certificate=FILE|root=FILE,IDENTITY,ISSUER DIR MEDIA_TYPE DIGEST
//                       SIZE MANIFEST…                   [annotation=K=V] [type=PREDICATE_TYPE]
//
// DIR holds manifests and blobs by the hexadecimal digits of their digests. What is to be pushed is
// listed in order: "blob HEX", "manifest HEX [TAG]".
#include "aipack/core/error.hpp"
#include "aipack/io/file.hpp"
#include "aipack/sign/key.hpp"
#include "aipack/sign/model_signature.hpp"
#include "aipack/sign/signing.hpp"
#include "aipack/sign/verify.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <openssl/evp.h>

using namespace aipack;
using namespace aipack::sign;

namespace {

using Arguments = std::vector<std::string>;

std::string password() {
  const char* const text = std::getenv("PASSWORD");
  return text == nullptr ? "" : text;
}

PrivateKey private_key(const std::string& path) {
  return PrivateKey::read(path, password);
}

std::string text_of(const std::filesystem::path& path) {
  return io::read_text_file(path, std::uint64_t{64} << 20);
}

std::chrono::sys_seconds now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

std::string base64(const std::string& bytes) {
  std::string text(bytes.size() / 3 * 4 + 5, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  return text.substr(0, static_cast<std::size_t>(length));
}

std::string from_base64(const std::string& text) {
  std::string bytes(text.size(), '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
  std::size_t padding = 0;
  while (padding < text.size() && text[text.size() - 1 - padding] == '=') {
    ++padding;
  }
  return bytes.substr(0, static_cast<std::size_t>(length) - padding);
}

oci::Descriptor image_at(const Arguments& arguments, std::size_t at) {
  return {.media_type = arguments.at(at),
          .digest = oci::Digest::parse(arguments.at(at + 1)),
          .size_bytes = std::stoull(arguments.at(at + 2))};
}

void save(const std::filesystem::path& directory, const oci::Digest& digest,
          const std::string& bytes) {
  std::ofstream(directory / digest.hex(), std::ios::binary) << bytes;
}

void save(const std::filesystem::path& directory, const Artifact& artifact) {
  for (const auto& blob : artifact.blobs) {
    save(directory, blob.descriptor.digest, blob.bytes);
    std::printf("blob %s\n", blob.descriptor.digest.hex().c_str());
  }
  const auto& digest = artifact.manifest.descriptor().digest;
  save(directory, digest, artifact.manifest.bytes());
  std::printf("manifest %s %s\n", digest.hex().c_str(), artifact.tag.c_str());
}

int keygen(const Arguments& arguments) {
  const auto key = PrivateKey::generate(KeySpec::parse(arguments.at(0)));
  const auto format = arguments.at(1) == "cosign"  ? KeyFormat::cosign
                      : arguments.at(1) == "pkcs8" ? KeyFormat::pkcs8
                                                   : KeyFormat::pkcs8_encrypted;
  write_private_key(arguments.at(2), key.to_pem(format, Secret(password())));
  std::ofstream(arguments.at(3)) << key.public_key().to_pem();
  return 0;
}

int sign_both(const Arguments& arguments) {
  const PrivateKey key = private_key(arguments.at(0));
  const oci::Descriptor image = image_at(arguments, 2);
  const oci::Annotations annotations{{"stage", "release"}};
  const Signatory signatory{.signer = key};
  save(arguments.at(1),
       make_bundle_referrer(image, sign_image(image.digest, annotations, signatory), now()));
  save(arguments.at(1), sign_simple(image.digest, {arguments.begin() + 5, arguments.end()},
                                    annotations, signatory, nullptr));
  return 0;
}

int sign_certified(const Arguments& arguments) {
  const PrivateKey key = private_key(arguments.at(0));
  const oci::Descriptor image = image_at(arguments, 3);
  const Signatory signatory{.signer = key, .certificates = read_certificates(arguments.at(1))};
  save(arguments.at(2),
       make_bundle_referrer(image, sign_image(image.digest, {}, signatory), now()));
  return 0;
}

int attest(const Arguments& arguments) {
  const PrivateKey key = private_key(arguments.at(0));
  const oci::Descriptor image = image_at(arguments, 2);
  const Statement statement{.subjects = {Subject::of(image.digest)},
                            .predicate_type = predicate_type_of(arguments.at(5)),
                            .predicate = text_of(arguments.at(6))};
  save(arguments.at(1),
       make_bundle_referrer(image, sign_statement(statement, {.signer = key}), now()));
  return 0;
}

int notation(const Arguments& arguments) {
  const PrivateKey key = private_key(arguments.at(0));
  const oci::Descriptor image = image_at(arguments, 3);
  const Signatory signatory{.signer = key, .certificates = read_certificates(arguments.at(1))};
  const std::string jws = sign_notation(image, {{"stage", "release"}}, signatory, now());
  save(arguments.at(2), make_notation_referrer(image, jws, now()));
  return 0;
}

int model(const Arguments& arguments) {
  std::vector<ModelFile> files;
  for (std::size_t at = 1; at < arguments.size(); ++at) {
    const std::size_t equals = arguments[at].find('=');
    files.push_back({.path = arguments[at].substr(0, equals),
                     .digest = oci::Digest::of(text_of(arguments[at].substr(equals + 1)))});
  }
  const PrivateKey key = private_key(arguments.at(0));
  std::printf("%s\n%s\n", model_root(files).hex().c_str(),
              sign_model(files, {}, {.signer = key}).c_str());
  return 0;
}

void trust(Policy& policy, const std::string& whom) {
  const std::string value = whom.substr(whom.find('=') + 1);
  if (whom.starts_with("key=")) {
    policy.keys.push_back(PublicKey::read(value));
  } else if (whom.starts_with("certificate=")) {
    policy.notation.certificates = read_certificates(value);
  } else {
    const std::size_t first = value.find(',');
    const std::size_t second = value.find(',', first + 1);
    policy.trusted_root = TrustedRoot::parse(text_of(value.substr(0, first)), "root");
    policy.identities = {
        {.name = value.substr(first + 1, second - first - 1), .issuer = value.substr(second + 1)}};
  }
}

int verify_image(const Arguments& arguments) {
  Policy policy{.image = image_at(arguments, 2), .time = now()};
  trust(policy, arguments.at(0));
  const std::filesystem::path directory = arguments.at(1);
  std::vector<Candidate> candidates;
  for (std::size_t at = 5; at < arguments.size(); ++at) {
    const std::string& argument = arguments[at];
    if (argument.starts_with("annotation=")) {
      const std::size_t equals = argument.find('=', 11);
      policy.annotations[argument.substr(11, equals - 11)] = argument.substr(equals + 1);
    } else if (argument.starts_with("type=")) {
      policy.threshold = 0;
      policy.attestations.push_back({.predicate_type = argument.substr(5)});
    } else {
      const auto manifest = oci::parse_manifest(text_of(directory / argument), argument);
      for (Candidate& candidate : read_candidates(manifest, [&](const oci::Descriptor& layer) {
             return text_of(directory / layer.digest.hex());
           })) {
        candidates.push_back(std::move(candidate));
      }
    }
  }
  const Verdict verdict = verify(policy, candidates);
  for (const auto& signature : verdict.signatures) {
    std::printf("signature %s %s %s: %s\n", std::string(to_string(signature.format)).c_str(),
                signature.verified ? "yes" : "no", signature.scheme.c_str(),
                signature.reason.c_str());
  }
  for (const auto& attestation : verdict.attestations) {
    std::printf("attestation %s %s %s: %s\n", std::string(to_string(attestation.format)).c_str(),
                attestation.verified ? "yes" : "no", attestation.predicate_type.c_str(),
                attestation.reason.c_str());
  }
  std::printf("%s: %s\n", verdict.verified ? "verified" : "not verified", verdict.reason.c_str());
  return verdict.verified ? 0 : 1;
}

int run(const std::string& verb, const Arguments& arguments) {
  if (verb == "keygen") {
    return keygen(arguments);
  }
  if (verb == "public") {
    std::printf("%s", private_key(arguments.at(0)).public_key().to_pem().c_str());
    return 0;
  }
  if (verb == "sign-blob") {
    const PrivateKey key = private_key(arguments.at(0));
    std::printf("%s\n",
                base64(key.sign(text_of(arguments.at(1)), default_scheme(key.public_key().type())))
                    .c_str());
    return 0;
  }
  if (verb == "verify-blob") {
    const PublicKey key = PublicKey::read(arguments.at(0));
    return key.verify_any(text_of(arguments.at(1)), from_base64(arguments.at(2)),
                          accepted_schemes(key.type()))
               ? 0
               : 1;
  }
  if (verb == "sign") {
    return sign_both(arguments);
  }
  if (verb == "sign-certified") {
    return sign_certified(arguments);
  }
  if (verb == "attest") {
    return attest(arguments);
  }
  if (verb == "notation") {
    return notation(arguments);
  }
  if (verb == "model") {
    return model(arguments);
  }
  return verb == "verify" ? verify_image(arguments) : 2;
}

} // namespace

int main(int argc, char* argv[]) {
  try {
    return run(argc < 2 ? "" : argv[1], Arguments(argv + (argc < 2 ? argc : 2), argv + argc));
  } catch (const Error& error) {
    std::fprintf(stderr, "sign_fixture: %s\n", error.what());
    return 3;
  }
}
