#pragma once

#include "aipack/build/engine.hpp"
#include "aipack/io/temp_file.hpp"

#include "support/debian_archive.hpp"
#include "support/elf_writer.hpp"
#include "support/onnx_builder.hpp"
#include "support/temp.hpp"

#include <string>
#include <vector>

namespace aipack::test {

/// Everything that a build takes, as small as it may be and all of it real: a signed archive on
/// disk with one package, a catalog with one runtime, its server, and a model.
struct SmallDebian {
  static constexpr std::int64_t signed_at = 1735689600; // 2025-01-01

  io::TempDirectory directory{};
  std::filesystem::path mirror = directory.path() / "debian";
  std::filesystem::path data = directory.path() / "share";
  std::filesystem::path server = data / "serve/amd64/server";
  std::filesystem::path model = directory.path() / "linear.onnx";

  /// `content` is what the package's one file holds.
  explicit SmallDebian(const std::string& content = "data") {
    const SigningKey key({.created = signed_at - 24 * 60 * 60});
    TestArchive archive;
    archive.suite = "sid";
    archive.suite_class = "unstable";
    archive.date = signed_at;
    archive.architectures = {"amd64"};
    archive.packages = {{.name = "served", .files = {{"usr/share/served/data", content}}}};
    write_files(mirror, archive.files());
    write_files(mirror, {{archive.in_release_path(),
                          key.clear_sign(archive.release_text(),
                                         {.created = static_cast<std::uint32_t>(signed_at)})}});
    write_files(directory.path(), {{"keyring.gpg", key.public_key()}});
    write_files(data, {{"runtimes/small.json", R"({
      "name": "small", "version": "1", "title": "A small runtime", "formats": ["onnx"],
      "platforms": ["linux/amd64"], "suite": "sid", "packages": ["served"],
      "data": ["/usr/share/served/data"], "server": "serve/{arch}/server",
      "server_path": "/usr/bin/server", "entrypoint": ["/usr/bin/server"],
      "models_directory": "/models", "max_ir_version": 8, "max_opsets": {"": 17}})"}});
    write_server("first");
    write_model(17);
  }

  /// A static program that holds `text`.
  void write_server(const std::string& text) const {
    ElfSpec spec;
    spec.type = 2; // ET_EXEC
    spec.read_only_strings = {text};
    const auto bytes = make_elf(spec);
    std::filesystem::create_directories(server.parent_path());
    testing::write_file(server, io::as_text(bytes));
  }
  void write_model(std::int64_t opset) const {
    testing::write_file(
        model, onnx::Model{.graphs = {onnx::linear().bytes()}, .opsets = {{"", opset}}}.bytes());
  }

  [[nodiscard]] build::Engine engine() const {
    return build::Engine({.cache_dir = directory.path() / "cache",
                          .data_dirs = {data},
                          .keyrings = {directory.path() / "keyring.gpg"},
                          .now = signed_at + 60});
  }
  [[nodiscard]] build::BuildRequest request() const {
    return {.models = {model},
            .platforms = {oci::Platform::parse("linux/amd64")},
            .mirror = mirror.string()};
  }
};

} // namespace aipack::test
