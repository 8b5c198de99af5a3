#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/registry/settings.hpp"

#include "support/catch.hpp"
#include "support/temp.hpp"

#include <filesystem>
#include <map>
#include <string>

using namespace aipack;
using namespace aipack::registry;

namespace fs = std::filesystem;

namespace {

struct Machine {
  io::TempDirectory directory;
  fs::path root = directory.path();
  std::map<std::string, std::string> variables;

  void put(const fs::path& file, const std::string& text) const {
    fs::create_directories((root / file).parent_path());
    testing::write_file(root / file, text);
  }
  /// A registry that is told apart by where it leads.
  void lead(const fs::path& file, const std::string& to) const {
    put(file, "[[registry]]\nprefix = 'r.example'\nlocation = '" + to + ".example'\n");
  }
  [[nodiscard]] RegistrySettings read() const {
    return RegistrySettings::read({.environment =
                                       [this](const char* name) {
                                         const auto found = variables.find(name);
                                         return found == variables.end() ? nullptr
                                                                         : found->second.c_str();
                                       },
                                   .home = root / "home",
                                   .etc = root / "etc"});
  }
  [[nodiscard]] Endpoint endpoint(const std::string& reference) const {
    return read().endpoint(oci::Reference::parse(reference));
  }
  [[nodiscard]] std::string leads_to() const {
    return read().pull_endpoints(oci::Reference::parse("r.example/a"), false).at(0).host;
  }
};

std::string error_of(std::string_view text, SettingsFormat format = SettingsFormat::aipack) {
  try {
    static_cast<void>(RegistrySettings::parse(text, "registries.toml", format));
  } catch (const FormatError& error) {
    CHECK(error.code() == ErrorCode::invalid_input);
    return error.message();
  }
  return "no error";
}

} // namespace

TEST_CASE("a machine without settings has none", "[registry][settings]") {
  const Machine machine;
  CHECK(machine.leads_to() == "r.example");
  CHECK_NOTHROW(RegistrySettings::read({.etc = machine.root / "etc"}));
}

TEST_CASE("files of settings are read in the documented order", "[registry][settings]") {
  Machine machine;
  machine.lead("etc/containers/registries.conf", "system");
  CHECK(machine.leads_to() == "system.example");
  machine.lead("etc/containers/registries.conf.d/20.conf", "twenty");
  machine.lead("etc/containers/registries.conf.d/10.conf", "ten");
  machine.lead("etc/containers/registries.conf.d/30.conf.bak", "backup");
  fs::create_directories(machine.root / "etc/containers/registries.conf.d/40.conf");
  CHECK(machine.leads_to() == "twenty.example");
  machine.lead("home/.config/containers/registries.conf.d/00.conf", "user-drop-in");
  CHECK(machine.leads_to() == "user-drop-in.example");
  fs::remove(machine.root / "home/.config/containers/registries.conf.d/00.conf");
  machine.lead("home/.config/containers/registries.conf", "user");
  CHECK(machine.leads_to() == "user.example"); // the system's drop-ins do not count any more
  machine.lead("named.conf", "named");
  machine.variables["CONTAINERS_REGISTRIES_CONF"] = (machine.root / "named.conf").string();
  fs::remove_all(machine.root / "etc/containers/registries.conf.d");
  CHECK(machine.leads_to() == "named.example");
  machine.lead("home/.config/aipack/registries.toml", "aipack");
  CHECK(machine.leads_to() == "aipack.example");
  machine.lead("xdg/aipack/registries.toml", "xdg");
  machine.variables["XDG_CONFIG_HOME"] = (machine.root / "xdg").string();
  CHECK(machine.leads_to() == "xdg.example");
}

TEST_CASE("a drop-in replaces a table, aipack's file adds to it", "[registry][settings]") {
  const Machine machine;
  machine.put("etc/containers/registries.conf",
              "[[registry]]\nprefix = 'r.example'\ninsecure = true\nlocation = 'l.example'\n");
  machine.put("home/.config/aipack/registries.toml",
              "[[registry]]\nprefix = 'r.example'\nconcurrency = 2\n");
  const auto sources = machine.read().pull_endpoints(oci::Reference::parse("r.example/a"), false);
  CHECK(sources.at(0).host == "l.example");
  CHECK(sources.at(0).insecure_tls);
  CHECK(sources.at(0).concurrency == 2);
  machine.put("etc/containers/registries.conf.d/x.conf", "[[registry]]\nprefix = 'r.example'\n");
  CHECK(machine.leads_to() == "r.example");
  CHECK_FALSE(machine.endpoint("r.example/a").insecure_tls);
}

TEST_CASE("a settings file that was named must be there", "[registry][settings]") {
  Machine machine;
  machine.variables["CONTAINERS_REGISTRIES_CONF"] = (machine.root / "gone.conf").string();
  CHECK_THROWS_AS(machine.read(), Error);
}

TEST_CASE("certificates come from the first directory that has the host", "[registry][settings]") {
  const Machine machine;
  machine.put("etc/docker/certs.d/r.example:5000/docker.crt", "");
  machine.put("etc/docker/certs.d/d.example/ca.crt", "");
  machine.put("etc/containers/certs.d/R.example:5000/b.crt", "");
  machine.put("etc/containers/certs.d/R.example:5000/a.crt", "");
  machine.put("etc/containers/certs.d/R.example:5000/client.cert", "");
  machine.put("etc/containers/certs.d/R.example:5000/client.key", "");
  machine.put("etc/containers/certs.d/R.example:5000/second.cert", "");
  machine.put("etc/containers/certs.d/R.example:5000/second.key", "");
  machine.put("etc/containers/certs.d/R.example:5000/README", "");
  machine.put("home/.config/containers/certs.d/u.example/ca.crt", "");
  machine.put("etc/containers/certs.d/127.0.0.1:5443/ca.crt", "");
  machine.put("etc/containers/certs.d/docker.io/ca.crt", "");
  const auto certificates = machine.root / "etc/containers/certs.d";
  const auto endpoint = machine.endpoint("r.example:5000/a");
  CHECK(endpoint.ca_files ==
        std::vector<std::string>{(certificates / "R.example:5000/a.crt").string(),
                                 (certificates / "R.example:5000/b.crt").string()});
  CHECK(endpoint.client_certificate == (certificates / "R.example:5000/client.cert").string());
  CHECK(endpoint.client_key == (certificates / "R.example:5000/client.key").string());
  CHECK(machine.endpoint("r.example/a").ca_files.empty());
  CHECK(machine.endpoint("d.example/a").ca_files.size() == 1);
  CHECK(machine.endpoint("u.example/a").ca_files.size() == 1);
  CHECK(machine.endpoint("docker.io/a").ca_files.size() == 1);
  CHECK(machine.endpoint("127.0.0.1:5443/a").scheme == "https"); // it has a certificate to trust
}

TEST_CASE("half a client certificate is refused for its registry alone", "[registry][settings]") {
  const Machine machine;
  const std::string name = GENERATE("client.cert", "client.key");
  machine.put("etc/containers/certs.d/r.example/" + name, "");
  CHECK_THROWS_WITH(machine.endpoint("r.example/a"), ContainsSubstring("is missing beside it"));
  CHECK_NOTHROW(machine.endpoint("s.example/a"));
}

TEST_CASE("mistakes in aipack's file are named with their line", "[registry][settings]") {
  const auto [text, cause] = GENERATE(table<std::string, std::string>({
      {"[[registry]]\nprefx = 'r.example'\n", "line 2: unknown key 'prefx'; did you mean 'prefix'"},
      {"registries = []\n", "line 1: unknown key"},
      {"[[registry]]\nprefix = 'r.example'\n[[registry.mirror]]\nlocation = 'm.example'\nblocked = "
       "true\n",
       "line 5: unknown key 'blocked'"},
      {"[[registry]]\ninsecure = true\n", "line 1: a registry needs a 'prefix' or a 'location'"},
      {"[[registry]]\nprefix = 'https://r.example'\n", "line 2: 'prefix' must be"},
      {"[[registry]]\nlocation = 'r.example/UP'\n", "line 2: 'location' must be"},
      {"[[registry]]\nprefix = 'r.example'\nlocation = 'http://r.example'\n",
       "line 3: 'location' must be"},
      {"[[registry]]\nprefix = 'plain'\n", "line 2: 'prefix' must be"},
      {"[[registry]]\nprefix = '*.r.example/team'\n", "line 2: 'prefix' must be"},
      {"[[registry]]\nprefix = 'r.*.example'\n", "line 2: 'prefix' must be"},
      {"[[registry]]\nprefix = 'r.example/a:1'\nlocation = 's.example/a:2'\n",
       "another tag or digest"},
      {"[[registry]]\nprefix = 'r.example'\n[[registry]]\nprefix = 'R.example/'\n",
       "line 3: a second table for 'r.example'"},
      {"[[registry]]\nprefix = 'r.example'\ninsecure = 'true'\n",
       "line 3: 'insecure' must be true or false"},
      {"[[registry]]\nprefix = 7\n", "line 2: 'prefix' must be text"},
      {"[[registry]]\nprefix = 'r.example'\nconcurrency = 0\n",
       "'concurrency' must be a whole number from 1 to 64"},
      {"[[registry]]\nprefix = 'r.example'\nconcurrency = 65\n", "'concurrency' must be"},
      {"[[registry]]\nprefix = 'r.example'\nconcurrency = 1.5\n", "'concurrency' must be"},
      {"[[registry]]\nprefix = 'r.example'\nchunk-size = -1\n", "'chunk-size' must be"},
      {"[[registry]]\nprefix = 'r.example'\nchunk-size = 9223372036854775807\n",
       "'chunk-size' must be"},
      {"[[registry]]\nprefix = 'r.example'\nupload = 'fast'\n",
       "'upload' must be one of 'auto', 'single', 'stream', 'chunked'"},
      {"[[registry]]\nprefix = 'r.example'\nclient-cert = 'c.pem'\n", "belong together"},
      {"[[registry]]\nprefix = 'r.example'\nproxy = 'user:hunter2@p.example'\n",
       "'proxy' must be the URL of a proxy"},
      {"[[registry]]\nprefix = 'r.example'\nmirror = 'm.example'\n", "'mirror' must be [[tables]]"},
      {"[[registry]]\nprefix = 'r.example'\nmirror = ['m.example']\n",
       "'mirror' must be [[tables]]"},
      {"[[registry]]\nprefix = 'r.example'\n[[registry.mirror]]\ninsecure = true\n",
       "a mirror needs a 'location'"},
      {"[[registry]]\nprefix = 'r.example'\n[[registry.mirror]]\nlocation = 'm.example/a:1'\n",
       "has a tag or digest"},
      {"[[registry]]\nprefix = 'r.example'\n[[registry.mirror]]\nlocation = 'm.example'\n"
       "pull-from-mirror = 'never'\n",
       "'pull-from-mirror' must be one of 'all', 'digest-only', 'tag-only'"},
      {"[[registry]]\nprefix = 'r.example'\nmirror-by-digest-only = true\n[[registry.mirror]]\n"
       "location = 'm.example'\npull-from-mirror = 'tag-only'\n",
       "stands beside 'mirror-by-digest-only'"},
      {"registry = 1\n", "'registry' must be [[tables]]"},
      {"[registry]\nprefix = 'r.example'\n", "'registry' must be [[tables]]"},
      {"\n\n[[registry]\n", "line 3: it is not valid TOML"},
      {"proxy = hunter2\n", "line 1: it is not valid TOML"},
      {"a = 1\na = 2\n", "line 2: it is not valid TOML"},
      {"a = \"\xff\"\n", "it is not valid TOML"},
  }));
  INFO(text);
  const auto message = error_of(text);
  CHECK_THAT(message, ContainsSubstring(cause));
  CHECK_THAT(message, ContainsSubstring("cannot read 'registries.toml'"));
  CHECK(message.find("hunter2") == std::string::npos);
}

TEST_CASE("containers' files may hold what aipack does not know", "[registry][settings]") {
  const std::string text = GENERATE(
      "unqualified-search-registries = ['docker.io']\nshort-name-mode = 'enforcing'\nnew = {}\n"
      "[aliases]\n'alpine' = 'docker.io/library/alpine'\n",
      "[[registry]]\nprefix = 'r.example'\nnew = 1\n[[registry.mirror]]\nlocation = "
      "'m.example'\nnew = 2\n",
      "[[registry]]\nprefix = 'plain'\nlocation = 'r.example'\n",
      "[[registry]]\nlocation = 'r.example'\n[[registry]]\nlocation = 'r.example'\n",
      "[registries.search]\nregistries = ['docker.io']\n", "");
  INFO(text);
  CHECK(error_of(text, SettingsFormat::containers) == "no error");
}

TEST_CASE("lists of version 1 that close or open something are not passed over",
          "[registry][settings]") {
  const std::string list = GENERATE("block", "insecure");
  CHECK_THAT(error_of("[registries." + list + "]\nregistries = ['r.example']\n",
                      SettingsFormat::containers),
             ContainsSubstring("version 1"));
  CHECK(error_of("[registries." + list + "]\nregistries = []\n", SettingsFormat::containers) ==
        "no error");
}

TEST_CASE("TOML that would exhaust the stack or the memory is refused", "[registry][settings]") {
  const auto format = GENERATE(SettingsFormat::containers, SettingsFormat::aipack);
  std::string dotted = "a";
  for (int i = 0; i < 200'000; ++i) {
    dotted += ".a";
  }
  CHECK_THAT(error_of(dotted + " = 1\n", format), ContainsSubstring("line 1: more than 128 dots"));
  CHECK_THAT(error_of("\n[" + dotted + "]\n", format), ContainsSubstring("line 2: more than"));
  CHECK_THAT(error_of("x = [{" + dotted + " = 1}]\n", format), ContainsSubstring("more than"));
  CHECK_THAT(error_of("x = " + std::string(200'000, '[') + "\n", format),
             ContainsSubstring("not valid TOML"));
  std::string tables = "x = ";
  for (int i = 0; i < 10'000; ++i) {
    tables += "{a = ";
  }
  CHECK_THAT(error_of(tables, format), ContainsSubstring("not valid TOML"));
  std::string lines = "x = [\n";
  for (int i = 0; i < 5'000; ++i) {
    lines += "{a.a.a.a.a.a.a.a = [\n";
  }
  CHECK_THAT(error_of(lines, format), ContainsSubstring("not valid TOML"));
  CHECK_THAT(error_of("# " + std::string(max_settings_bytes, 'x'), format),
             ContainsSubstring("larger than"));
}

TEST_CASE("too many tables are refused", "[registry][settings]") {
  std::string registries;
  for (std::size_t i = 0; i <= max_registries; ++i) {
    registries += "[[registry]]\nlocation='r" + std::to_string(i) + ".example'\n";
  }
  CHECK_THAT(error_of(registries), ContainsSubstring("more than 10000 tables 'registry'"));
  std::string mirrors = "[[registry]]\nlocation='r.example'\n";
  for (std::size_t i = 0; i <= max_mirrors; ++i) {
    mirrors += "[[registry.mirror]]\nlocation='m.example'\n";
  }
  CHECK_THAT(error_of(mirrors), ContainsSubstring("more than 64 tables 'mirror'"));
}
