// image_fixture HELLO DIRECTORY: writes one small image in every form and codec, for other tools to
// judge, and says as JSON what they should find.
//
//   DIRECTORY/<codec>.oci, .oci.tar                three platforms, tag v1
//   DIRECTORY/<codec>-one.oci, -one.oci.tar        the host's platform only, tag v1
//   DIRECTORY/<codec>.docker.tar                   the host's platform, name interop/<codec>:v1
#include "aipack/blob/layout.hpp"
#include "aipack/core/error.hpp"
#include "aipack/image/image.hpp"
#include "aipack/image/split.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/format.h>

namespace {

using namespace aipack;

constexpr std::int64_t epoch = 1'757'663'741;
constexpr std::size_t weights_bytes = 1'000'003; // no multiple of anything

std::string weights() {
  std::string bytes(weights_bytes, '\0');
  std::uint32_t state = 1;
  for (auto& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

fs::FileEntry on_disk(const std::filesystem::path& file, std::uint32_t mode) {
  const auto identity = io::File::open(file).identity();
  fs::FileEntry entry;
  entry.mode = mode;
  entry.mtime = epoch;
  entry.content = std::make_shared<fs::FileExtent>(file, 0, identity.size_bytes, identity);
  return entry;
}

fs::FileEntry text(std::string bytes) {
  fs::FileEntry entry;
  entry.mtime = epoch;
  entry.content = fs::memory_content(std::move(bytes));
  return entry;
}

fs::FileEntry link(fs::FileType type, std::string target) {
  fs::FileEntry entry;
  entry.type = type;
  entry.mode = type == fs::FileType::symlink ? 0777 : 0644;
  entry.mtime = epoch;
  entry.link_target = std::move(target);
  return entry;
}

fs::FileTree make_tree(const std::filesystem::path& hello, const std::filesystem::path& model) {
  fs::FileTree tree;
  const auto put = [&](std::string_view path, fs::FileEntry entry) {
    tree.put(fs::RootPath::parse(path), std::move(entry));
  };
  put("usr/bin/hello", on_disk(hello, 0755));
  put("bin", link(fs::FileType::symlink, "usr/bin"));
  put("etc/passwd", text("nonroot:x:65532:65532::/:/sbin/nologin\n"));
  put("etc/group", text("nonroot:x:65532:\n"));
  put("usr/share/a-first", link(fs::FileType::hard_link, "usr/share/z-last"));
  put("usr/share/z-last", text("one file, two names\n"));
  put("usr/share/" + std::string(150, 'n'), text("a name beyond ustar\n"));
  put("usr/share/empty", text(""));
  put("models/weights.bin", on_disk(model, 0644));
  tree.add_missing_parents(epoch);
  return tree;
}

image::Purpose purpose_of(const fs::RootPath& path, const fs::FileEntry&) {
  if (path.text().starts_with("models")) {
    return image::Purpose::model;
  }
  return path.text().starts_with("usr/bin") ? image::Purpose::server : image::Purpose::base;
}

image::Image make_image(const std::vector<image::Layer>& layers, const oci::Platform& platform) {
  image::ImageSettings settings;
  settings.platform = platform;
  settings.created = epoch;
  settings.user = "65532:65532";
  settings.entrypoint = {"/usr/bin/hello"};
  settings.env = {"LANG=C.UTF-8"};
  settings.exposed_ports = {"8080/tcp"};
  settings.labels = {{"org.opencontainers.image.title", "interop"}};
  settings.annotations = {{"org.opencontainers.image.title", "interop"}};
  return image::make_image(layers, settings);
}

void write_all(const std::filesystem::path& base, const image::Index& index) {
  auto layout = blob::Layout::create(base.string() + ".oci", io::Durability::cached);
  image::write_layout(index, layout, "v1", 2, {});
  image::write_oci_archive(index, base.string() + ".oci.tar", "v1", {});
}

std::string describe(const std::string& name, const image::Index& index, const image::Image& host) {
  std::string layers;
  for (const auto& layer : host.layers) {
    layers += fmt::format(R"({}{{"digest":"{}","diff_id":"{}"}})", layers.empty() ? "" : ",",
                          layer.blob->descriptor().digest.to_string(), layer.diff_id.to_string());
  }
  return fmt::format(R"("{}":{{"index":"{}","manifest":"{}","config":"{}","layers":[{}]}})", name,
                     index.digest().to_string(), host.manifest.descriptor().digest.to_string(),
                     host.config.descriptor().digest.to_string(), layers);
}

std::string write_fixture(const std::filesystem::path& hello,
                          const std::filesystem::path& directory) {
  const auto model = directory / "weights.bin";
  std::ofstream(model, std::ios::binary) << weights();
  const auto tree = make_tree(hello, model);
  blob::DirectoryStore store(directory / "store");
  std::string json;
  for (const std::string name : {"none", "gzip", "zstd"}) {
    std::vector<image::Layer> layers;
    const auto compression = codec::Compression::parse(name);
    for (const auto& plan :
         image::split(tree, purpose_of, {.compression = compression, .directory_mtime = epoch})) {
      layers.push_back(plan.purpose == image::Purpose::model
                           ? image::seal_weights(plan, nullptr, {}, {})
                           : image::seal(plan, store, {}, {}));
    }
    std::vector<image::Image> images;
    for (const auto& platform : oci::Platform::all()) {
      images.push_back(make_image(layers, platform));
    }
    auto host = make_image(layers, oci::Platform::host());
    const auto index = image::make_index(std::move(images), {});
    const auto one = image::make_index({host}, {});
    write_all(directory / name, index);
    write_all(directory / (name + "-one"), one);
    image::write_docker_archive(host, directory / (name + ".docker.tar"),
                                {"interop/" + name + ":v1"}, {});
    json += json.empty() ? "" : ",\n";
    json += describe(name, index, host);
  }
  return "{" + json + "}";
}

} // namespace

int main(int argc, char* argv[]) {
  if (argc != 3) {
    std::fputs("usage: image_fixture HELLO DIRECTORY\n", stderr);
    return 2;
  }
  try {
    std::puts(write_fixture(argv[1], argv[2]).c_str());
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "image_fixture: error: %s\n", error.what());
    return 1;
  }
}
