#include "aipack/codec/compression.hpp"
#include "aipack/image/image.hpp"

#include "context.hpp"
#include "signed_build.hpp"
#include "signing.hpp"
#include "support/catch.hpp"

#include <filesystem>

#include <nlohmann/json.hpp>

using namespace aipack;
using namespace aipack::build;
using namespace aipack::test;

namespace {

namespace stdfs = std::filesystem;

RebuildReport rebuilt(const SmallDebian& debian, const Engine& engine,
                      const image::Location& place) {
  return engine.verify_rebuild(place, {.policy = policy(), .mirror = debian.mirror.string()}, {});
}

constexpr const char* same = "composed again from its provenance, bit for bit the same";

/// `index` with another blob as the runtime's layer, under the same config.
image::Index with_runtime_layer(image::Index index, const std::string& content) {
  io::MemorySink bytes;
  const auto compressor = codec::make_compressor(codec::Compression::parse("zstd:1"), bytes);
  compressor->write(io::as_bytes(content));
  compressor->finish();
  const std::string blob(io::as_text(bytes.bytes()));
  auto& image = index.images.front();
  auto manifest = image.manifest.value();
  for (std::size_t i = 0; i < image.layers.size(); ++i) {
    if (image.layers[i].purpose == image::Purpose::runtime) {
      auto& layer = manifest.layers[i];
      layer.digest = oci::Digest::of(blob);
      layer.size_bytes = blob.size();
      image.layers[i].blob = blob::memory_blob(layer, blob);
    }
  }
  image.manifest = oci::seal(std::move(manifest));
  return image::make_index(std::move(index.images), index.document->annotations);
}

std::string runtime_content(const image::Index& index) {
  for (const auto& layer : index.images.front().layers) {
    if (layer.purpose == image::Purpose::runtime) {
      const auto source = codec::make_decompressor(layer.blob->open(), 1U << 30U, "layer");
      return io::read_text(*source, 1U << 30U, "layer");
    }
  }
  FAIL("no such layer");
  return {};
}

} // namespace

TEST_CASE("A user's file that was changed, and signed for again, is found by its name",
          "[build][rebuild]") {
  const SmallDebian debian;
  const auto engine = debian.engine();
  const auto folder = debian.directory.path() / "own";
  stdfs::create_directories(folder);
  testing::write_file(folder / "settings", "x = 1\n");
  stdfs::create_symlink("settings", folder / "link");
  auto request = debian.request();
  request.files = {{folder, fs::RootPath::parse("/opt/own")}};
  const auto place = layout_at(debian, "image.oci");
  build_signed(engine, request, place);

  std::string name;
  SECTION("its content") {
    testing::write_file(folder / "settings", "x = 2\n");
    name = "file '/opt/own/settings'";
  }
  SECTION("whether it can be executed") {
    stdfs::permissions(folder / "settings", stdfs::perms::owner_exec, stdfs::perm_options::add);
    name = "file '/opt/own/settings'";
  }
  SECTION("where a link leads") {
    stdfs::remove(folder / "link");
    stdfs::create_symlink("./settings", folder / "link");
    name = "link '/opt/own/link'";
  }
  SECTION("that it is there") {
    stdfs::remove(folder / "link");
    name = "link '/opt/own/link'";
  }
  const auto forged = layout_at(debian, "forged.oci");
  engine.build(engine.plan(request, {}), forged, {});
  attest(engine, forged, provenance_of(engine, place));
  const auto report = rebuilt(debian, engine, forged);
  CHECK_FALSE(report.verified);
  CHECK_FALSE(report.composed);
  CHECK_THAT(report.reason, ContainsSubstring(name));
  REQUIRE(report.inputs.size() == 1);
  CHECK(report.inputs.front().starts_with(name));
  for (const auto& layer : report.layers) {
    CHECK(layer.purpose == image::Purpose::files);
  }
}

TEST_CASE("A model that was changed is no verdict of the command line but of the image",
          "[build][rebuild]") {
  const SmallDebian debian;
  const auto engine = debian.engine();
  const auto place = layout_at(debian, "image.oci");
  build_signed(engine, debian.request(), place);
  const auto provenance = provenance_of(engine, place);
  debian.write_model(16);
  const auto forged = layout_at(debian, "forged.oci");
  engine.build(engine.plan(debian.request(), {}), forged, {});
  attest(engine, forged, provenance);
  const auto report = rebuilt(debian, engine, forged);
  CHECK_FALSE(report.verified);
  CHECK_THAT(report.reason, ContainsSubstring("model file '/models/linear.onnx'"));
  REQUIRE(report.layers.size() == 1);
  CHECK(report.layers.front().purpose == image::Purpose::model);
}

TEST_CASE("Without a digest of the model only its files prove anything", "[build][rebuild]") {
  const SmallDebian debian;
  const auto engine = debian.engine();
  const auto signed_place = layout_at(debian, "signed.oci");
  build_signed(engine, debian.request(), signed_place);
  auto json = nlohmann::ordered_json::parse(provenance_of(engine, signed_place));
  json["buildDefinition"]["internalParameters"]["lock"]["models"][0]["files"][0].erase("digest");
  const auto place = layout_at(debian, "image.oci");
  engine.build(engine.plan(debian.request(), {}), place, {});
  attest(engine, place, json.dump());
  CHECK(error_of([&] { (void)rebuilt(debian, engine, place); }).code() == ErrorCode::unsupported);
  const auto report = engine.verify_rebuild(
      place, {.policy = policy(), .models = {debian.model}, .mirror = debian.mirror.string()}, {});
  CHECK(report.reason == same);
}

TEST_CASE("A large model is proved by its layer, and by its own digest when so wished",
          "[build][rebuild][signing]") {
  const SmallDebian debian;
  const auto engine = debian.engine();
  const auto base = layout_at(debian, "base.oci");
  engine.build(engine.plan(debian.request(), {}), base, {});
  auto request = debian.request();
  request.base = base.to_string();
  const auto folder = debian.directory.path() / "llm";
  stdfs::create_directories(folder);
  testing::write_file(folder / "config.json", "{}");
  testing::write_file(folder / "weights.bin", "weights");
  stdfs::resize_file(folder / "weights.bin", max_digested_bytes + 1);
  request.models = {folder};
  const auto place = layout_at(debian, "image.oci");
  const auto rebuilt_on_base = [&](const image::Location& where) {
    return engine.verify_rebuild(
        where, {.policy = policy(), .mirror = debian.mirror.string(), .base = base.to_string()},
        {});
  };
  const auto definition_of = [&](const image::Location& where) {
    return nlohmann::json::parse(provenance_of(engine, where)).at("buildDefinition");
  };

  const sign::Signatory signatory{.signer = key()};
  Outputs outputs{.destinations = {place},
                  .signing = {.signatory = &signatory, .signed_at = policy().time}};
  SECTION("by its layer") {
    const auto report = engine.build(engine.plan(request, {}), outputs, {});
    REQUIRE(report.notes.size() == 1);
    CHECK_THAT(report.notes.front(), ContainsSubstring("model 'llm' has no signature of its own"));
    const auto layers = definition_of(place).at("internalParameters").at("model_layers");
    REQUIRE(layers.size() == 2); // each file of a model on a base travels by itself
    CHECK(definition_of(place).at("resolvedDependencies").dump().find("layer of models: ") !=
          std::string::npos);
    stdfs::remove_all(folder);
    CHECK(rebuilt_on_base(place).reason == same);

    // The same said of an image with other weights.
    const auto provenance = provenance_of(engine, place);
    stdfs::create_directories(folder);
    testing::write_file(folder / "config.json", "{}");
    testing::write_file(folder / "weights.bin", "weightz");
    stdfs::resize_file(folder / "weights.bin", max_digested_bytes + 1);
    const auto forged = layout_at(debian, "forged.oci");
    engine.build(engine.plan(request, {}), forged, {});
    attest(engine, forged, provenance);
    const auto verdict = rebuilt_on_base(forged);
    CHECK_FALSE(verdict.verified);
    CHECK_THAT(verdict.reason, ContainsSubstring("is not the one that its provenance names"));
    REQUIRE(verdict.layers.size() == 1);
    CHECK(verdict.layers.front().purpose == image::Purpose::model);
    CHECK(verdict.layers.front().rebuilt.has_value());
  }
  SECTION("by its own digest") {
    outputs.signing.large_models = true;
    const auto report = engine.build(engine.plan(request, {}), outputs, {});
    CHECK(report.notes.empty());
    CHECK_FALSE(definition_of(place).at("internalParameters").contains("model_layers"));
    CHECK(rebuilt_on_base(place).reason == same);
  }
}

TEST_CASE("Provenance that names more layers of models than there are is not believed",
          "[build][rebuild]") {
  const SmallDebian debian;
  const auto engine = debian.engine();
  const auto signed_place = layout_at(debian, "signed.oci");
  build_signed(engine, debian.request(), signed_place);
  const auto good = nlohmann::ordered_json::parse(provenance_of(engine, signed_place));
  const auto place = layout_at(debian, "image.oci");
  const auto index = engine.build(engine.plan(debian.request(), {}), place, {});
  const auto diff_id = index.platforms.front().layers.back().diff_id->to_string();
  const auto said = [&](const nlohmann::ordered_json& layers) {
    auto json = good;
    json["buildDefinition"]["internalParameters"]["model_layers"] = layers;
    json["buildDefinition"]["internalParameters"]["lock"]["models"][0]["files"][0].erase("digest");
    return json.dump();
  };
  SECTION("as many") {
    attest(engine, place, said({diff_id}));
    CHECK(rebuilt(debian, engine, place).reason == same);
  }
  SECTION("more") {
    attest(engine, place, said({diff_id, oci::Digest::of("another").to_string()}));
    const auto report = rebuilt(debian, engine, place);
    CHECK_FALSE(report.verified);
    REQUIRE(report.layers.size() == 1);
    CHECK_FALSE(report.layers.front().expected.has_value());
  }
  SECTION("no digests") {
    attest(engine, place, said({"sha256:12"}));
    CHECK(error_of([&] { (void)rebuilt(debian, engine, place); }).code() == ErrorCode::corrupt);
  }
}

TEST_CASE("Files beside a package's own, and behind links of the image, are taken out again",
          "[build][rebuild]") {
  const SmallDebian debian;
  const auto engine = debian.engine();
  const auto folder = debian.directory.path() / "own";
  stdfs::create_directories(folder / "served");
  testing::write_file(folder / "served/more", "more");
  testing::write_file(folder / "own.conf", "c");
  auto request = debian.request();
  request.files = {{folder / "own.conf", fs::RootPath::parse("/lib/own.conf")},
                   {folder, fs::RootPath::parse("/usr/share")}};
  request.model_compression = codec::Compression::parse("zstd:3");
  const auto place = layout_at(debian, "image.oci");
  build_signed(engine, request, place);
  stdfs::remove_all(folder);
  stdfs::remove(debian.model);
  CHECK(rebuilt(debian, engine, place).reason == same);
}

TEST_CASE("One platform's image is rebuilt by its digest, whatever the name stands for by now",
          "[build][rebuild]") {
  const SmallDebian debian;
  const auto engine = debian.engine();
  const auto place = layout_at(debian, "image.oci");
  build_signed(engine, debian.request(), place);
  const auto origin = transfer::open_origin(place, engine.registries(), {});
  const auto images = trust::images_of(*origin, {});
  REQUIRE(images.size() == 2);
  debian.write_model(16);
  build_signed(engine, debian.request(), place); // the tag moves
  for (const auto& image : images) {
    const auto report = engine.verify_rebuild(
        place, {.policy = policy(), .root = image, .mirror = debian.mirror.string()}, {});
    CHECK(report.reason == same);
    CHECK(report.expected == image.digest);
    CHECK(report.rebuilt == image.digest);
  }
}

TEST_CASE("Provenance by others beside aipack's changes nothing", "[build][rebuild]") {
  const SmallDebian debian;
  const auto engine = debian.engine();
  const auto place = layout_at(debian, "image.oci");
  engine.build(engine.plan(debian.request(), {}), place, {});
  attest(engine, place, R"({"buildDefinition": {"buildType": "https://example.org/other"}})");
  CHECK(error_of([&] { (void)rebuilt(debian, engine, place); }).code() == ErrorCode::unsupported);
  build_signed(engine, debian.request(), place);
  CHECK(rebuilt(debian, engine, place).reason == same);
}

TEST_CASE("Another codec is believed only where the content is the config's", "[build][rebuild]") {
  const SmallDebian debian;
  const auto engine = debian.engine();
  const auto signed_place = layout_at(debian, "signed.oci");
  build_signed(engine, debian.request(), signed_place);
  auto json = nlohmann::ordered_json::parse(provenance_of(engine, signed_place));
  const auto index = engine.compose(engine.plan(debian.request(), {}), {});
  const auto content = runtime_content(index);
  const auto put = [&](const std::string& name, const std::string& layer) {
    const auto place = layout_at(debian, name);
    auto layout = blob::Layout::create(place.path);
    image::write_layout(with_runtime_layer(index, layer), layout, place.tag, 1, {});
    attest(engine, place, json.dump());
    return place;
  };
  // The codec of this machine gives other bytes.
  CHECK_FALSE(rebuilt(debian, engine, put("plain.oci", content)).verified);

  json["buildDefinition"]["internalParameters"]["codec"] = "zstd 0.0.1";
  const auto honest = rebuilt(debian, engine, put("honest.oci", content));
  CHECK(honest.verified);
  CHECK_THAT(honest.reason, ContainsSubstring("zstd 0.0.1"));

  auto changed = content;
  changed[content.rfind("data")] ^= 1; // not the name in the header before it
  const auto report = rebuilt(debian, engine, put("forged.oci", changed));
  CHECK_FALSE(report.verified);
  REQUIRE(report.layers.size() == 1);
  CHECK(report.layers.front().purpose == image::Purpose::runtime);
  CHECK(report.layers.front().expected == oci::Digest::of(changed));
}

TEST_CASE("A build on a local base says that the base must be given, and is repeated with it",
          "[build][rebuild]") {
  const SmallDebian debian;
  const auto engine = debian.engine();
  const auto base = layout_at(debian, "base.oci");
  engine.build(engine.plan(debian.request(), {}), base, {});
  auto request = debian.request();
  request.base = base.to_string();
  const auto folder = debian.directory.path() / "llm"; // of one file
  stdfs::create_directories(folder);
  testing::write_file(folder / "weights.bin", "weights");
  request.models = {folder};
  const auto own = debian.directory.path() / "own.conf";
  testing::write_file(own, "c");
  request.files = {{own, fs::RootPath::parse("/lib/own.conf")}};
  const auto place = layout_at(debian, "image.oci");
  build_signed(engine, request, place);
  stdfs::remove_all(folder);
  stdfs::remove(own);
  CHECK(provenance_of(engine, place).find(debian.directory.path().string()) == std::string::npos);
  const auto error = error_of([&] { (void)rebuilt(debian, engine, place); });
  CHECK(error.code() == ErrorCode::unsupported);
  CHECK_THAT(error.message(), ContainsSubstring("base image"));
  const auto report = engine.verify_rebuild(
      place, {.policy = policy(), .mirror = debian.mirror.string(), .base = base.to_string()}, {});
  CHECK(report.reason == same);
}

TEST_CASE("A signature of the base's index is as good for a lock as for a plan", "[build][base]") {
  const SmallDebian debian;
  const auto engine = debian.engine();
  const auto base = layout_at(debian, "base.oci");
  engine.build(engine.plan(debian.request(), {}), base, {});
  auto request = debian.request();
  request.base = base.to_string();
  const auto lock = write_lock(engine.plan(request, {}));
  request.base_keys = {key().public_key()};
  const auto images = trust::images_of(*transfer::open_origin(base, engine.registries(), {}), {});
  CHECK(error_of([&] { (void)engine.plan(request, {}); }).code() == ErrorCode::corrupt);
  CHECK(error_of([&] { (void)engine.plan_locked(request, lock, "lock", {}); }).code() ==
        ErrorCode::corrupt);
  const std::size_t which = GENERATE(0U, 1U); // the index alone, or the platform's image alone
  const auto annex = transfer::open_annex(base, engine.registries());
  trust::annotate(*annex, {.signed_images = {images.at(which)}}, {.signer = key()},
                  {.signed_at = policy().time}, {});
  CHECK(engine.plan(request, {}).images.size() == 1);
  CHECK(engine.plan_locked(request, lock, "lock", {}).images.size() == 1);
}

TEST_CASE("A model that is another file since it was planned gets no digest", "[build][signing]") {
  const SmallDebian debian;
  auto plan = debian.engine().plan(debian.request(), {});
  const auto digest = std::exchange(plan.models.front().digests.front(), std::nullopt);
  Context context({.cache_dir = debian.directory.path() / "cache",
                   .data_dirs = {debian.data},
                   .now = SmallDebian::signed_at});
  CHECK(with_digests(context, plan, true, {}).models.front().digests.front() == digest);
  debian.write_model(16);
  CHECK(error_of([&] { (void)with_digests(context, plan, true, {}); }).code() == ErrorCode::io);
}
