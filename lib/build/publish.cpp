#include "publish.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/transfer/attach.hpp"

#include "base.hpp"
#include "compose.hpp"
#include "registry_weights.hpp"
#include "signing.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace aipack::build {

namespace {

using Kind = image::Location::Kind;

const image::Location* first_of(const Outputs& outputs, Kind kind) {
  const auto found = std::ranges::find(outputs.destinations, kind, &image::Location::kind);
  return found == outputs.destinations.end() ? nullptr : &*found;
}

/// Signatures cannot travel in a docker archive, nor into an engine.
bool holds_attachments(const image::Location& place) {
  return place.kind != Kind::docker_archive;
}

void check(const Plan& plan, const Outputs& outputs) {
  if (outputs.signing.writes_anything() &&
      std::ranges::none_of(outputs.destinations, holds_attachments)) {
    throw Error(ErrorCode::invalid_input,
                "cannot attach anything: docker archives and container engines hold no signatures "
                "and no SBOMs")
        .with_hint("write to a layout or an OCI archive as well, or push to a registry");
  }
  if (outputs.destinations.empty() && outputs.engines.empty()) {
    throw Error(ErrorCode::invalid_input, "cannot build: there is no place to write to");
  }
  if (outputs.signing.signatory != nullptr) {
    // Before anything is composed: what cannot be signed costs nothing yet.
    trust::check_signing(*outputs.signing.signatory, outputs.signing.formats);
    if (!outputs.signing.formats.contains(sign::Format::bundle)) {
      throw Error(ErrorCode::invalid_input,
                  "cannot sign without bundles: the statements about the image are bundles, and "
                  "cosign 3 looks at no other signature once it sees one")
          .with_hint("add the form 'bundle'");
    }
  }
  for (const auto& destination : outputs.destinations) {
    if (destination.kind == Kind::docker_archive && plan.images.size() != 1) {
      throw Error(ErrorCode::invalid_input,
                  "cannot write a docker archive: it holds the image of one platform")
          .with_hint("choose one with --platform, or write an oci-archive");
    }
  }
}

/// A layout that did not exist before goes again when the build fails: an empty one is no result.
class NewLayout {
public:
  explicit NewLayout(const std::filesystem::path& directory) : directory_(directory) {
    std::error_code ignored;
    is_new_ = !std::filesystem::exists(directory, ignored);
  }
  ~NewLayout() {
    std::error_code ignored;
    if (is_new_) {
      std::filesystem::remove_all(directory_, ignored);
    }
  }
  NewLayout(const NewLayout&) = delete;
  NewLayout& operator=(const NewLayout&) = delete;
  void keep() noexcept { is_new_ = false; }

private:
  std::filesystem::path directory_;
  bool is_new_ = false;
};

std::string docker_archive_name(const image::Location& destination, const Plan& plan) {
  return destination.tag.empty() ? default_image_name(plan.models) + ":latest" : destination.tag;
}

/// One build. run() is its table of contents.
class Publication {
public:
  Publication(Context& context, const Plan& plan, const Outputs& outputs, const Operation& op)
      : context_(context), plan_(plan), outputs_(outputs), op_(op),
        layout_place_(first_of(outputs, Kind::layout)),
        registry_place_(first_of(outputs, Kind::registry)),
        requests_before_(context.registry.requests()) {}

  BuildReport run() {
    check(plan_, outputs_);
    compose();
    make_papers();
    for (const auto& destination : outputs_.destinations) {
      write(destination);
    }
    for (const auto& engine : outputs_.engines) {
      load(engine);
    }
    return std::move(report_);
  }

private:
  /// The weights go in one pass to the place that needs their bytes: a layout on disk, else a
  /// registry. The other places read them again from the model files.
  WeightsPlace weights_place() {
    if (layout_place_ != nullptr) {
      new_layout_.emplace(layout_place_->path);
      layout_ = blob::Layout::create(layout_place_->path);
      return {.into = &layout_->blobs()};
    }
    if (registry_place_ != nullptr) {
      sender_.emplace(context_.registry, registry_place_->reference.value());
      return {.into = &*sender_, .concurrency = context_.options.registry.concurrency};
    }
    return {};
  }

  void compose() {
    report_.reference = outputs_.destinations.empty() ? outputs_.engine_tag
                                                      : outputs_.destinations.front().to_string();
    const auto weights = weights_place();
    const bool is_signed = outputs_.signing.signatory != nullptr;
    // What provenance wants to be hashed is hashed beside the layers.
    for_each_index(is_signed ? 2 : 1, 2, op_, [&](std::size_t index, const Operation& inner) {
      if (index == 0) {
        composed_ = compose_index(context_, plan_, weights, Compositions::remembered,
                                  report_.platforms, inner);
      } else {
        digested_ = with_digests(context_, plan_, outputs_.signing.large_models, inner);
      }
    });
    if (is_signed) {
      context_.digests.save();
    }
    report_.digest = composed_->index.digest();
    origin_ = transfer::open_origin(composed_->index);
  }

  void make_papers() {
    if (!outputs_.signing.writes_anything()) {
      return;
    }
    papers_ = build::make_papers(context_, digested_ ? *digested_ : plan_, *composed_, *origin_,
                                 outputs_.signing, op_);
    report_.notes = papers_->notes;
    if (!std::ranges::all_of(outputs_.destinations, holds_attachments) ||
        !outputs_.engines.empty()) {
      report_.notes.emplace_back(
          "signatures and SBOMs go beside the image in registries, layouts and OCI archives; "
          "docker archives and container engines cannot hold them");
    }
  }

  void write(const image::Location& destination) {
    switch (destination.kind) {
    case Kind::layout:
      return write_layout(destination);
    case Kind::oci_archive:
      return write_oci_archive(destination);
    case Kind::docker_archive:
      report_.written.new_bytes +=
          transfer::write_docker_archive(*origin_, destination.path,
                                         docker_archive_name(destination, plan_), {}, op_)
              .sent_bytes;
      return;
    case Kind::registry:
      return push(destination);
    }
  }

  void write_layout(const image::Location& destination) {
    if (&destination != layout_place_) {
      layout_ = blob::Layout::create(destination.path);
    }
    add(report_.written, image::write_layout(composed_->index, *layout_, destination.tag,
                                             context_.threads, op_, before_name(destination)));
    if (&destination == layout_place_) {
      new_layout_->keep(); // it is whole, whatever becomes of the places after it
    }
  }

  void write_oci_archive(const image::Location& destination) {
    if (!papers_) {
      add(report_.written,
          image::write_oci_archive(composed_->index, destination.path, destination.tag, op_));
      return;
    }
    // Written once: what is beside the image is verified before, in memory.
    const auto* const signatory = outputs_.signing.signatory;
    const auto options = options_for(destination);
    const auto whole = transfer::open_origin(
        composed_->index, signatory != nullptr
                              ? trust::make_artifacts(papers_->what, *signatory, options)
                              : trust::make_documents(papers_->what.documents, papers_->created));
    if (signatory != nullptr) {
      trust::check_artifacts(*whole, papers_->what, *signatory, options, op_);
    }
    add(trust::count_artifacts(papers_->what, options, signatory != nullptr));
    report_.written.new_bytes +=
        transfer::copy(*whole, destination, context_.registry, {}, op_).sent_bytes;
  }

  void push(const image::Location& destination) {
    transfer::CopyOptions options{.concurrency = context_.options.registry.concurrency,
                                  .before_name = before_name(destination)};
    options.target.mount_sources = mount_sources(plan_, destination);
    auto pushed = transfer::copy(*origin_, destination, context_.registry, options, op_);
    if (&destination == registry_place_ && sender_) {
      sender_->add_to(pushed);
    }
    const auto requests = context_.registry.requests();
    pushed.requests = requests - std::exchange(requests_before_, requests);
    report_.pushed.push_back(std::move(pushed));
  }

  void load(const transfer::ContainerEngine& engine) {
    report_.loaded.push_back(transfer::load(*origin_, engine, {.tag = outputs_.engine_tag}, op_));
    if (report_.reference.empty()) {
      report_.reference = report_.loaded.back().reference;
    }
  }

  /// Attestations, then signatures, read back and verified, while the name is still the old one.
  std::function<void(const Operation&)> before_name(const image::Location& destination) {
    if (!papers_) {
      return {};
    }
    return [this, &destination](const Operation& op) {
      const auto annex = transfer::open_annex(destination, context_.registry);
      add(outputs_.signing.signatory != nullptr
              ? trust::annotate(*annex, papers_->what, *outputs_.signing.signatory,
                                options_for(destination), op)
              : trust::attach_documents(*annex, papers_->what.documents, papers_->created, op));
    };
  }

  [[nodiscard]] trust::SigningOptions options_for(const image::Location& destination) const {
    return signing_options(outputs_.signing, *papers_,
                           trust::simple_references(destination, outputs_.signed_name));
  }

  void add(const trust::SigningReport& part) {
    report_.attached.signatures += part.signatures;
    report_.attached.attestations += part.attestations;
    report_.attached.documents += part.documents;
    report_.attached.present += part.present;
  }
  static void add(image::WriteReport& sum, const image::WriteReport& part) {
    sum.new_bytes += part.new_bytes;
    sum.reused_bytes += part.reused_bytes;
    sum.cloned_bytes += part.cloned_bytes;
  }

  Context& context_;
  const Plan& plan_;
  const Outputs& outputs_;
  const Operation& op_;
  const image::Location* layout_place_;
  const image::Location* registry_place_;
  std::uint64_t requests_before_;
  BuildReport report_{.reference = {}, .digest = oci::Digest::of(""), .platforms = {}};
  std::optional<NewLayout> new_layout_;
  std::optional<blob::Layout> layout_;
  std::optional<RegistryWeights> sender_;
  std::optional<Composed> composed_;
  std::optional<Plan> digested_; ///< when it is to be signed
  std::unique_ptr<transfer::Origin> origin_;
  std::optional<Papers> papers_; ///< when something goes beside the image
};

} // namespace

BuildReport publish(Context& context, const Plan& plan, const Outputs& outputs,
                    const Operation& op) {
  return Publication(context, plan, outputs, op).run();
}

} // namespace aipack::build
