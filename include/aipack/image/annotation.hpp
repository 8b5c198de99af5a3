#pragma once

#include <string_view>

/// Keys under which aipack writes facts into images. Reverse DNS, as the OCI image-spec 1.1
/// (annotations.md, "Rules") asks; every key of ours starts with `prefix`. Values are text; numbers
/// are decimal.
namespace aipack::image::annotation {

inline constexpr std::string_view prefix = "dev.aipack.";
/// On a layer's descriptor: what the layer is for, a word of image::Purpose ("runtime").
inline constexpr std::string_view layer_purpose = "dev.aipack.layer.purpose";
/// On a layer's descriptor: its title for people ("runtime: libonnxruntime1.21 and 14 more").
inline constexpr std::string_view layer_title = "dev.aipack.layer.title";
/// On a layer's descriptor: how many entries it has that are not directories.
inline constexpr std::string_view layer_files = "dev.aipack.layer.files";

/// The tag of a descriptor in a layout's index.json. Source: OCI image-spec 1.1, annotations.md.
inline constexpr std::string_view ref_name = "org.opencontainers.image.ref.name";

} // namespace aipack::image::annotation
