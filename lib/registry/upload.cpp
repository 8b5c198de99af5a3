#include "upload.hpp"

#include "aipack/core/text.hpp"

#include "upload_run.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace aipack::registry {
namespace {

/// Places to mount from that are tried: each is a request that may lead nowhere.
constexpr std::size_t max_mount_tries = 4;

std::string verb_for(const oci::Digest& digest) {
  return "push blob " + quoted("sha256:" + digest.short_hex());
}

UploadKey key_of(const UploadPlace& place, std::string content, std::uint64_t size_bytes) {
  const Endpoint& endpoint = place.session.endpoint();
  return {.origin = endpoint.scheme + "://" + endpoint.host,
          .repository = endpoint.repository,
          .content = std::move(content),
          .size_bytes = size_bytes};
}

/// The same for a recipe of a known digest and for one that is being hashed: who was interrupted
/// as one may go on as the other.
std::string content_key(const blob::BlobSource& blob) {
  const auto* derived = dynamic_cast<const blob::DerivedBlob*>(&blob);
  return derived != nullptr ? recipe_key(derived->recipe()) : blob.descriptor().digest.to_string();
}

/// Given places first, then those where the blob was seen.
std::vector<std::string> mount_candidates(const UploadPlace& place,
                                          const std::vector<std::string>& given,
                                          const oci::Digest& digest) {
  std::vector<std::string> candidates = given;
  const auto seen = place.memory.repositories_with(digest);
  candidates.insert(candidates.end(), seen.begin(), seen.end());
  std::vector<std::string> chosen;
  for (const std::string& candidate : candidates) {
    if (candidate != place.session.endpoint().repository && chosen.size() < max_mount_tries &&
        std::ranges::find(chosen, candidate) == chosen.end()) {
      chosen.push_back(candidate);
    }
  }
  return chosen;
}

/// Source: distribution-spec 1.1, "Mounting a blob from another repository". True when it is there
/// now; a session that was opened instead is handed to `run`.
bool mount(const UploadPlace& place, const std::string& source, const oci::Digest& digest,
           UploadRun& run, const Operation& op) {
  place.session.expect({.repository = source});
  try {
    const auto response = place.session.send(
        {.verb = verb_for(digest),
         .method = "POST",
         .target = fmt::format("{}?mount={}&from={}",
                               api_path(place.session.endpoint().repository, "blobs/uploads", ""),
                               percent_encoded(digest.to_string()), percent_encoded(source)),
         .headers = {{"Content-Length", "0"}},
         .accepted = {201, 202},
         .repeat = Repeat::never},
        op);
    if (response.status == 201) {
      return true;
    }
    place.memory.missed_blob(source, digest);
    run.adopt(response);
  } catch (const RegistryError&) {
    // Not the right on the source, or a registry that cannot: the blob is sent.
  }
  return false;
}

} // namespace

UploadReport upload_blob(const UploadPlace& place, const blob::BlobSource& blob,
                         const std::vector<std::string>& mount_sources, const Operation& op) {
  const oci::Descriptor& descriptor = blob.descriptor();
  UploadReport report;
  const UploadKey key = key_of(place, content_key(blob), descriptor.size_bytes);
  if (find_blob(place.session, verb_for(descriptor.digest), descriptor.digest,
                descriptor.size_bytes, op) == Presence::there) {
    UploadJournal::forget(place.journal_dir, key);
    place.memory.saw_blob(descriptor.digest);
    return report;
  }
  UploadContent content(blob, place.reading);
  UploadRun run(place, content, key, verb_for(descriptor.digest), report, op);
  for (const std::string& source : mount_candidates(place, mount_sources, descriptor.digest)) {
    if (mount(place, source, descriptor.digest, run, op)) {
      run.abandon();
      report.arrival = Arrival::mounted;
      place.memory.saw_blob(descriptor.digest);
      return report;
    }
  }
  run.run();
  return report;
}

std::shared_ptr<const blob::DerivedBlob> upload_recipe(const UploadPlace& place,
                                                       std::string_view media_type,
                                                       const blob::Recipe& recipe,
                                                       UploadReport& report, const Operation& op) {
  const auto finished = [&](const oci::Digest& digest) {
    return std::make_shared<const blob::DerivedBlob>(
        oci::Descriptor{
            .media_type = std::string(media_type), .digest = digest, .size_bytes = recipe.size()},
        recipe);
  };
  report = {};
  if (recipe.size() < whole_below_bytes) {
    auto blob = finished(codec::sha256(*recipe.open(), op));
    report = upload_blob(place, *blob, {}, op);
    return blob;
  }
  UploadContent content(recipe, place.reading);
  UploadRun run(place, content, key_of(place, recipe_key(recipe), recipe.size()),
                fmt::format("push a layer of {}", human_bytes(recipe.size())), report, op);
  run.run();
  return finished(content.digest(op));
}

} // namespace aipack::registry
