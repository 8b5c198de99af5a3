#include "table.hpp"

#include <algorithm>

namespace aipack::cli {

namespace {

/// Characters on a terminal: UTF-8 sequences count once.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

} // namespace

Table::Table(std::vector<std::string> titles) : titles_(std::move(titles)) {
  for (auto& title : titles_) {
    right_.push_back(title.starts_with('>'));
    if (right_.back()) {
      title.erase(0, 1);
    }
  }
}

void Table::add(std::vector<std::string> cells) {
  rows_.push_back(std::move(cells));
}

std::string Table::to_string(std::size_t indent) const {
  std::vector<std::size_t> widths;
  for (std::size_t column = 0; column < titles_.size(); ++column) {
    std::size_t widest = width(titles_[column]);
    for (const auto& row : rows_) {
      widest = std::max(widest, width(row[column]));
    }
    widths.push_back(widest);
  }
  std::string text;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string row(indent, ' ');
    for (std::size_t column = 0; column < cells.size(); ++column) {
      const std::string pad(widths[column] - width(cells[column]), ' ');
      row +=
          (column == 0 ? "" : "  ") + (right_[column] ? pad + cells[column] : cells[column] + pad);
    }
    text += row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
  };
  line(titles_);
  for (const auto& row : rows_) {
    line(row);
  }
  return text;
}

} // namespace aipack::cli
