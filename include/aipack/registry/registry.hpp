#pragma once

#include "aipack/blob/blob.hpp"
#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/http/transport.hpp"
#include "aipack/oci/descriptor.hpp"
#include "aipack/oci/reference.hpp"
#include "aipack/registry/credentials.hpp"
#include "aipack/registry/error.hpp"
#include "aipack/registry/settings.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::registry {

inline constexpr std::uint64_t max_token_bytes = std::uint64_t{128} << 10;
inline constexpr std::size_t max_tags = 1'000'000;   ///< of one listing, all pages together
inline constexpr std::size_t max_referrers = 10'000; ///< of one subject, all pages together
inline constexpr std::size_t max_listing_pages = 10'000;

/// How often and how patiently one request is tried. Deadlines depend on progress: a transfer that
/// moves is never cut off.
struct Patience {
  unsigned attempts = 5; ///< in all, for one request; at least 1
  std::chrono::milliseconds first_delay{250};
  std::chrono::milliseconds max_delay{10'000};
  std::chrono::milliseconds max_retry_after{120'000}; ///< a registry that asks for more is an error
  std::chrono::milliseconds stall_timeout{30'000};    ///< silence that counts as a broken transfer
  std::chrono::milliseconds answer_timeout{
      300'000}; ///< after the last byte of an upload: registries hash on close
};

/// One exchange with a server, for request counts and `--verbose`. Holds no secret.
using Exchange = http::Exchange;

struct RegistryOptions {
  std::shared_ptr<CredentialStore> credentials{}; ///< null: anonymous
  RegistrySettings settings{};
  /// Where open uploads and what was learnt about registries are remembered; empty: nowhere, so
  /// that nothing can be resumed by another process.
  std::filesystem::path state_dir{};
  unsigned concurrency = 6; ///< requests at once to one registry, 1..64
  Patience patience{};
  std::function<void(const Exchange&)> observer{}; ///< called from any thread
  /// Told what registries say in Warning headers, each sentence once: "'r.example' warns: …". Only
  /// for people; nothing is done about it. Called from any thread.
  std::function<void(const std::string& sentence)> warning{};
  std::string user_agent = "aipack";
};

/// What the caller is going to do with a repository: asked for in one token.
enum class Access { pull, push, push_and_delete };

/// A manifest or an index as the registry holds it: exact bytes, verified against the descriptor.
struct Document {
  oci::Descriptor descriptor;
  std::string bytes;
};

/// How a blob came to be in a repository.
enum class Arrival {
  present,  ///< it was there
  mounted,  ///< from another repository of the same registry
  uploaded, ///< sent
  resumed,  ///< the rest of an interrupted upload was sent
};

struct UploadReport {
  Arrival arrival = Arrival::present;
  std::uint64_t sent_bytes = 0;   ///< of the blob, repeated ones included
  std::uint64_t resent_bytes = 0; ///< of those, bytes that had been sent before
  std::string note{};             ///< why an interrupted upload had to start over; empty otherwise
};

/// A referrer as a listing names it. Annotations and artifact type are claims of the listing until
/// the manifest was fetched: registries and older tools get them wrong.
using Referrer = oci::Descriptor;

struct DownloadReport {
  std::uint64_t received_bytes = 0; ///< of the blob, in this call
  std::uint64_t resumed_bytes = 0;  ///< that an interrupted download had left
  bool present = false;             ///< the store had it
};

struct SubjectReport {
  bool by_registry = false; ///< OCI-Subject came back; else the fallback index was updated
};

/// What a registry made of credentials.
enum class LoginCheck {
  verified, ///< it wanted credentials, and these are good
  not_asked ///< it answers anybody in the same way: nothing is known about these
};

class Registry;

/// One repository of one registry. Cheap to copy; the Registry must outlive it. Threads: any number
/// may call side by side. All calls throw RegistryError for what the registry says,
/// Error{unavailable} for a network that fails, Error{corrupt} for bytes that are not what their
/// descriptor says.
class AIPACK_API Repository {
public:
  [[nodiscard]] const oci::Reference& name() const noexcept {
    return name_;
  } ///< without tag and digest

  /// HEAD, or GET where the registry's answer to HEAD does not say enough. Empty: no such tag or
  /// digest.
  [[nodiscard]] std::optional<oci::Descriptor> find(std::string_view tag_or_digest,
                                                    const Operation& op) const;
  /// The same; throws Error{not_found} with tags that are like it.
  [[nodiscard]] oci::Descriptor resolve(std::string_view tag_or_digest, const Operation& op) const;
  /// Of a tag or digest: media type from the answer, checked against the document's own.
  [[nodiscard]] Document fetch_manifest(std::string_view tag_or_digest, const Operation& op) const;
  /// Exactly that content. Uses `descriptor`'s embedded size as the limit.
  [[nodiscard]] Document fetch_manifest(const oci::Descriptor& descriptor,
                                        const Operation& op) const;

  /// Opens without asking the registry; the first read does. Opening verifies digest and size when
  /// it is read from offset 0 to the end; a broken transfer continues by range, bytes in order.
  /// `op` is used by every open() of it and must outlive them.
  [[nodiscard]] blob::BlobPtr blob(const oci::Descriptor& descriptor, const Operation& op) const;
  [[nodiscard]] bool has_blob(const oci::Descriptor& descriptor, const Operation& op) const;
  /// Into `store`, verified, whole or not at all. A large blob is fetched in several ranges at
  /// once; an interrupted download continues where it was, in another process as well.
  DownloadReport download(const oci::Descriptor& descriptor, blob::DirectoryStore& store,
                          const Operation& op) const;

  /// Brings `blob` into the repository by the cheapest way: there already, mounted from
  /// `mount_sources` (repositories of the same registry) or from one where this blob was seen
  /// before, the rest of an interrupted upload, or sent in one request, streamed or in chunks as
  /// the registry can. Each byte is read once unless the network made it go again.
  UploadReport upload(const blob::BlobSource& blob, const std::vector<std::string>& mount_sources,
                      const Operation& op) const;
  /// Sends what a recipe makes and computes its digest in the same pass: no second read, no copy on
  /// disk. Interrupted uploads continue where the registry can.
  std::shared_ptr<const blob::DerivedBlob> upload_hashing(std::string_view media_type,
                                                          const blob::Recipe& recipe,
                                                          UploadReport& report,
                                                          const Operation& op) const;

  /// Exact bytes under their digest, and under `tag` unless it is empty. A manifest with a subject
  /// is made discoverable: by the registry, or through the fallback index where it does not know
  /// subjects, without losing what others write at the same time.
  SubjectReport put_manifest(const Document& document, std::string_view tag,
                             const Operation& op) const;

  /// Changes what a tag names where others change it too, so that nobody's part is lost: reads,
  /// merges, writes, and watches until what `merge` adds has stayed. `merge` gets what the tag
  /// names, null for nothing, and returns what shall stand there instead, with all that it does not
  /// know kept as it was; nothing once its part is in it. It is called as often as the tag is read,
  /// on this thread, and may throw to give up. Returns the document that the tag names then.
  ///
  /// Registries know no "write if unchanged". Holds what one writer adds against any number of
  /// others, in this process or elsewhere, that do as this does; not against one that needs longer
  /// from reading to writing than the update is watched (half a second; four times as long as its
  /// own windows where those are longer), nor against one that writes without reading. What is
  /// there already costs one read, an update that nobody contests a write and half a second;
  /// threads, and processes with one state_dir, take turns. A `subject` in the document is not
  /// published; blobs that it names must be there. Throws Error{unavailable} when it never settles.
  using Merge = std::function<std::optional<Document>(const Document* current)>;
  Document update_tag(std::string_view tag, const Merge& merge, const Operation& op) const;

  /// Everything that refers to `subject`, by the referrers API or the fallback tag; `artifact_type`
  /// empty: all.
  [[nodiscard]] std::vector<Referrer>
  referrers(const oci::Digest& subject, std::string_view artifact_type, const Operation& op) const;
  /// All tags, sorted. Throws Error{not_found} for a repository that does not exist.
  [[nodiscard]] std::vector<std::string> tags(const Operation& op) const;
  /// A tag or manifest. Throws Error{unsupported} where the registry forbids it.
  void remove(std::string_view tag_or_digest, const Operation& op) const;

private:
  friend class Registry;
  struct Impl;
  Repository(oci::Reference name, std::shared_ptr<Impl> impl);
  oci::Reference name_;
  std::shared_ptr<Impl> impl_;
};

/// Registries: connections, tokens and what was learnt about each. Threads: safe.
///
///     Registry registry{{.credentials = store, .state_dir = cache / "registry"}};
///     auto repository = registry.open(oci::Reference::parse("r.example/team/model"),
///     Access::push); repository.upload(*layer, {}, op);
class AIPACK_API Registry {
public:
  explicit Registry(RegistryOptions options = {});
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// Asks nothing yet. `mount_sources` are repositories of the same registry whose blobs may be
  /// mounted: the token is asked for all of it at once.
  [[nodiscard]] Repository open(const oci::Reference& name, Access access,
                                const std::vector<std::string>& mount_sources = {});

  /// Checks credentials against the registry: throws Error{unauthenticated} when they are refused.
  [[nodiscard]] LoginCheck check_login(std::string_view host, const Credential& credential,
                                       const Operation& op);

  /// Requests so far, token requests and redirects included.
  [[nodiscard]] std::uint64_t requests() const noexcept;

private:
  friend class Repository;
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

} // namespace aipack::registry
