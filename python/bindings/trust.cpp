#include "aipack/trust/images.hpp"
#include "aipack/trust/signing.hpp"
#include "aipack/trust/verification.hpp"

#include "bindings.hpp"

namespace aipack::python {

namespace {

/// A private key that stays in C++: Python sees its public half.
struct Key {
  std::shared_ptr<const sign::PrivateKey> key;
};

Key read_key(const std::string& path, const std::optional<std::string>& password) {
  const auto source =
      password ? sign::PasswordSource([&] { return *password; }) : sign::PasswordSource{};
  return {std::make_shared<const sign::PrivateKey>(sign::PrivateKey::read(path, source))};
}

sign::Policy make_policy(const std::vector<std::string>& keys, unsigned threshold,
                         const std::map<std::string, std::string>& annotations,
                         const std::vector<std::string>& attestations, std::int64_t now) {
  sign::Policy policy{.threshold = threshold,
                      .image = {.media_type = {}, .digest = oci::Digest::of("")},
                      .annotations = annotations,
                      .time = std::chrono::sys_seconds(std::chrono::seconds(now))};
  for (const auto& key : keys) {
    policy.keys.push_back(key.find("-----BEGIN") != std::string::npos
                              ? sign::PublicKey::parse(key, "key")
                              : sign::PublicKey::read(key));
  }
  for (const auto& type : attestations) {
    policy.attestations.push_back({.predicate_type = sign::predicate_type_of(type)});
  }
  return policy;
}

void bind_reports(py::module_& module) {
  using sign::AttestationVerdict;
  using sign::SignatureVerdict;
  py::class_<SignatureVerdict>(module, "SignatureVerdict", "What was found of one signature.")
      .def_property_readonly("format",
                             [](const SignatureVerdict& verdict) {
                               return std::string(sign::to_string(verdict.format));
                             })
      .def_property_readonly(
          "digest", [](const SignatureVerdict& verdict) { return verdict.digest.to_string(); })
      .def_property_readonly("key",
                             [](const SignatureVerdict& verdict) { return text(verdict.key); })
      .def_readonly("verified", &SignatureVerdict::verified)
      .def_property_readonly("reason",
                             [](const SignatureVerdict& verdict) { return text(verdict.reason); });
  py::class_<AttestationVerdict>(module, "AttestationVerdict", "What was found of one attestation.")
      .def_property_readonly(
          "predicate_type",
          [](const AttestationVerdict& verdict) { return text(verdict.predicate_type); })
      .def_property_readonly(
          "digest", [](const AttestationVerdict& verdict) { return verdict.digest.to_string(); })
      .def_property_readonly("key",
                             [](const AttestationVerdict& verdict) { return text(verdict.key); })
      .def_readonly("verified", &AttestationVerdict::verified)
      .def_property_readonly(
          "reason", [](const AttestationVerdict& verdict) { return text(verdict.reason); });
  using trust::ImageVerdict;
  py::class_<ImageVerdict>(module, "ImageVerdict", "The verdict on an index or on one platform.")
      .def_property_readonly(
          "digest", [](const ImageVerdict& image) { return image.image.digest.to_string(); })
      .def_property_readonly("platform",
                             [](const ImageVerdict& image) {
                               return image.image.platform
                                          ? std::optional(image.image.platform->to_string())
                                          : std::nullopt;
                             })
      .def_property_readonly("verified",
                             [](const ImageVerdict& image) { return image.verdict.verified; })
      .def_property_readonly("reason",
                             [](const ImageVerdict& image) { return text(image.verdict.reason); })
      .def_property_readonly("signatures",
                             [](const ImageVerdict& image) { return image.verdict.signatures; })
      .def_property_readonly("attestations",
                             [](const ImageVerdict& image) { return image.verdict.attestations; });
  py::class_<trust::VerifyReport>(module, "VerifyReport",
                                  "Whether an image is trusted, and why. True when it is.")
      .def_property_readonly(
          "digest",
          [](const trust::VerifyReport& report) { return report.root.digest.to_string(); })
      .def_readonly("verified", &trust::VerifyReport::verified)
      .def_property_readonly("reason",
                             [](const trust::VerifyReport& report) { return text(report.reason); })
      .def_readonly("images", &trust::VerifyReport::images, "The index first.")
      .def("__bool__", [](const trust::VerifyReport& report) { return report.verified; });
  py::class_<trust::SigningReport>(module, "SigningReport", "What was written beside an image.")
      .def_readonly("signatures", &trust::SigningReport::signatures)
      .def_readonly("attestations", &trust::SigningReport::attestations)
      .def_readonly("documents", &trust::SigningReport::documents)
      .def_readonly("present", &trust::SigningReport::present, "That were there before.");
}

} // namespace

void bind_trust(py::module_& module) {
  bind_reports(module);
  py::class_<Key>(module, "Key", "A private key that signs.")
      .def_property_readonly(
          "public_key", [](const Key& key) { return key.key->public_key().to_pem(); }, "PEM.")
      .def_property_readonly("fingerprint", [](const Key& key) {
        return key.key->public_key().fingerprint().to_string();
      });
  module.def("read_key", &read_key);
  module.def("make_key", [](const std::string& type, const std::string& path,
                            const std::string& password) {
    const auto key = std::make_shared<const sign::PrivateKey>(
        sign::PrivateKey::generate(sign::KeySpec::parse(type)));
    sign::write_private_key(path, key->to_pem(sign::KeyFormat::cosign, sign::Secret(password)));
    return Key{key};
  });
  module.def("sign", [](const build::Engine& engine, const std::string& reference, const Key& key,
                        const std::map<std::string, std::string>& annotations, std::int64_t now,
                        const py::object& progress) {
    const auto location = image::Location::parse(reference);
    return call<trust::SigningReport>(progress, [&](const Operation& op) {
      const auto origin = transfer::open_origin(location, engine.registries(), op);
      const auto images = trust::images_of(*origin, op);
      const auto annex = transfer::open_annex(location, engine.registries());
      return trust::annotate(*annex, {.signed_images = images}, {.signer = *key.key},
                             {.annotations = annotations,
                              .references = trust::simple_references(location),
                              .created = trust::created_of(*origin, images.front(), op),
                              .signed_at = std::chrono::sys_seconds(std::chrono::seconds(now))},
                             op);
    });
  });
  module.def("verify", [](const build::Engine& engine, const std::string& reference,
                          const std::vector<std::string>& keys, unsigned threshold,
                          const std::map<std::string, std::string>& annotations,
                          const std::vector<std::string>& attestations, bool every_platform,
                          std::int64_t now, const py::object& progress) {
    const auto location = image::Location::parse(reference);
    const trust::VerifyOptions options{
        .policy = make_policy(keys, threshold, annotations, attestations, now),
        .every_platform = every_platform};
    return call<trust::VerifyReport>(progress, [&](const Operation& op) {
      return trust::verify_image(*transfer::open_origin(location, engine.registries(), op), options,
                                 op);
    });
  });
}

build::Signing signing_of(const py::object& key, bool sboms, bool large_models, std::int64_t now,
                          std::unique_ptr<sign::Signatory>& signatory) {
  build::Signing signing{.sboms = sboms,
                         .large_models = large_models,
                         .signed_at = std::chrono::sys_seconds(std::chrono::seconds(now))};
  if (!key.is_none()) {
    signatory = std::make_unique<sign::Signatory>(sign::Signatory{.signer = *key.cast<Key&>().key});
    signing.signatory = signatory.get();
  }
  return signing;
}

} // namespace aipack::python
