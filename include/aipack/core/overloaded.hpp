#pragma once

namespace aipack {

/// Visits a variant exhaustively: `std::visit(overloaded{[](const A&) {…}, [](const B&) {…}},
/// value)`.
template <class... Fns>
struct overloaded : Fns... {
  using Fns::operator()...;
};
template <class... Fns>
overloaded(Fns...) -> overloaded<Fns...>;

} // namespace aipack
