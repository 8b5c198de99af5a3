#include "aipack/core/error.hpp"
#include "aipack/sign/bundle.hpp"
#include "aipack/sign/model_signature.hpp"

#include "../../support/catch.hpp"
#include "encoding.hpp"
#include "failure.hpp"
#include "test_keys.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace aipack;
using namespace aipack::sign;
using aipack::testing::failure_of;

namespace {

std::vector<ModelFile> files_of(const std::vector<std::string>& paths) {
  std::vector<ModelFile> files;
  for (const std::string& path : paths) {
    files.push_back({.path = path, .digest = oci::Digest::of(path)});
  }
  return files;
}

const std::vector<ModelFile> model = files_of({"model.onnx", "weights/1.bin", "config.json"});

ModelPolicy policy_for(const PrivateKey& key) {
  return {.keys = {key.public_key()}};
}

std::string statement_of(const std::string& json) {
  return std::get<Envelope>(parse_bundle(json, "bundle").content).payload;
}

/// A bundle around a changed statement, signed by the same key.
std::string signed_again(const PrivateKey& key, std::string statement, const std::string& from,
                         const std::string& to) {
  REQUIRE(statement.find(from) != std::string::npos);
  statement.replace(statement.find(from), from.size(), to);
  return write(Bundle{.material = KeyHint{key.public_key().model_signing_hint()},
                      .content = sign_envelope(statement, key)});
}

} // namespace

TEST_CASE("model files are ordered by their parts", "[sign][model]") {
  auto files = files_of({"b", "a.txt", "a-b", "a/b", "a/b/c", "A", "a", "é", "a b/x"});
  sort_model_files(files);
  std::vector<std::string> order;
  for (const auto& file : files) {
    order.push_back(file.path);
  }
  // python3 -c 'from pathlib import *; print(sorted(map(PurePosixPath, [...])))'
  CHECK(order ==
        std::vector<std::string>{"A", "a", "a/b", "a/b/c", "a b/x", "a-b", "a.txt", "b", "é"});
}

TEST_CASE("the root of a model is the hash of its files' digests", "[sign][model]") {
  const auto files = files_of({"a/b", "a-b"});
  std::string digests;
  for (const ModelFile& file : files) {
    digests += *try_hex(file.digest.hex());
  }
  CHECK(model_root({files[1], files[0]}) == oci::Digest::of(digests));
}

TEST_CASE("a model signature verifies for the files that it lists", "[sign][model]") {
  const std::string name = GENERATE("p256", "p384", "p521");
  const PrivateKey key = testing::test_key(name);
  const std::string json = sign_model(model, {.name = "my-model"}, {.signer = key});
  const auto verdict = verify_model(json, model, policy_for(key));
  CAPTURE(verdict.reason);
  CHECK(verdict.verified);
  CHECK(verdict.key == key.public_key().fingerprint().to_string());

  const std::string statement = statement_of(json);
  const std::string head =
      "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"name\":\"my-model\","
      "\"digest\":{\"sha256\":\"" +
      model_root(model).hex() +
      "\"}}],\"predicateType\":\"https://model_signing/signature/v1.0\",\"predicate\":{"
      "\"serialization\":{\"method\":\"files\",\"hash_type\":\"sha256\",\"allow_symlinks\":false,"
      "\"ignore_paths\":[]},\"resources\":[{\"name\":\"config.json\",\"algorithm\":\"sha256\","
      "\"digest\":\"";
  CHECK(statement.substr(0, head.size()) == head);
  CHECK(json.find(key.public_key().model_signing_hint()) != std::string::npos);
}

TEST_CASE("a model that differs is refused, file by file", "[sign][model]") {
  const PrivateKey key = PrivateKey::generate();
  const std::string json = sign_model(model, {.ignored_paths = {".git"}}, {.signer = key});
  auto changed = model;
  changed[0].digest = oci::Digest::of("evil");
  auto missing = model;
  missing.pop_back();
  auto more = model;
  more.push_back({.path = "evil.py", .digest = oci::Digest::of("evil")});
  auto ignored = model;
  ignored.push_back({.path = ".git/config", .digest = oci::Digest::of("git")});

  const auto on_change = verify_model(json, changed, policy_for(key));
  CHECK_FALSE(on_change.verified);
  CHECK(on_change.changed == std::vector<std::string>{"model.onnx"});
  CHECK(on_change.reason == "cannot trust the model: its file 'model.onnx' is changed");
  const auto on_loss = verify_model(json, missing, policy_for(key));
  CHECK(on_loss.missing == std::vector<std::string>{"config.json"});
  CHECK_FALSE(on_loss.verified);
  const auto on_more = verify_model(json, more, policy_for(key));
  CHECK(on_more.unsigned_files == std::vector<std::string>{"evil.py"});
  CHECK_FALSE(on_more.verified);
  auto tolerant = policy_for(key);
  tolerant.allow_unsigned_files = true;
  CHECK(verify_model(json, more, tolerant).verified);
  CHECK(verify_model(json, ignored, policy_for(key)).verified);
  CHECK(ignored_model_paths(json, "model.sig") == std::vector<std::string>{".git"});
  CHECK(verify_model(json, {}, policy_for(key)).reason ==
        "cannot trust the model: its file 'config.json' and 2 more are missing");
}

TEST_CASE("model signatures that were tampered with are refused for their reason",
          "[sign][model]") {
  const PrivateKey key = PrivateKey::generate();
  const PrivateKey stranger = PrivateKey::generate();
  const std::string json = sign_model(model, {}, {.signer = key});
  const std::string statement = statement_of(json);
  struct Row {
    std::string json;
    const char* reason;
  };
  const std::vector<Row> rows{
      {sign_model(model, {}, {.signer = stranger}), "it is not by the trusted key"},
      {signed_again(key, statement, "\"files\"", "\"shards\""), "only whole files are verified"},
      {signed_again(key, statement, "\"sha256\",\"digest\"", "\"blake3\",\"digest\""),
       "only sha256 is verified"},
      {signed_again(key, statement, model_root(model).hex(), std::string(64, '0')),
       "not the root of the files"},
      {signed_again(key, statement, "signature/v1.0", "signature/v2.0"),
       "its statement is of type"},
      {sign_image(oci::Digest::of("x"), {}, {.signer = key}), "its statement is of type"},
      {"{}", "'mediaType' is missing"},
  };
  for (const Row& row : rows) {
    const auto verdict = verify_model(row.json, model, policy_for(key));
    CHECK_FALSE(verdict.verified);
    CHECK_THAT(verdict.reason, ContainsSubstring(row.reason));
  }
  std::string hinted = json;
  const std::string hint = key.public_key().model_signing_hint();
  hinted.replace(hinted.find(hint), hint.size(), stranger.public_key().model_signing_hint());
  CHECK_THAT(verify_model(hinted, model, policy_for(key)).reason,
             ContainsSubstring("its key hint names another key"));
}

TEST_CASE("a model signature for another curve's hash is refused", "[sign][model]") {
  const PrivateKey key = testing::test_key("p384");
  const std::string statement = statement_of(sign_model(model, {}, {.signer = key}));
  const std::string json =
      write(Bundle{.content = sign_envelope(statement, key, Scheme::ecdsa_sha256)});
  CHECK_FALSE(verify_model(json, model, policy_for(key)).verified);
}

TEST_CASE("what cannot be signed as a model says why", "[sign][model]") {
  const PrivateKey key = PrivateKey::generate();
  const auto reason_of = [&](const std::vector<std::string>& paths) {
    return failure_of([&] { (void)sign_model(files_of(paths), {}, {.signer = key}); }).message();
  };
  CHECK_THAT(reason_of({}), ContainsSubstring("it has no files"));
  CHECK_THAT(reason_of({"a", "a"}), ContainsSubstring("it is named twice"));
  for (const char* bad : {"/a", "../a", "a/../b", "a//b", "./a", "a/"}) {
    CAPTURE(bad);
    CHECK_THAT(reason_of({bad}), ContainsSubstring("not a plain relative one"));
  }
  CHECK(reason_of({"."}) == "nothing was thrown");
  CHECK_THAT(reason_of({".", "a"}), ContainsSubstring("not a plain relative one"));
  const PrivateKey rsa = testing::test_key("rsa2048");
  CHECK_THAT(failure_of([&] { (void)sign_model(model, {}, {.signer = rsa}); }).message(),
             ContainsSubstring("ECDSA keys only"));
  CHECK(failure_of([&] { (void)verify_model("{}", model, {}); }).code() ==
        ErrorCode::invalid_input);
}
