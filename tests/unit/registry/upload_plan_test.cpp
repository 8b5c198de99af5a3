#include "support/catch.hpp"
#include "upload_plan.hpp"

#include <tuple>

using namespace aipack;
using namespace aipack::registry;

TEST_CASE("choose_way takes the most portable way that is not known to fail",
          "[registry][upload]") {
  const std::uint64_t large = std::uint64_t{10} << 30;
  struct Row {
    const char* what;
    WayQuestion question;
    std::optional<Way> expected;
  };
  const UploadFacts no_single{.single = Ability::fails};
  const UploadFacts no_stream{.stream = Ability::fails};
  const UploadFacts no_chunks{.chunks = Ability::fails};
  const UploadFacts whole_fails{.single = Ability::fails, .stream = Ability::fails};
  const UploadFacts all_fail{
      .single = Ability::fails, .stream = Ability::fails, .chunks = Ability::fails};
  const std::vector<Row> rows{
      {"known digest", {.size_bytes = large}, Way::single},
      {"unknown digest", {.size_bytes = large, .digest_known = false}, Way::stream},
      {"chunks announced", {.size_bytes = large, .chunks_announced = true}, Way::chunks},
      {"chunks announced for less than one",
       {.size_bytes = 5, .chunks_announced = true},
       Way::single},
      {"chunks announced but seen to fail",
       {.facts = no_chunks, .size_bytes = large, .chunks_announced = true},
       Way::single},
      {"PUT with a body refused", {.facts = no_single, .size_bytes = large}, Way::stream},
      {"whole bodies refused", {.facts = whole_fails, .size_bytes = large}, Way::chunks},
      {"unknown digest where PATCH is refused",
       {.facts = {.stream = Ability::fails, .chunks = Ability::fails},
        .size_bytes = large,
        .digest_known = false},
       Way::single},
      {"unknown digest where one PATCH is refused",
       {.facts = no_stream, .size_bytes = large, .digest_known = false},
       Way::chunks},
      {"nothing left", {.facts = all_fail, .size_bytes = large}, std::nullopt},
      {"settings: chunked", {.mode = UploadMode::chunked, .size_bytes = 5}, Way::chunks},
      {"settings: stream", {.mode = UploadMode::stream, .size_bytes = 5}, Way::stream},
      {"settings: single",
       {.mode = UploadMode::single, .size_bytes = large, .chunks_announced = true},
       Way::single},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    CHECK(choose_way(row.question) == row.expected);
  }
}

TEST_CASE("Way prints and parses back", "[registry][upload]") {
  for (const Way way : {Way::single, Way::stream, Way::chunks}) {
    CHECK(parse_way(to_string(way)) == way);
  }
  CHECK_FALSE(parse_way("chunk").has_value());
}

TEST_CASE("chunks are as settings, experience or the default say, not below the minimum",
          "[registry][upload]") {
  CHECK(first_chunk_bytes(0, 0, 0) == default_chunk_bytes);
  CHECK(first_chunk_bytes(0, 1000, 0) == 1000);
  CHECK(first_chunk_bytes(500, 1000, 0) == 500);
  CHECK(first_chunk_bytes(500, 1000, 600) == 600);
  CHECK(first_chunk_bytes(UINT64_MAX, 0, 0) == max_chunk_bytes);
}

TEST_CASE("a refused chunk is halved until smaller ones make no sense", "[registry][upload]") {
  const std::uint64_t mib = 1 << 20;
  CHECK(smaller_chunk(32 * mib, 0, 413) == 16 * mib);
  CHECK(smaller_chunk(32 * mib, 0, 416) == 4 * mib); // a limit that is known of one registry
  CHECK(smaller_chunk(4 * mib, 0, 416) == 2 * mib);
  CHECK(smaller_chunk(mib, 0, 413) == mib / 2);
  CHECK_FALSE(smaller_chunk(mib / 2, 0, 413).has_value());
  CHECK_FALSE(smaller_chunk(8 * mib, 5 * mib, 413).has_value()); // below the registry's minimum
  CHECK_FALSE(smaller_chunk(32 * mib, 5 * mib, 416).has_value());
}

TEST_CASE("parse_stored reads Range of an upload answer", "[registry][upload]") {
  const auto [text, expected] = GENERATE(
      table<std::string, std::optional<std::uint64_t>>({{"0-0", 1},
                                                        {"0-99", 100},
                                                        {" 0-99 ", 100},
                                                        {"bytes=0-99", 100},
                                                        {"bytes 0-99", 100},
                                                        {"50-99", 100},
                                                        {"0-18446744073709551614", UINT64_MAX},
                                                        {"0-18446744073709551615", std::nullopt},
                                                        {"0-18446744073709551616", std::nullopt},
                                                        {"0--1", std::nullopt},
                                                        {"-5", std::nullopt},
                                                        {"0-", std::nullopt},
                                                        {"99", std::nullopt},
                                                        {"a-b", std::nullopt},
                                                        {"", std::nullopt}}));
  INFO(text);
  CHECK(parse_stored(text) == expected);
}

TEST_CASE("after a piece the own counter holds, and what contradicts it is doubt",
          "[registry][upload]") {
  CHECK(after_piece(200, 200) == Position{200, false});
  CHECK(after_piece(std::nullopt, 200) == Position{200, false});
  CHECK(after_piece(100, 200) ==
        Position{200, true}); // the first range for ever, or the chunk only
  CHECK(after_piece(1, 200) == Position{200, true});
  CHECK(after_piece(300, 200) == Position{200, true});
}

TEST_CASE("after a status the registry is believed within what can be", "[registry][upload]") {
  struct Row {
    std::optional<std::uint64_t> reported;
    std::uint64_t confirmed;
    std::uint64_t piece_end;
    bool ranges_lie;
    std::optional<Position> expected;
  };
  const std::vector<Row> rows{
      {150, 100, 200, false, Position{150, false}}, // a part of the broken piece
      {100, 100, 200, false, Position{100, false}}, // nothing of it
      {200, 100, 200, false, Position{200, false}}, // all of it: only the answer was lost
      {50, 100, 200, false, Position{50, false}},   // it has lost some
      {50, 100, 200, true, Position{100, true}},    // or never tells
      {201, 100, 200, false, std::nullopt},         // more than was sent
      {201, 100, 200, true, Position{100, true}},
      {1, 0, 200, false, Position{0, false}}, // "0-0" for nothing
      {1, 0, 0, false, Position{0, false}},
      {std::nullopt, 100, 100, false, Position{100, false}}, // nothing was under way
      {std::nullopt, 100, 200, false, std::nullopt},
  };
  for (const Row& row : rows) {
    INFO(row.reported.value_or(999999) << " of " << row.confirmed << ".." << row.piece_end);
    CHECK(after_status(row.reported, row.confirmed, row.piece_end, row.ranges_lie) == row.expected);
  }
}

TEST_CASE("every refusal of an upload has its remedy", "[registry][upload]") {
  struct Row {
    const char* what;
    Refusal refusal;
    Remedy expected;
  };
  const std::vector<Row> rows{
      {"broken PATCH", {.way = Way::stream, .status = 0}, Remedy::ask},
      {"broken PUT", {.closing = true, .status = 0}, Remedy::look},
      {"too busy", {.way = Way::chunks, .status = 429}, Remedy::ask},
      {"gateway timeout of a close", {.closing = true, .status = 504}, Remedy::look},
      {"proxy that lost the origin", {.way = Way::stream, .status = 522}, Remedy::ask},
      {"token ended", {.way = Way::chunks, .status = 401}, Remedy::ask},
      {"no right", {.way = Way::stream, .status = 403}, Remedy::give_up},
      {"session gone", {.way = Way::chunks, .fresh = false, .status = 404}, Remedy::restart},
      {"session gone, other code",
       {.way = Way::chunks, .fresh = false, .status = 400, .session_fault = true},
       Remedy::restart},
      {"PATCH unknown", {.way = Way::stream, .status = 404}, Remedy::other_way},
      {"PUT with a body unknown", {.closing = true, .status = 404}, Remedy::other_way},
      {"close after a lost answer", {.closing = true, .fresh = false, .status = 404}, Remedy::look},
      {"close of a session that is gone",
       {.closing = true, .fresh = false, .status = 400, .session_fault = true},
       Remedy::look},
      {"PATCH not allowed", {.way = Way::stream, .status = 405}, Remedy::other_way},
      {"not implemented", {.way = Way::chunks, .status = 501}, Remedy::other_way},
      {"too large", {.closing = true, .status = 413}, Remedy::smaller},
      {"chunk too large", {.way = Way::chunks, .status = 413}, Remedy::smaller},
      {"range of a chunk", {.way = Way::chunks, .status = 416}, Remedy::ask},
      {"range of a whole", {.way = Way::stream, .status = 416}, Remedy::smaller},
      {"digest", {.closing = true, .status = 400, .digest_fault = true}, Remedy::wrong_bytes},
      {"too large, said as a wrong size",
       {.closing = true, .status = 413, .digest_fault = true},
       Remedy::smaller},
      {"chunks not understood", {.way = Way::chunks, .status = 400}, Remedy::other_way},
      {"not understood", {.closing = true, .status = 400}, Remedy::give_up},
      {"quota", {.closing = true, .status = 507}, Remedy::look},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    CHECK(remedy_for(row.refusal) == row.expected);
  }
}
