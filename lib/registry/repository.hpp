#pragma once

#include "aipack/registry/registry.hpp"

#include "http_session.hpp"
#include "memory.hpp"

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace aipack::registry {

/// An endpoint of a repository: its session, and what is known about its registry.
struct Place {
  Place(std::shared_ptr<HttpSession> session_, std::shared_ptr<EndpointMemory> memory_)
      : session(std::move(session_)), memory(std::move(memory_)) {}
  std::shared_ptr<HttpSession> session;
  std::shared_ptr<EndpointMemory> memory;
  std::atomic<bool> is_down{false}; ///< a mirror that did not answer is not asked again

  [[nodiscard]] const std::string& repository() const { return session->endpoint().repository; }
};
using PlacePtr = std::shared_ptr<Place>;

struct Repository::Impl {
  std::vector<PlacePtr> by_digest; ///< where content is read by digest, in order; never empty
  std::vector<PlacePtr> by_tag;    ///< where tags are looked up, in order; never empty
  PlacePtr home;                   ///< the registry itself: what writes and what lists
  Patience patience{};
  std::filesystem::path state_dir{};
  std::function<std::string(const std::string&)> mount_source{}; ///< as the endpoint calls it

  std::shared_ptr<std::atomic<unsigned>> uploads{}; ///< that run now, of the whole Registry

  [[nodiscard]] UploadPlace upload_place(RepositoryMemory& memory, unsigned uploads_now) const;
};

/// "r.example/team/model:1", "r.example/team/model@sha256:…"
[[nodiscard]] std::string full_name(const oci::Reference& name, std::string_view tag_or_digest);

/// True for a digest, false for a tag. Throws Error{invalid_input} for what is neither.
[[nodiscard]] bool is_digest(std::string_view tag_or_digest);

/// Asks the places in order until one has an answer. `ask` returns something that is false for
/// "not here" (an empty optional); what a mirror fails with is not an error as long as there is
/// another place. The last place is always asked, and its errors leave.
template <class Ask>
auto first_answer(const std::vector<PlacePtr>& places, Ask&& ask)
    -> decltype(ask(*places.front())) {
  for (const PlacePtr& place : places) {
    if (place == places.back()) {
      break;
    }
    if (place->is_down) {
      continue;
    }
    try {
      if (auto answer = ask(*place)) {
        return answer;
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) {
        throw;
      }
      place->is_down = error.code() == ErrorCode::unavailable;
    }
  }
  return ask(*places.back());
}

} // namespace aipack::registry
