#include "other_formats.hpp"

#include "aipack/core/text.hpp"
#include "aipack/io/byte_stream.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace aipack::model {
namespace {

constexpr std::string_view to_onnx = "export it to ONNX";

/// Fixed bytes at a fixed place.
struct Magic {
  std::size_t offset;
  std::string_view bytes;
  OtherFormat format;
};

using namespace std::string_view_literals;

constexpr std::array magics{
    Magic{0,
          "GGUF"sv,
          {"a GGUF model (llama.cpp)",
           "serve it with llama.cpp, or export the original model to ONNX"}},
    Magic{0,
          "lmgg"sv,
          {"a legacy GGML model",
           "convert it to GGUF for llama.cpp, or export the original model to ONNX"}},
    Magic{4, "TFL3"sv, {"a TensorFlow Lite model", "convert it with tf2onnx"}},
    Magic{4,
          "ET12"sv,
          {"an ExecuTorch program", "export the PyTorch model with torch.onnx.export instead"}},
    Magic{4,
          "ORTM"sv,
          {"an ONNX Runtime flatbuffer (ORT format)", "give the .onnx file that it was made from"}},
    Magic{0,
          "\x89HDF\r\n\x1a\n"sv,
          {"an HDF5 file (Keras weights or model)", "convert it with tf2onnx or keras2onnx"}},
    Magic{0, "\x93NUMPY"sv, {"a NumPy array", "give the model that uses it", false}},
    Magic{0, "binf"sv, {"an XGBoost model (legacy binary)", "convert it with onnxmltools"}},
    Magic{0, "CBM1"sv, {"a CatBoost model", "save it with format='onnx'"}},
    Magic{0, "tree\nversion="sv, {"a LightGBM model", "convert it with onnxmltools"}},
    Magic{0, "{L"sv, {"an XGBoost model (UBJSON)", "convert it with onnxmltools"}},
    Magic{
        0,
        "ptrt"sv,
        {"a TensorRT engine, compiled for one GPU", "give the ONNX model that it was built from"}},
    Magic{
        0,
        "ftrt"sv,
        {"a TensorRT engine, compiled for one GPU", "give the ONNX model that it was built from"}},
    Magic{0, "7767517\n"sv, {"an NCNN model", to_onnx}},
    Magic{0,
          "version https://git-lfs"sv,
          {"a Git LFS pointer: the weights were never fetched",
           "run 'git lfs pull' in the repository and try again", false}},
    Magic{0,
          "oid sha256:"sv,
          {"a Git LFS pointer: the weights were never fetched",
           "run 'git lfs pull' in the repository and try again", false}},
    Magic{0,
          "\x7f"
          "ELF"sv,
          {"an ELF program or library", "give the model file", false}},
    Magic{0, "MZ"sv, {"a Windows program", "give the model file", false}},
    Magic{0, "#!"sv, {"a script", "give the model file", false}},
    Magic{0, "%PDF"sv, {"a PDF document", "give the model file", false}},
    Magic{0, "\x89PNG"sv, {"a PNG image", "give the model file", false}},
    Magic{0, "\xff\xd8\xff"sv, {"a JPEG image", "give the model file", false}},
    Magic{0, "SQLite format 3"sv, {"an SQLite database", "give the model file", false}},
    Magic{0, "gAAAAAB"sv, {"an encrypted (Fernet) file", "decrypt it first", false}},
    Magic{0, "Salted__"sv, {"an encrypted (OpenSSL) file", "decrypt it first", false}},
    Magic{0, "\x1f\x8b"sv, {"a gzip file", "unpack it first", false}},
    Magic{0, "BZh"sv, {"a bzip2 file", "unpack it first", false}},
    Magic{0,
          "\xfd"
          "7zXZ\0"sv,
          {"an xz file", "unpack it first", false}},
    Magic{0, "\x28\xb5\x2f\xfd"sv, {"a zstd file", "unpack it first", false}},
    Magic{0, "7z\xbc\xaf\x27\x1c"sv, {"a 7z archive", "unpack it first", false}},
    Magic{0, "Rar!"sv, {"a RAR archive", "unpack it first", false}},
    Magic{257, "ustar"sv, {"a tar archive", "unpack it first", false}},
};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool starts_with_word(std::string_view text, std::string_view word) {
  return text.size() >= word.size() && std::equal(word.begin(), word.end(), text.begin(),
                                                  [](char a, char b) { return a == lower(b); });
}

OtherFormat zip_format(std::string_view head) {
  const auto holds = [&](std::string_view name) {
    return head.find(name) != std::string_view::npos;
  };
  if (holds("/data.pkl")) {
    return {"a PyTorch checkpoint", "export the model with torch.onnx.export"};
  }
  if (holds("model.weights.h5") || holds("metadata.json")) {
    return {"a Keras model", "convert it with tf2onnx"};
  }
  if (holds("MAR-INF/")) {
    return {"a TorchServe archive", "export the model inside with torch.onnx.export"};
  }
  if (holds("schema.json")) {
    return {"a skops model", "convert it with skl2onnx"};
  }
  if (holds(".npy")) {
    return {"a NumPy archive (.npz)", "give the model that uses it", false};
  }
  return {"a zip archive", "unpack it first", false};
}

/// u64 length of the JSON header, then the header.
bool is_safetensors(std::string_view head) {
  if (head.size() < 10 || head[8] != '{') {
    return false;
  }
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0;) {
    length = length << 8U | static_cast<unsigned char>(head[i]);
  }
  constexpr std::uint64_t max_header = 100'000'000; // the format's own limit
  return length >= 2 && length <= max_header &&
         (head[9] == '"' || head[9] == '}' || head[9] == ' ');
}

} // namespace

std::optional<OtherFormat> recognise_other_format(std::span<const std::byte> bytes) {
  const auto head = io::as_text(bytes);
  if (head.empty()) {
    return OtherFormat{"an empty file", "fetch or export the model again", false};
  }
  if (head.substr(0, 4) == "PK\x03\x04"sv) {
    return zip_format(head);
  }
  for (const auto& magic : magics) {
    if (head.size() > magic.offset && head.substr(magic.offset).starts_with(magic.bytes)) {
      return magic.format;
    }
  }
  if (is_safetensors(head)) {
    return OtherFormat{"safetensors weights",
                       "weights alone say nothing of the graph: export the model to ONNX, for "
                       "example with 'optimum-cli export onnx'"};
  }
  if (head.size() > 1 && head[0] == '\x80' && head[1] >= 0 && head[1] <= 5) {
    return OtherFormat{
        "a Python pickle (scikit-learn, joblib, old PyTorch)",
        "export the model to ONNX, for example with skl2onnx; loading a pickle runs code"};
  }
  const auto text = trim(head.substr(0, std::min<std::size_t>(head.size(), 4096)));
  if (starts_with_word(text, "<!doctype html") || starts_with_word(text, "<html")) {
    return OtherFormat{"a web page (HTML)",
                       "a login or error page was saved in place of the model: download it again",
                       false};
  }
  if (starts_with_word(text, "<?xml") || starts_with_word(text, "<net")) {
    return OtherFormat{"an XML file (OpenVINO IR?)", to_onnx};
  }
  if (!text.empty() && (text.front() == '{' || text.front() == '[')) {
    if (text.find("\"learner\"") != std::string_view::npos) {
      return OtherFormat{"an XGBoost model (JSON)", "convert it with onnxmltools"};
    }
    return OtherFormat{"a JSON file", "give the model file itself", false};
  }
  return std::nullopt;
}

} // namespace aipack::model
