#include "solv.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <stdio_ext.h>

// The plain field name `requires` is a keyword of C++20.
#define LIBSOLV_SOLVABLE_PREPEND_DEP
#include "aipack/core/error.hpp"

#include <solv/evr.h>
#include <solv/pool.h>
#include <solv/poolarch.h>
#include <solv/queue.h>
#include <solv/repo.h>
#include <solv/repo_solv.h>
#include <solv/repo_write.h>
#include <solv/solver.h>
#include <solv/solvversion.h>

namespace aipack::solve::solv {
namespace {

struct PoolDeleter {
  void operator()(::Pool* pool) const noexcept { pool_free(pool); }
};
struct SolverDeleter {
  void operator()(::Solver* solver) const noexcept { solver_free(solver); }
};
struct WriterDeleter {
  void operator()(::Repowriter* writer) const noexcept { repowriter_free(writer); }
};
struct FileDeleter {
  void operator()(std::FILE* file) const noexcept { static_cast<void>(std::fclose(file)); }
};
using FilePtr = std::unique_ptr<std::FILE, FileDeleter>;

// libsolv reads and writes byte by byte; without this each byte takes and gives back the stream's
// lock.
FilePtr without_locks(std::FILE* file) {
  if (file != nullptr) {
    static_cast<void>(__fsetlocking(file, FSETLOCKING_BYCALLER));
  }
  return FilePtr(file);
}

class IdQueue {
public:
  IdQueue() { queue_init(&queue_); }
  ~IdQueue() { queue_free(&queue_); }
  IdQueue(const IdQueue&) = delete;
  IdQueue& operator=(const IdQueue&) = delete;
  [[nodiscard]] ::Queue* get() noexcept { return &queue_; }
  [[nodiscard]] std::span<const ::Id> ids() const noexcept {
    return {queue_.elements, static_cast<std::size_t>(queue_.count)};
  }

private:
  ::Queue queue_{};
};

int relation_flags(Comparison comparison) {
  switch (comparison) {
  case Comparison::none:
    return 0;
  case Comparison::earlier:
    return REL_LT;
  case Comparison::earlier_equal:
    return REL_LT | REL_EQ;
  case Comparison::equal:
    return REL_EQ;
  case Comparison::later_equal:
    return REL_GT | REL_EQ;
  case Comparison::later:
    return REL_GT;
  }
  return 0;
}

// What solving needs, nothing else: a third of the file, and no pins that could be stale (those
// come from the verified index).
int keep_solving_keys(::Repo* /*repo*/, ::Repokey* key, void* /*data*/) {
  switch (key->name) {
  case REPOSITORY_SOLVABLES:
  case SOLVABLE_NAME:
  case SOLVABLE_EVR:
  case SOLVABLE_ARCH:
  case SOLVABLE_REQUIRES:
  case SOLVABLE_PROVIDES:
  case SOLVABLE_CONFLICTS:
    return KEY_STORAGE_INCORE;
  default:
    return KEY_STORAGE_DROPPED;
  }
}

// libsolv's ISRELDEP and GETRELDEP mix signs.
constexpr unsigned relation_bit = 0x80000000U;
bool is_relation(::Id id) noexcept {
  return (static_cast<unsigned>(id) & relation_bit) != 0;
}
const ::Reldep& relation_of(const ::Pool* pool, ::Id id) noexcept {
  return pool->rels[static_cast<unsigned>(id) ^ relation_bit];
}

bool names_one_of(const ::Pool* pool, ::Id dependency, std::span<const StringId> sorted_names) {
  while (is_relation(dependency)) {
    const ::Reldep& relation = relation_of(pool, dependency);
    if (relation.flags == REL_OR) {
      if (names_one_of(pool, relation.name, sorted_names)) {
        return true;
      }
      dependency = relation.evr;
    } else {
      dependency = relation.name;
    }
  }
  return std::binary_search(sorted_names.begin(), sorted_names.end(), dependency);
}

} // namespace

std::string library_version() {
  return solv_version;
}

struct Pool::Impl {
  std::unique_ptr<::Pool, PoolDeleter> pool{pool_create()};
  ::Repo* filling = nullptr;
  PackageId first = 0;

  [[nodiscard]] const ::Solvable& solvable(PackageId id) const { return pool->solvables[id]; }
};

Pool::Pool(const std::string& architecture) : impl_(std::make_unique<Impl>()) {
  ::Pool* pool = impl_->pool.get();
  if (pool_setdisttype(pool, DISTTYPE_DEB) < 0) {
    throw Error(ErrorCode::unsupported,
                "cannot resolve packages: this libsolv was built without Debian semantics");
  }
  pool_setarchpolicy(pool, architecture.c_str());
  // Debian Policy 7.6.2: a package may conflict with what it provides itself.
  pool_set_flag(pool, POOL_FLAG_FORBIDSELFCONFLICTS, 0);
}

Pool::~Pool() = default;

StringId Pool::intern(std::string_view text) {
  return pool_strn2id(impl_->pool.get(), text.data(), static_cast<unsigned>(text.size()), 1);
}

DependencyId Pool::versioned(DependencyId name, Comparison comparison, StringId version) {
  return comparison == Comparison::none
             ? name
             : pool_rel2id(impl_->pool.get(), name, version, relation_flags(comparison), 1);
}

DependencyId Pool::either(DependencyId first, DependencyId second) {
  return pool_rel2id(impl_->pool.get(), first, second, REL_OR, 1);
}

std::string_view Pool::text(StringId id) const {
  return pool_id2str(impl_->pool.get(), id);
}

void Pool::begin_range(const std::string& name) {
  assert(impl_->filling == nullptr);
  impl_->filling = repo_create(impl_->pool.get(), name.c_str());
  impl_->first = impl_->pool->nsolvables;
}

void Pool::add(const NewPackage& package) {
  ::Repo* repo = impl_->filling;
  ::Solvable* solvable = pool_id2solvable(impl_->pool.get(), repo_add_solvable(repo));
  solvable->name = package.name;
  solvable->evr = package.version;
  solvable->arch = package.architecture;
  const auto list = [repo](std::span<const DependencyId> ids) {
    ::Offset offset = 0;
    for (const DependencyId id : ids) {
      offset = repo_addid(repo, offset, id);
    }
    return offset;
  };
  solvable->dep_requires = list(package.requirements);
  solvable->dep_provides = list(package.provisions);
  solvable->dep_conflicts = list(package.conflicts);
}

Range Pool::end_range() {
  const Range range{impl_->first, impl_->pool->nsolvables};
  impl_->filling = nullptr;
  return range;
}

std::string Pool::write_solv(const Range& range) {
  if (range.size() == 0) {
    return {};
  }
  ::Repo* repo = impl_->solvable(range.first).repo;
  char* buffer = nullptr;
  std::size_t size = 0;
  FilePtr file = without_locks(open_memstream(&buffer, &size));
  if (!file) {
    throw_errno("write a parsed package index", errno);
  }
  int failed = 0;
  {
    const std::unique_ptr<::Repowriter, WriterDeleter> writer(repowriter_create(repo));
    repowriter_set_keyfilter(writer.get(), keep_solving_keys, nullptr);
    failed = repowriter_write(writer.get(), file.get());
  }
  file.reset(); // gives `buffer` and `size` their final values
  const std::unique_ptr<char, decltype(&std::free)> owner(buffer, &std::free);
  if (failed != 0) {
    throw Error(ErrorCode::internal, std::string("cannot write a parsed package index: ") +
                                         pool_errstr(impl_->pool.get()));
  }
  return {buffer, size};
}

std::optional<Range> Pool::read_solv(const std::string& name, std::string_view bytes,
                                     std::size_t expected) {
  if (bytes.empty() || expected == 0) {
    const PackageId end = impl_->pool->nsolvables;
    return bytes.empty() && expected == 0 ? std::optional(Range{end, end}) : std::nullopt;
  }
  // Opened for reading, so the C library does not write there.
  const FilePtr file = without_locks(fmemopen(const_cast<char*>(bytes.data()), bytes.size(), "r"));
  if (!file) {
    return std::nullopt;
  }
  ::Repo* repo = repo_create(impl_->pool.get(), name.c_str());
  if (repo_add_solv(repo, file.get(), 0) != 0 || repo->nsolvables != repo->end - repo->start ||
      static_cast<std::size_t>(repo->nsolvables) != expected) {
    repo_free(repo, 1);
    return std::nullopt;
  }
  return Range{repo->start, repo->end};
}

void Pool::drop_requirements(std::span<const StringId> names) {
  if (names.empty()) {
    return;
  }
  std::vector<StringId> sorted(names.begin(), names.end());
  std::sort(sorted.begin(), sorted.end());
  ::Pool* pool = impl_->pool.get();
  for (PackageId id = 1; id < pool->nsolvables; ++id) {
    ::Solvable& solvable = pool->solvables[id];
    if (solvable.repo == nullptr || solvable.dep_requires == 0) {
      continue;
    }
    ::Id* list = solvable.repo->idarraydata + solvable.dep_requires;
    ::Id* kept = list;
    for (; *list != 0; ++list) {
      if (!names_one_of(pool, *list, sorted)) {
        *kept++ = *list;
      }
    }
    *kept = 0;
  }
}

void Pool::finish() {
  pool_createwhatprovides(impl_->pool.get());
}

StringId Pool::name(PackageId package) const {
  return impl_->solvable(package).name;
}

std::string_view Pool::version(PackageId package) const {
  return text(impl_->solvable(package).evr);
}

std::string_view Pool::architecture(PackageId package) const {
  return text(impl_->solvable(package).arch);
}

std::vector<PackageId> Pool::providers(DependencyId dependency) {
  std::vector<PackageId> found;
  ::Pool* pool = impl_->pool.get();
  for (const ::Id* id = pool_whatprovides_ptr(pool, dependency); *id != 0; ++id) {
    found.push_back(*id);
  }
  return found;
}

std::vector<DependencyId> Pool::conflicts(PackageId package) const {
  std::vector<DependencyId> found;
  const ::Solvable& solvable = impl_->solvable(package);
  if (solvable.dep_conflicts != 0) {
    for (const ::Id* id = solvable.repo->idarraydata + solvable.dep_conflicts; *id != 0; ++id) {
      found.push_back(*id);
    }
  }
  return found;
}

int Pool::compare_versions(PackageId a, PackageId b) const {
  return pool_evrcmp(impl_->pool.get(), impl_->solvable(a).evr, impl_->solvable(b).evr,
                     EVRCMP_COMPARE);
}

std::vector<StringId> Pool::package_names() const {
  std::vector<StringId> names;
  const ::Pool* pool = impl_->pool.get();
  names.reserve(static_cast<std::size_t>(pool->nsolvables));
  for (PackageId id = 2; id < pool->nsolvables; ++id) {
    if (pool->solvables[id].repo != nullptr && pool->solvables[id].name != 0) {
      names.push_back(pool->solvables[id].name);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::optional<std::vector<PackageId>> Pool::solve(std::span<const DependencyId> requirements,
                                                  std::span<const PackageId> packages) {
  IdQueue jobs;
  for (const DependencyId requirement : requirements) {
    queue_push2(jobs.get(), SOLVER_INSTALL | SOLVER_SOLVABLE_PROVIDES, requirement);
  }
  for (const PackageId package : packages) {
    queue_push2(jobs.get(), SOLVER_INSTALL | SOLVER_SOLVABLE, package);
  }
  const std::unique_ptr<::Solver, SolverDeleter> solver(solver_create(impl_->pool.get()));
  solver_set_flag(solver.get(), SOLVER_FLAG_IGNORE_RECOMMENDED, 1);
  if (solver_solve(solver.get(), jobs.get()) != 0) {
    return std::nullopt;
  }
  IdQueue decisions;
  solver_get_decisionqueue(solver.get(), decisions.get());
  std::vector<PackageId> chosen;
  for (const ::Id id : decisions.ids()) {
    if (id > 0 && id != SYSTEMSOLVABLE) {
      chosen.push_back(id);
    }
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

} // namespace aipack::solve::solv
