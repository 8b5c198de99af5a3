#include "aipack/blob/blob.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/io/temp_file.hpp"

#include "support/catch.hpp"
#include "support/faulty.hpp"
#include "support/generate.hpp"
#include "support/temp.hpp"

#include <cstring>
#include <fstream>
#include <functional>

#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace aipack;
using namespace aipack::testing;
using blob::DirectoryStore;
using blob::Placement;
using blob::Recipe;

namespace {

oci::Descriptor descriptor_of(std::string_view text) {
  return {.media_type = "t", .digest = oci::Digest::of(text), .size_bytes = text.size()};
}

std::string read(const blob::BlobSource& blob, std::uint64_t offset = 0) {
  const auto source = blob.open(offset);
  return io::read_text(*source, UINT64_MAX, "test");
}

io::MemorySource source_of(std::string_view text) {
  return io::MemorySource(io::as_bytes(text));
}

fs::FileExtent extent_of(const std::filesystem::path& file, std::uint64_t offset,
                         std::uint64_t length) {
  return {file, offset, length, io::File::open(file).identity()};
}

std::optional<ErrorCode> code_of(const std::function<void()>& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error.code();
  }
  return std::nullopt;
}

/// Files in the store, temporary ones included.
std::set<std::string> files_in(const DirectoryStore& store) {
  return std::filesystem::exists(store.root() / "sha256") ? names_in(store.root() / "sha256")
                                                          : std::set<std::string>{};
}

/// Bytes that repeat nowhere: a chunk at a wrong place shows.
std::string numbered(std::size_t size) {
  std::string text(size + sizeof(std::uint64_t), '\0');
  for (std::uint64_t at = 0; at < size; at += sizeof at) {
    std::memcpy(text.data() + at, &at, sizeof at);
  }
  text.resize(size);
  return text;
}

/// As testing::read_file, for tens of megabytes.
std::string content_of(const std::filesystem::path& path) {
  std::string text(std::filesystem::file_size(path), '\0');
  std::ifstream(path, std::ios::binary)
      .read(text.data(), static_cast<std::streamsize>(text.size()));
  return text;
}

/// Lets this process mount what only it sees; who is not root needs a user namespace for that.
bool enter_mount_namespace() {
  const auto uid = std::to_string(::geteuid());
  const auto gid = std::to_string(::getegid());
  if (::unshare(CLONE_NEWNS) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
      return false;
    }
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", uid + " " + uid + " 1");
    write_file("/proc/self/gid_map", gid + " " + gid + " 1");
  }
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

constexpr std::size_t mib = std::size_t{1} << 20;

} // namespace

TEST_CASE("A store gives back what was put", "[blob][store]") {
  const io::TempDirectory directory;
  DirectoryStore store(directory.path() / "blobs");
  const std::string text = numbered(700'000);
  const auto descriptor = descriptor_of(text);
  CHECK_FALSE(store.contains(descriptor));
  CHECK(store.find(descriptor) == nullptr);

  auto source = source_of(text);
  const auto blob = store.put(descriptor, source, {});
  CHECK(blob->descriptor() == descriptor);
  CHECK(read(*blob) == text);
  CHECK(read(*blob, 699'000) == text.substr(699'000));
  CHECK(read(*blob, 700'000).empty());
  CHECK(read(*blob, 900'000).empty());
  CHECK(store.contains(descriptor));
  CHECK(read(*store.find(descriptor)) == text);
  CHECK(content_of(store.root() / "sha256" / descriptor.digest.hex()) == text);
  CHECK(store.path_of(descriptor.digest) == store.root() / "sha256" / descriptor.digest.hex());
}

TEST_CASE("Ingest says what came", "[blob][store]") {
  const io::TempDirectory directory;
  DirectoryStore store(directory.path());
  auto source = source_of("abc");
  const auto blob = store.ingest("text/plain", source, {});
  CHECK(blob->descriptor().media_type == "text/plain");
  CHECK(blob->descriptor().digest == oci::Digest::of("abc"));
  CHECK(blob->descriptor().size_bytes == 3);
  CHECK(read(*blob) == "abc");
  auto again = source_of("abc");
  CHECK(store.ingest("text/plain", again, {})->descriptor() == blob->descriptor());
  CHECK(files_in(store).size() == 1);
}

TEST_CASE("Bytes that do not match leave nothing", "[blob][store]") {
  const io::TempDirectory directory;
  DirectoryStore store(directory.path());
  const auto expected = descriptor_of("hello");
  const char* text = GENERATE("hellO", "hell", "hello!", "");
  auto source = source_of(text);
  CHECK(code_of([&] { store.put(expected, source, {}); }) == ErrorCode::corrupt);
  CHECK_FALSE(store.contains(expected));
  CHECK(files_in(store).empty());
}

TEST_CASE("A cancelled put leaves nothing", "[blob][store]") {
  const io::TempDirectory directory;
  DirectoryStore store(directory.path());
  std::stop_source stop;
  stop.request_stop();
  auto source = source_of("hello");
  CHECK(code_of([&] { store.put(descriptor_of("hello"), source, {.stop = stop.get_token()}); }) ==
        ErrorCode::cancelled);
  CHECK(files_in(store).empty());
}

TEST_CASE("Many writers of the same blobs get one file each", "[blob][store]") {
  const io::TempDirectory directory;
  std::vector<std::string> texts;
  for (int i = 0; i < 8; ++i) {
    texts.push_back("blob " + std::to_string(i));
  }
  for_each_index(64, 8, {}, [&](std::size_t i, const Operation& op) {
    DirectoryStore store(directory.path() / "blobs");
    auto source = source_of(texts[i % texts.size()]);
    store.put(descriptor_of(texts[i % texts.size()]), source, op);
  });
  const DirectoryStore store(directory.path() / "blobs");
  CHECK(files_in(store).size() == texts.size());
  for (const auto& text : texts) {
    CHECK(read(*store.find(descriptor_of(text))) == text);
  }
}

TEST_CASE("A blob that was cut short counts as missing and is written again", "[blob][store]") {
  const io::TempDirectory directory;
  DirectoryStore store(directory.path());
  const auto descriptor = descriptor_of("hello");
  auto source = source_of("hello");
  store.put(descriptor, source, {});
  std::filesystem::resize_file(store.path_of(descriptor.digest), 2);
  CHECK_FALSE(store.contains(descriptor));
  auto again = source_of("hello");
  CHECK(read(*store.put(descriptor, again, {})) == "hello");
}

TEST_CASE("A damaged blob is an error that says what to do", "[blob][store]") {
  const io::TempDirectory directory;
  DirectoryStore store(directory.path());
  const auto descriptor = descriptor_of("hello");
  auto source = source_of("hello");
  const auto blob = store.put(descriptor, source, {});
  write_file(store.path_of(descriptor.digest), "hellO");
  try {
    (void)read(*blob);
    FAIL("read");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    CHECK_THAT(error.hint(), ContainsSubstring(descriptor.digest.hex()));
  }
  write_file(store.path_of(descriptor.digest), "hel");
  CHECK(code_of([&] { (void)read(*blob, 1); }) == ErrorCode::corrupt);
}

TEST_CASE("place finds the way for every kind of blob", "[blob][store]") {
  const io::TempDirectory directory;
  const auto durability = GENERATE(io::Durability::cached, io::Durability::synced);
  DirectoryStore from(directory.path() / "from");
  DirectoryStore to(directory.path() / "to", durability);

  const auto memory = blob::memory_blob(descriptor_of("memory"), "memory");
  CHECK(to.place(*memory, {}) == Placement::copied);
  CHECK(to.place(*memory, {}) == Placement::present);
  CHECK(read(*to.find(memory->descriptor())) == "memory");

  auto source = source_of("stored");
  const auto stored = from.put(descriptor_of("stored"), source, {});
  CHECK((to.place(*stored, {}) != Placement::present));
  CHECK(read(*to.find(stored->descriptor())) == "stored");

  const auto file = directory.path() / "model";
  write_file(file, "weights");
  Recipe recipe;
  recipe.add(std::string("head "));
  recipe.add(extent_of(file, 0, 7));
  const blob::DerivedBlob derived(descriptor_of("head weights"), recipe);
  CHECK(to.place(derived, {}) == Placement::copied);
  CHECK(to.place(derived, {}) == Placement::present);
  CHECK(read(*to.find(derived.descriptor())) == "head weights");
  CHECK(files_in(to).size() == 3);
}

TEST_CASE("A damaged stored blob is not copied on", "[blob][store]") {
  const io::TempDirectory directory;
  DirectoryStore from(directory.path() / "from");
  DirectoryStore to(directory.path() / "to");
  auto source = source_of("stored");
  const auto stored = from.put(descriptor_of("stored"), source, {});
  // Of the right size too: a file system that shares extents would take it as it is.
  const std::string damage = GENERATE("short", "Stored");
  write_file(from.path_of(stored->descriptor().digest), damage);
  CHECK(code_of([&] { to.place(*stored, {}); }) == ErrorCode::corrupt);
  CHECK(files_in(to).empty());
}

TEST_CASE("Recipes of any size and alignment are written and hashed right", "[blob][store]") {
  const io::TempDirectory directory;
  const auto file = directory.path() / "model";
  // Around a page, the pipeline's threshold, its chunk, and more than its ring of 32 MiB.
  const std::size_t size =
      GENERATE(1U, 4095U, 4096U, 8 * mib - 4096, 8 * mib - 1, 12 * mib + 1, 40 * mib);
  const std::size_t head = GENERATE(1U, 4096U);
  CAPTURE(size, head);
  const std::string content = numbered(size);
  write_file(file, content);
  Recipe recipe;
  recipe.add(std::string(head, 'h'));
  recipe.add(extent_of(file, 0, size));
  recipe.add(std::string(1024, '\0'));
  const std::string whole = std::string(head, 'h') + content + std::string(1024, '\0');

  DirectoryStore hashed(directory.path() / "hashed", io::Durability::synced);
  const auto blob = hashed.place_hashing("t", recipe, {});
  CHECK(blob->descriptor() == descriptor_of(whole));
  CHECK((content_of(hashed.path_of(blob->descriptor().digest)) == whole));
  CHECK(files_in(hashed).size() == 1);

  DirectoryStore placed(directory.path() / "placed");
  CHECK((placed.place(*blob, {}) != Placement::present));
  CHECK((content_of(placed.path_of(blob->descriptor().digest)) == whole));
  CHECK((hashed.place_hashing("t", recipe, {})->descriptor() == blob->descriptor()));
}

TEST_CASE("A recipe of many extents is written right", "[blob][store]") {
  AIPACK_TEST_RANDOM(random);
  const io::TempDirectory directory;
  const auto file = directory.path() / "model";
  const std::string content = numbered(3 * mib);
  write_file(file, content);
  Recipe recipe;
  std::string whole;
  while (whole.size() < 20 * mib) {
    const std::size_t offset = random.below(content.size());
    const std::size_t aligned = random.one_in(2) ? offset / 4096 * 4096 : offset;
    const std::size_t length = random.below(content.size() - aligned);
    recipe.add(extent_of(file, aligned, length));
    whole += content.substr(aligned, length);
    const std::string pad(
        random.one_in(2) ? (4096 - whole.size() % 4096) % 4096 : random.below(5000), 'p');
    recipe.add(pad);
    whole += pad;
  }
  DirectoryStore hashed(directory.path() / "hashed");
  const auto blob = hashed.place_hashing("t", recipe, {});
  CHECK(blob->descriptor() == descriptor_of(whole));
  DirectoryStore placed(directory.path() / "placed");
  placed.place(*blob, {});
  CHECK((content_of(placed.path_of(blob->descriptor().digest)) == whole));
}

TEST_CASE("An empty recipe is the empty blob", "[blob][store]") {
  const io::TempDirectory directory;
  DirectoryStore store(directory.path());
  CHECK(store.place_hashing("t", Recipe(), {})->descriptor() == descriptor_of(""));
  CHECK(read(*store.find(descriptor_of(""))).empty());
}

TEST_CASE("Aligned extents are shared where the file system can", "[blob][store][reflink]") {
  const io::TempDirectory directory;
  const auto file = directory.path() / "model";
  const std::size_t tail = GENERATE(0U, 1U, 4095U);
  const std::string content = numbered(1 * mib + tail);
  write_file(file, content);
  {
    const auto probe = directory.path() / "probe";
    const int to = ::open(probe.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const bool can = ::ioctl(to, FICLONE, io::File::open(file).fd()) == 0;
    ::close(to);
    if (!can) {
      WARN("skipped: no reflinks in " << directory.path().string()
                                      << "; run with TMPDIR on XFS or Btrfs");
      return;
    }
  }
  Recipe recipe;
  recipe.add(std::string(4096, 'h'));
  recipe.add(extent_of(file, 0, content.size()));
  recipe.add(std::string(1024 + (4096 - tail) % 4096, '\0')); // a second payload, aligned again
  recipe.add(std::string(4096 - 1024, 'n'));
  recipe.add(extent_of(file, 4096, content.size() - 4096));
  const std::string whole = std::string(4096, 'h') + content +
                            std::string(1024 + (4096 - tail) % 4096, '\0') +
                            std::string(4096 - 1024, 'n') + content.substr(4096);
  DirectoryStore hashed(directory.path() / "hashed");
  const auto blob = hashed.place_hashing("t", recipe, {});
  CHECK(blob->descriptor() == descriptor_of(whole));
  CHECK((content_of(hashed.path_of(blob->descriptor().digest)) == whole));

  DirectoryStore placed(directory.path() / "placed");
  CHECK(placed.place(*blob, {}) == Placement::cloned);
  CHECK((content_of(placed.path_of(blob->descriptor().digest)) == whole));

  DirectoryStore third(directory.path() / "third");
  CHECK(third.place(*placed.find(blob->descriptor()), {}) == Placement::cloned);
  CHECK((content_of(third.path_of(blob->descriptor().digest)) == whole));

  // What is shared is a copy for all who write: the source may change afterwards.
  write_file(file, std::string(content.size(), 'x'));
  CHECK((content_of(third.path_of(blob->descriptor().digest)) == whole));
}

TEST_CASE("A file that changes while it is packed is an error and leaves nothing",
          "[blob][store]") {
  /// Does its deed when the first chunk has been hashed; the reader is at most 32 MiB ahead then.
  struct Saboteur final : ProgressSink {
    void on_event(const ProgressEvent& event) noexcept override {
      if (event.kind == ProgressEvent::Kind::advance && !done.exchange(true)) {
        deed();
      }
    }
    std::function<void()> deed;
    std::atomic<bool> done{false};
  } saboteur;

  const io::TempDirectory directory;
  const auto file = directory.path() / "model";
  std::filesystem::resize_file((write_file(file, "x"), file), 64 * mib);
  Recipe recipe;
  recipe.add(std::string("h"));
  recipe.add(extent_of(file, 0, 64 * mib));
  DirectoryStore store(directory.path() / "store");
  const Operation op{.progress = saboteur};

  SECTION("it grows") {
    saboteur.deed = [&] { std::filesystem::resize_file(file, 65 * mib); };
    CHECK(code_of([&] { (void)store.place_hashing("t", recipe, op); }) == ErrorCode::io);
  }
  SECTION("it shrinks") {
    saboteur.deed = [&] { std::filesystem::resize_file(file, mib); };
    CHECK(code_of([&] { (void)store.place_hashing("t", recipe, op); }) == ErrorCode::io);
  }
  SECTION("the caller asks to stop") {
    std::stop_source stop;
    saboteur.deed = [&] { stop.request_stop(); };
    const Operation stoppable{.stop = stop.get_token(), .progress = saboteur};
    CHECK(code_of([&] { (void)store.place_hashing("t", recipe, stoppable); }) ==
          ErrorCode::cancelled);
  }
  CHECK(saboteur.done);
  CHECK(files_in(store).empty());
}

TEST_CASE("A changed file is not placed from an old recipe", "[blob][store]") {
  const io::TempDirectory directory;
  const std::size_t size = GENERATE(1000U, 9 * mib);
  const auto file = directory.path() / "model";
  write_file(file, std::string(size, 'a'));
  Recipe recipe;
  recipe.add(std::string(4096, 'h'));
  recipe.add(extent_of(file, 0, size));
  const blob::DerivedBlob blob({"t", oci::Digest::of("x"), recipe.size()}, recipe);
  write_file(file, std::string(size + 1, 'a'));
  DirectoryStore store(directory.path() / "store");
  CHECK(code_of([&] { store.place(blob, {}); }) == ErrorCode::io);
  CHECK(code_of([&] { (void)store.place_hashing("t", recipe, {}); }) == ErrorCode::io);
  CHECK(files_in(store).empty());
}

TEST_CASE("Whatever goes wrong at whatever call, a store holds whole blobs or none",
          "[blob][store][faults]") {
  const Fault fault = GENERATE(Fault::fail, Fault::truncate, Fault::flip_bit, Fault::delay);
  const bool expects = GENERATE(true, false); // put or ingest
  CAPTURE(static_cast<int>(fault), expects);
  const std::string text = numbered(1 * mib); // four buffers
  const auto descriptor = descriptor_of(text);
  bool injected = true;
  std::size_t runs = 0;
  for (std::size_t call = 0; injected; ++call, ++runs) {
    CAPTURE(call);
    const io::TempDirectory directory;
    DirectoryStore real(directory.path());
    const auto plan = std::make_shared<FaultPlan>();
    plan->fault = fault;
    plan->at_call = call;
    FaultyStore store(real, plan);
    auto source = source_of(text);
    const auto code = code_of([&] {
      const auto blob = expects ? store.put(descriptor, source, {}) : store.ingest("t", source, {});
      REQUIRE(blob->descriptor().size_bytes <= text.size());
      (void)read(*blob);
    });
    injected = plan->injected;
    const bool is_right = real.contains(descriptor) && files_in(real).size() == 1 &&
                          read(*real.find(descriptor)) == text;
    if (expects || fault == Fault::fail || fault == Fault::delay) {
      // Reads of the finished blob fail too, after it is in.
      CHECK((files_in(real).empty() || is_right));
    } else {
      // Nobody knew what was to come: what came is stored whole under its own name.
      CHECK(files_in(real).size() == 1);
      for (const auto& name : files_in(real)) {
        CHECK(oci::Digest::of(content_of(real.root() / "sha256" / name)).hex() == name);
      }
    }
    if (!injected || fault == Fault::delay) {
      CHECK_FALSE(code.has_value());
      CHECK(is_right);
    }
    // The same work with nothing in the way succeeds.
    auto again = source_of(text);
    CHECK((read(*real.put(descriptor, again, {})) == text));
  }
  CHECK(runs > 4);
}

TEST_CASE("A full disk is an error with a hint and leaves nothing", "[blob][store][faults]") {
  const std::size_t size = GENERATE(2 * mib, 16 * mib); // buffered, and through the pipeline
  const io::TempDirectory directory;
  const auto file = directory.path() / "model";
  write_file(file, numbered(size));
  const auto disk = directory.path() / "disk";
  std::filesystem::create_directory(disk);

  // In a child with its own mount namespace, so that nothing has to be unmounted whatever happens.
  constexpr int skipped = 77;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (!enter_mount_namespace() || ::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=1m") != 0) {
      ::_exit(skipped);
    }
    int result = 1;
    try {
      DirectoryStore store(disk / "store");
      Recipe recipe;
      recipe.add(extent_of(file, 0, size));
      try {
        (void)store.place_hashing("t", recipe, {});
      } catch (const Error& error) {
        const bool is_clean =
            error.code() == ErrorCode::io && !error.hint().empty() && files_in(store).empty();
        auto small = source_of("small");
        result = is_clean && read(*store.put(descriptor_of("small"), small, {})) == "small" ? 0 : 2;
      }
    } catch (...) {
      result = 3;
    }
    ::_exit(result);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == skipped) {
    WARN("skipped: this machine does not let the test mount a small tmpfs");
    return;
  }
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("A store that is only read may stand on a read-only file system", "[blob][store]") {
  if (::geteuid() == 0) {
    WARN("skipped: root may write everywhere");
    return;
  }
  const io::TempDirectory directory;
  {
    DirectoryStore store(directory.path() / "blobs");
    auto source = source_of("abc");
    store.put(descriptor_of("abc"), source, {});
  }
  ::chmod((directory.path() / "blobs" / "sha256").c_str(), 0500);
  DirectoryStore store(directory.path() / "blobs");
  CHECK(read(*store.find(descriptor_of("abc"))) == "abc");
  auto source = source_of("def");
  CHECK(code_of([&] { store.put(descriptor_of("def"), source, {}); }) == ErrorCode::denied);
  ::chmod((directory.path() / "blobs" / "sha256").c_str(), 0700);
}

TEST_CASE("A store that cannot be made is an error", "[blob][store]") {
  const io::TempDirectory directory;
  write_file(directory.path() / "file", "x");
  CHECK(code_of([&] { DirectoryStore store(directory.path() / "file"); }).has_value());
  CHECK(code_of([&] { DirectoryStore store(directory.path() / "file" / "below"); }).has_value());
}
