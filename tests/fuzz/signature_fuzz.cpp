// Everything that claims to be a signature, judged against a policy: no input is verified, for no
// seed was made for this image. The first byte chooses the format.
#include "aipack/core/error.hpp"
#include "aipack/sign/bundle.hpp"
#include "aipack/sign/model_signature.hpp"
#include "aipack/sign/signing.hpp"
#include "aipack/sign/verify.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

const aipack::sign::PrivateKey& key() {
  static const auto made = aipack::sign::PrivateKey::generate();
  return made;
}

/// Trusts whatever certificate the input holds, so that the checks behind that one are reached.
aipack::sign::Policy policy() {
  using namespace aipack;
  return {.keys = {key().public_key()},
          .image = {.media_type = "application/vnd.oci.image.manifest.v1+json",
                    .digest = oci::Digest::of("no image"),
                    .size_bytes = 8},
          .time = std::chrono::sys_seconds(std::chrono::seconds(1'795'000'000))};
}

template <class Parse>
void tolerate(Parse parse) {
  try {
    parse();
  } catch (const aipack::Error& error) {
    if (error.code() == aipack::ErrorCode::internal) {
      std::abort();
    }
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aipack;
  using namespace aipack::sign;
  if (size == 0) {
    return 0;
  }
  const std::string content(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr std::uint8_t formats = 5;
  Candidate candidate{.format = static_cast<Format>(data[0] % formats),
                      .manifest = oci::Digest::of("manifest"),
                      .content = content,
                      .annotations = {{"dev.cosignproject.cosign/signature", "MAA="},
                                      {"dev.sigstore.cosign/certificate", content}}};
  if (verify(policy(), {candidate}).verified) {
    std::abort();
  }
  tolerate([&] {
    const Bundle bundle = parse_bundle(content, "input", BundleRules::model_signing);
    (void)write(bundle);
  });
  tolerate([&] {
    const auto payload = SimplePayload::parse(content, "input");
    if (!(SimplePayload::parse(payload.to_json(), "again") == payload)) {
      std::abort();
    }
  });
  tolerate([&] {
    const Statement statement = parse_statement(content, "input");
    if (!(parse_statement(write(statement), "again") == statement)) {
      std::abort();
    }
  });
  if (verify_model(content, {}, {.keys = {key().public_key()}}).verified) {
    std::abort();
  }
  return 0;
}
