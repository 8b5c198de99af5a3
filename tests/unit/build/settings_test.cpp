#include "aipack/build/settings.hpp"
#include "aipack/core/error.hpp"

#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::build;

namespace {

Settings parse(std::string_view yaml) {
  return parse_settings(yaml, "aipack.yaml", "/models/bert");
}

std::string error_of(std::string_view yaml) {
  try {
    static_cast<void>(parse(yaml));
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_input);
    return error.message();
  }
  return {};
}

} // namespace

TEST_CASE("settings are read from YAML", "[build][settings]") {
  const auto settings = parse("platform: [linux/amd64, linux/arm64]\n"
                              "compress: gzip:6\n"
                              "packages: [tzdata]\n"
                              "files:\n  - data:/srv/data\n  - /etc/motd:/etc/motd\n"
                              "env:\n  OMP_NUM_THREADS: 2\n"
                              "labels: {team: vision}\n"
                              "ignore_valid_until: true\n");
  CHECK(settings.platform == "linux/amd64,linux/arm64");
  CHECK(settings.compress == "gzip:6");
  CHECK(settings.packages == std::vector<std::string>{"tzdata"});
  CHECK(settings.files ==
        std::vector<std::string>{"/models/bert/data:/srv/data", "/etc/motd:/etc/motd"});
  CHECK(settings.env == std::vector<std::string>{"OMP_NUM_THREADS=2"});
  CHECK(settings.labels.at("team") == "vision");
  CHECK(settings.ignore_valid_until == true);
}

TEST_CASE("an empty settings file says nothing", "[build][settings]") {
  CHECK_FALSE(parse("").platform);
  CHECK_FALSE(parse("# nothing yet\n").packages);
}

TEST_CASE("an unknown key is refused with its place and a suggestion", "[build][settings]") {
  const auto message = error_of("suite: trixie\nplatfrom: all\n");
  CHECK_THAT(message, ContainsSubstring("line 2"));
  CHECK_THAT(message, ContainsSubstring("did you mean 'platform'"));
}

TEST_CASE("settings of the wrong shape are refused", "[build][settings]") {
  CHECK_THAT(error_of("- a\n- b\n"), ContainsSubstring("must be a mapping"));
  CHECK_THAT(error_of("labels: [a]\n"), ContainsSubstring("'labels'"));
  CHECK_THAT(error_of("suite: {a: b}\n"), ContainsSubstring("'suite'"));
  CHECK_THAT(error_of("suite: a\nsuite: b\n"), ContainsSubstring("twice"));
  CHECK_THAT(error_of("ignore_valid_until: maybe\n"), ContainsSubstring("true or false"));
  CHECK_THAT(error_of("suite: [unclosed\n"), ContainsSubstring("line"));
  CHECK_THAT(error_of("env: &a {x: y}\n"), ContainsSubstring("anchors"));
}

TEST_CASE("stronger settings win and maps are joined", "[build][settings]") {
  Settings flags;
  flags.compress = "none";
  flags.labels = {{"a", "flag"}};
  Settings file;
  file.compress = "gzip";
  file.suite = "trixie";
  file.mirror = "http://mirror.example/debian";
  file.mirror_origin = "aipack.yaml";
  file.labels = {{"a", "file"}, {"b", "file"}};
  const auto merged = merge(flags, file);
  CHECK(merged.compress == "none");
  CHECK(merged.suite == "trixie");
  CHECK(merged.mirror_origin == "aipack.yaml");
  CHECK(merged.labels == std::map<std::string, std::string>{{"a", "flag"}, {"b", "file"}});
}

TEST_CASE("the environment sets what its documented variables name", "[build][settings]") {
  const auto settings = environment_settings([](const char* name) -> const char* {
    return std::string_view(name) == "AIPACK_MIRROR"       ? "http://m.example/debian"
           : std::string_view(name) == "SOURCE_DATE_EPOCH" ? "12"
                                                           : nullptr;
  });
  CHECK(settings.mirror == "http://m.example/debian");
  CHECK(settings.mirror_origin == "AIPACK_MIRROR");
  CHECK(settings.source_date_epoch == "12");
  CHECK_FALSE(settings.suite);
}

TEST_CASE("a request is checked when it is made", "[build][settings]") {
  Settings settings;
  CHECK_THROWS_AS(make_request({}, settings), Error);
  settings.user = "1000";
  CHECK(make_request({"m.onnx"}, settings).user == "1000:1000");
  settings.user = "nobody";
  CHECK_THROWS_AS(make_request({"m.onnx"}, settings), Error);
  settings.user.reset();
  settings.env = std::vector<std::string>{"=x"};
  CHECK_THROWS_AS(make_request({"m.onnx"}, settings), Error);
  settings.env.reset();
  settings.files = std::vector<std::string>{"no-target"};
  CHECK_THROWS_AS(make_request({"m.onnx"}, settings), Error);
  CHECK(make_request({"m.onnx"}, Settings{}).platforms == std::vector{oci::Platform::host()});
}

TEST_CASE("SOURCE_DATE_EPOCH is a whole number of seconds", "[build][settings]") {
  CHECK(parse_source_date_epoch("0") == 0);
  CHECK(parse_source_date_epoch("1700000000") == 1700000000);
  for (const auto* text : {"", "-1", "1.5", "now", "99999999999999999999", "253402300800"}) {
    CHECK_THROWS_AS(parse_source_date_epoch(text), Error);
  }
}
