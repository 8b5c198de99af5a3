// sbom_fixture DIRECTORY: writes the documents of made-up inventories, which have everything that
// one can have, for other tools to judge: DIRECTORY/<case>.spdx.json and <case>.cdx.json.
#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/sbom/sbom.hpp"

#include <cstdio>
#include <filesystem>
#include <map>
#include <string>

#include <fmt/format.h>

namespace {

using namespace aipack;
using namespace aipack::sbom;

oci::Descriptor descriptor(const std::string& of) {
  return {"application/vnd.oci.image.manifest.v1+json", oci::Digest::of(of), of.size()};
}

Package package(std::string name, std::string version, std::string architecture,
                license::License license) {
  auto digest = oci::Digest::of(name + version + architecture);
  return {.name = name,
          .version = version,
          .architecture = std::move(architecture),
          .source = name + "-source",
          .source_version = std::move(version),
          .suite = "trixie-security",
          .maintainer = "Debian " + name + " Maintainers <" + name + "@lists.example>",
          .homepage = "https://example.org/" + name,
          .digest = digest,
          .size_bytes = 1000,
          .license = std::move(license)};
}

File file(const std::string& path, bool is_hashed) {
  File result{.path = path,
              .size_bytes = path.size(),
              .layer = oci::Digest::of("layer of " + path),
              .offset = 4096};
  if (is_hashed) {
    result.checksums = Checksums{.sha256 = oci::Digest::of(path), .sha1 = std::string(40, 'a')};
  }
  return result;
}

std::vector<Package> packages(const std::string& architecture) {
  const license::License unknown{.expression = "LicenseRef-Debian-odd-12345678",
                                 .texts = {{"LicenseRef-Debian-odd-12345678", "Odd \"words\".\n"}}};
  license::License both = unknown;
  both.expression =
      "GPL-2.0-or-later WITH Bison-exception-2.2 AND (MIT OR " + unknown.expression + ")";
  std::vector<Package> list{
      package("base-files", "13.8+deb13u1", architecture, {.expression = "GPL-2.0-or-later"}),
      package("g++", "4:14.2.0-1", architecture, both),
      package("g--", "4:14.2.0-1", architecture, {}), // the same SPDX identifier as g++
      package("libc6", "2.41-12", architecture, unknown),
      package("tzdata", "2025b-4", "all", {.expression = "MIT"})};
  // What an old record or another tool may leave unknown, and what is no URL.
  list.back().digest.reset();
  list.back().suite.clear();
  list.back().homepage = "not a URL";
  list.back().maintainer = "Ada L. <ada@example.org>";
  return list;
}

model::Model facts() {
  model::Model model;
  model.description = "Says \u2018hello\u2019.";
  model.producer_name = "trainer";
  model.producer_version = "1.0";
  model.model_version = 3;
  model.ir_version = 8;
  model.opsets = {{"", 17}, {"ai.onnx.ml", 3}};
  model.operators = {{"", "Gemm", 2}, {"ai.onnx.ml", "Scaler", 1}};
  model.inputs = {{.name = "x",
                   .element_type = "float",
                   .has_shape = true,
                   .shape = {"batch", std::int64_t{4}}}};
  model.outputs = {{.name = "y", .element_type = "map"}};
  model.parameter_count = 12345;
  model.metadata = {{"author", "Ada"}, {"empty", ""}};
  model.findings = {
      {.rule = "ONNX-MEMORY", .severity = model::Severity::warning, .message = "large"}};
  return model;
}

ImageContent image(const std::string& platform) {
  const auto parsed = oci::Platform::parse(platform);
  return {.name = "Digits, and more",
          .platform = parsed,
          .manifest = descriptor(platform),
          .created = "2026-01-02T03:04:05Z",
          .runtime = "onnxruntime 1.21",
          .suite = "trixie",
          .packages = packages(parsed.architecture),
          .is_complete = true,
          .server = file("/usr/bin/aipack-serve", true),
          .files = {file("/etc/app/one.conf", true), file("/etc/app/two.conf", true)},
          .base = {},
          .models = {0, 1, 2}};
}

Inventory full() {
  Inventory inventory{.name = "Digits, and more",
                      .subject = descriptor("index"),
                      .created = "2026-01-02T03:04:05Z",
                      .images = {image("linux/amd64"), image("linux/arm64")},
                      .models = {}};
  const license::License odd{.expression = "LicenseRef-ours",
                             .texts = {{"LicenseRef-ours", "Ours."}}};
  inventory.models = {
      {.name = "digits",
       .license = odd,
       .files = {file("/models/digits.onnx", true)},
       .facts = facts()},
      {.name = "large",
       .license = {},
       .files = {file("/models/large/large.onnx", true), file("/models/large/weights.bin", false)},
       .facts = facts()},
      {.name = "plain",
       .license = {},
       .files = {file("/models/plain/a b.bin", true)},
       .facts = {}}};
  return inventory;
}

/// Models upon an image that others made.
Inventory based() {
  auto inventory = part_of(full(), oci::Platform::parse("linux/arm64"));
  auto& image = inventory.images.front();
  image.packages.clear();
  image.is_complete = false;
  image.server.reset();
  image.runtime.clear();
  image.suite.clear();
  image.base =
      BaseImage{.name = "registry.example:5000/team/base:1", .digest = oci::Digest::of("base")};
  return inventory;
}

/// As little as there can be.
Inventory bare() {
  Inventory inventory{
      .name = "image", .subject = descriptor("linux/riscv64"), .images = {}, .models = {}};
  inventory.images.push_back({.name = "image",
                              .platform = oci::Platform::parse("linux/riscv64"),
                              .manifest = descriptor("linux/riscv64")});
  return inventory;
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: sbom_fixture DIRECTORY\n");
    return 2;
  }
  try {
    const std::filesystem::path directory = argv[1];
    const std::map<std::string, Inventory> cases{
        {"full", full()},
        {"platform", part_of(full(), oci::Platform::parse("linux/amd64"))},
        {"based", based()},
        {"bare", bare()}};
    for (const auto& [name, inventory] : cases) {
      io::write_file_atomically(directory / (name + ".spdx.json"),
                                io::as_bytes(write_spdx(inventory)));
      io::write_file_atomically(directory / (name + ".cdx.json"),
                                io::as_bytes(write_cyclonedx(inventory)));
    }
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.message());
    return 1;
  }
  return 0;
}
