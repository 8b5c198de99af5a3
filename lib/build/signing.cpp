#include "signing.hpp"

#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"
#include "aipack/sbom/sbom.hpp"
#include "aipack/sign/model_signature.hpp"
#include "aipack/transfer/open_image.hpp"

#include "provenance.hpp"
#include "user_files.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace aipack::build {

namespace {

constexpr std::array sbom_formats{sbom::Format::spdx_json, sbom::Format::cyclonedx_json};

std::string_view predicate_type_of(sbom::Format format) {
  switch (format) {
  case sbom::Format::spdx_json:
    return sign::predicate_type::spdx;
  case sbom::Format::cyclonedx_json:
    return sign::predicate_type::cyclonedx;
  }
  return {};
}

std::vector<oci::Descriptor> descriptors_of(const image::Index& index) {
  std::vector<oci::Descriptor> images{index.document.descriptor()};
  for (const auto& image : index.images) {
    images.push_back(image.manifest.descriptor());
    images.back().platform = image.platform;
  }
  return images;
}

/// One for the whole index, one for each of its images.
std::vector<sbom::Inventory> inventories(const image::ImageSource& source, unsigned threads,
                                         const Operation& op) {
  std::vector<sbom::Inventory> result{sbom::take_inventory(source, op, {.concurrency = threads})};
  for (const auto& image : source.images()) {
    result.push_back(sbom::part_of(result.front(), image.platform));
  }
  return result;
}

struct Sbom {
  oci::Descriptor image;
  sbom::Format format;
  std::string content;
};

std::vector<Sbom> make_sboms(const std::vector<sbom::Inventory>& of, unsigned threads,
                             const Operation& op) {
  return map_each<Sbom>(
      [&] {
        std::vector<std::pair<const sbom::Inventory*, sbom::Format>> wanted;
        for (const auto& inventory : of) {
          for (const auto format : sbom_formats) {
            wanted.emplace_back(&inventory, format);
          }
        }
        return wanted;
      }(),
      threads, op,
      [](const auto& item, const Operation&) {
        const auto& [inventory, format] = item;
        return Sbom{inventory->subject, format, sbom::write(*inventory, format)};
      });
}

void digest_models(Context& context, std::vector<PlannedModel>& models, const Operation& op) {
  for (auto& model : models) {
    for (std::size_t i = 0; i < model.files.size(); ++i) {
      if (!model.digests[i]) {
        const auto& file = model.files[i];
        model.digests[i] = blob::file_digest(file.source, context.digests, op);
        // What was hashed is what is packed: the layer is made of the file in this state as well.
        fs::FileExtent(file.source, 0, file.size_bytes, file.identity)
            .check_unchanged(io::File::open(file.source));
      }
    }
  }
}

/// An OpenSSF signature per model whose files all have digests: what verifies them outside of the
/// image.
std::vector<std::string> sign_models(const Plan& plan, const sign::Signatory& signatory) {
  std::vector<std::string> bundles;
  for (const auto& model : plan.models) {
    if (!is_digested(model)) {
      continue;
    }
    const bool is_one_file = model.files.size() == 1;
    std::vector<sign::ModelFile> files;
    for (std::size_t i = 0; i < model.files.size(); ++i) {
      files.push_back({is_one_file ? "." : model.files[i].path, model.digests[i].value()});
    }
    bundles.push_back(sign::sign_model(std::move(files), {.name = model.name}, signatory));
  }
  return bundles;
}

bool can_sign_models(const sign::Signatory& signatory) {
  switch (signatory.signer.public_key().type()) {
  case sign::KeyType::ecdsa_p256:
  case sign::KeyType::ecdsa_p384:
  case sign::KeyType::ecdsa_p521:
    return true;
  case sign::KeyType::rsa:
  case sign::KeyType::ed25519:
    return false;
  }
  return false;
}

} // namespace

Plan with_digests(Context& context, Plan plan, bool large_models, const Operation& op) {
  if (large_models) {
    digest_models(context, plan.models, op);
  }
  plan.files = plan_user_files(plan.request.files, op);
  return plan;
}

Papers make_papers(Context& context, const Plan& plan, const Composed& composed,
                   transfer::Origin& origin, const Signing& signing, const Operation& op) {
  const auto source = transfer::open_image(origin, op);
  const auto of = inventories(source, context.threads, op);
  Papers papers{.what = {},
                .created =
                    oci::try_rfc3339(of.front().created).value_or(std::chrono::sys_seconds{})};
  for (auto& document : make_sboms(of, context.threads, op)) {
    if (signing.sboms) {
      papers.what.documents.push_back(
          {document.image, std::string(sbom::media_type(document.format)), document.content});
    }
    if (signing.signatory != nullptr) {
      papers.what.attestations.push_back({{document.image},
                                          std::string(predicate_type_of(document.format)),
                                          std::move(document.content)});
    }
  }
  if (signing.signatory == nullptr) {
    return papers;
  }
  papers.what.signed_images = descriptors_of(composed.index);
  papers.what.attestations.push_back({papers.what.signed_images,
                                      std::string(sign::predicate_type::slsa_provenance_v1),
                                      write_provenance(plan, composed.models)});
  if (std::ranges::none_of(plan.models, &PlannedModel::plain)) {
    papers.what.attestations.push_back(
        {{papers.what.signed_images.front()}, std::string(test_result_type), write_findings(plan)});
  }
  if (can_sign_models(*signing.signatory)) {
    papers.what.bundles = sign_models(plan, *signing.signatory);
    for (const auto& model : plan.models) {
      if (!is_digested(model)) {
        papers.notes.push_back(
            fmt::format("model {} has no signature of its own, for which a file beyond {} would "
                        "be read once more; the image's signature covers it",
                        quoted(model.name), human_bytes(max_digested_bytes)));
      }
    }
  } else {
    papers.notes.push_back("the models themselves are not signed: OpenSSF model signatures need an "
                           "ECDSA key");
  }
  return papers;
}

trust::SigningOptions signing_options(const Signing& signing, const Papers& papers,
                                      std::vector<std::string> references) {
  return {.formats = signing.formats,
          .annotations = signing.annotations,
          .references = std::move(references),
          .created = papers.created,
          .signed_at = signing.signed_at};
}

} // namespace aipack::build
