#include "graph.hpp"

#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace aipack::transfer {
namespace {

[[noreturn]] void refuse(const Origin& origin, std::string_view cause) {
  throw FormatError(origin.name(), std::nullopt, cause);
}

} // namespace

void Graph::add(const oci::Descriptor& root, const Operation& op) {
  fetch({root}, Which::all, op);
}

void Graph::add(registry::Document root, const Operation& op) {
  expect(root.descriptor);
  const auto digest = root.descriptor.digest;
  keep(std::move(root));
  fetch(nodes_.at(digest).content.manifests, Which::all, op);
}

std::vector<oci::Digest> Graph::names(const oci::Descriptor& root, const Operation& op) {
  if (!oci::is_index(root.media_type)) {
    return {root.digest};
  }
  fetch({root}, Which::indexes, op);
  std::vector<oci::Digest> result;
  std::set<oci::Digest> seen;
  for (const auto* node : below(root.digest)) {
    for (const auto& child : node->content.manifests) {
      if (seen.insert(child.digest).second) {
        result.push_back(child.digest);
      }
    }
  }
  result.push_back(root.digest);
  return result;
}

const Node* Graph::find(const oci::Digest& digest) const {
  const auto found = nodes_.find(digest);
  return found == nodes_.end() ? nullptr : &found->second;
}

/// One level of the graph after the other, each in parallel.
void Graph::fetch(std::vector<oci::Descriptor> level, Which which, const Operation& op) {
  for (unsigned depth = 0; !level.empty(); ++depth) {
    if (depth > max_index_depth) {
      refuse(origin_, fmt::format("its indexes are nested more than {} deep", max_index_depth));
    }
    std::vector<oci::Descriptor> wanted;
    std::set<oci::Digest> seen;
    for (const auto& descriptor : level) {
      if (which == Which::indexes && !oci::is_index(descriptor.media_type)) {
        continue;
      }
      expect(descriptor);
      if (!nodes_.contains(descriptor.digest) && seen.insert(descriptor.digest).second) {
        wanted.push_back(descriptor);
      }
    }
    auto documents = map_each<registry::Document>(
        wanted, concurrency_, op, [&](const oci::Descriptor& descriptor, const Operation& inner) {
          const oci::Descriptor identity{descriptor.media_type, descriptor.digest,
                                         descriptor.size_bytes};
          return registry::Document{identity, origin_.manifest(identity, inner).bytes};
        });
    for (auto& document : documents) {
      keep(std::move(document));
    }
    std::vector<oci::Descriptor> next;
    for (const auto& descriptor : level) {
      if (const auto* node = find(descriptor.digest)) {
        next.insert(next.end(), node->content.manifests.begin(), node->content.manifests.end());
      }
    }
    level = std::move(next);
    // What several parents name is one thing; without this a small file could mean a large level.
    std::ranges::sort(level, {}, &oci::Descriptor::digest);
    const auto repeated = std::ranges::unique(level, [](const oci::Descriptor& a,
                                                        const oci::Descriptor& b) {
      return a.digest == b.digest && a.size_bytes == b.size_bytes && a.media_type == b.media_type;
    });
    level.erase(repeated.begin(), repeated.end());
  }
}

void Graph::expect(const oci::Descriptor& descriptor) {
  const auto [known, is_new] = expected_.emplace(descriptor.digest, descriptor);
  if (!is_new) {
    if (known->second.size_bytes != descriptor.size_bytes ||
        known->second.media_type != descriptor.media_type) {
      refuse(origin_, fmt::format("manifest {} is announced with two sizes or types",
                                  descriptor.digest.to_string()));
    }
    return;
  }
  if (expected_.size() > max_manifests) {
    refuse(origin_, fmt::format("it names more than {} manifests", max_manifests));
  }
  // Counted as announced: the limit holds before anything is fetched.
  document_bytes_ = checked_add(document_bytes_, descriptor.size_bytes);
  if (descriptor.size_bytes > oci::max_manifest_bytes || document_bytes_ > max_document_bytes) {
    refuse(origin_, fmt::format("its manifests are too large: {} is announced with {} bytes",
                                descriptor.digest.to_string(), descriptor.size_bytes));
  }
  if (!oci::is_index(descriptor.media_type) && !oci::is_manifest(descriptor.media_type)) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot copy {} of {}: aipack does not know the type {}, and what may "
                            "be behind it",
                            descriptor.digest.to_string(), quoted(origin_.name()),
                            quoted(descriptor.media_type)))
        .with_hint("choose platforms to leave it out");
  }
}

void Graph::keep(registry::Document document) {
  const auto& expected = expected_.at(document.descriptor.digest);
  // Whatever an origin checked: here the bytes enter the graph, and digests make it acyclic.
  if (document.bytes.size() != expected.size_bytes ||
      oci::Digest::of(document.bytes) != expected.digest) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot read manifest {} of {}: these are other bytes",
                            expected.digest.to_string(), quoted(origin_.name())));
  }
  auto content = read_content(document);
  const auto digest = expected.digest;
  nodes_.emplace(digest, Node{std::move(document), std::move(content)});
}

std::vector<const Node*> Graph::below(const oci::Digest& root) const {
  std::set<oci::Digest> visited;
  std::vector<const Node*> order;
  visit(root, 0, visited, order);
  return order;
}

void Graph::visit(const oci::Digest& digest, unsigned depth, std::set<oci::Digest>& visited,
                  std::vector<const Node*>& order) const {
  const auto* node = find(digest);
  if (node == nullptr || visited.contains(digest)) {
    return;
  }
  if (depth > max_index_depth) {
    refuse(origin_, fmt::format("its indexes are nested more than {} deep", max_index_depth));
  }
  visited.insert(digest);
  for (const auto& child : node->content.manifests) {
    visit(child.digest, depth + 1, visited, order);
  }
  order.push_back(node);
}

} // namespace aipack::transfer
