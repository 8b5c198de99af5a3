#pragma once

#include "aipack/transfer/copy.hpp"

#include "document.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace aipack::transfer {

/// A manifest or an index that was read, and what it says.
struct Node {
  registry::Document document;
  Content content;
};

/// The manifests and indexes of one copy, each once, verified against their digest. What an origin
/// says is bounded in number, bytes and depth; a digest that is announced with two sizes or types
/// is refused. Not for several threads; fetches in parallel itself.
class Graph {
public:
  Graph(Origin& origin, unsigned concurrency) : origin_(origin), concurrency_(concurrency) {}

  /// Reads `root` and everything below it. Throws FormatError{corrupt} at a limit,
  /// Error{unsupported} for what cannot be followed, and what the origin throws.
  void add(const oci::Descriptor& root, const Operation& op);
  /// A document that does not come from the origin, and everything below it.
  void add(registry::Document root, const Operation& op);
  /// Indexes only: `root` and what is named below it, without reading the manifests.
  [[nodiscard]] std::vector<oci::Digest> names(const oci::Descriptor& root, const Operation& op);

  [[nodiscard]] const Node* find(const oci::Digest& digest) const;
  [[nodiscard]] const Node& get(const oci::Digest& digest) const { return nodes_.at(digest); }
  /// `root` and everything below it, each once, children before parents.
  [[nodiscard]] std::vector<const Node*> below(const oci::Digest& root) const;

private:
  enum class Which { all, indexes };
  void fetch(std::vector<oci::Descriptor> level, Which which, const Operation& op);
  void expect(const oci::Descriptor& descriptor);
  void keep(registry::Document document);
  void visit(const oci::Digest& digest, unsigned depth, std::set<oci::Digest>& visited,
             std::vector<const Node*>& order) const;

  Origin& origin_;
  unsigned concurrency_;
  std::map<oci::Digest, Node> nodes_;
  std::map<oci::Digest, oci::Descriptor> expected_; ///< as first announced
  std::uint64_t document_bytes_ = 0;
};

} // namespace aipack::transfer
