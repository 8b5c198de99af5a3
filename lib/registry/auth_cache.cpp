#include "auth_cache.hpp"

#include "shared_failure.hpp"

namespace aipack::registry {
namespace {

TokenPtr make_token(TokenAnswer answer, Token::Clock::time_point asked_at) {
  auto token = std::make_shared<Token>();
  token->text = std::move(answer.token);
  // By our own clock, from before the request: the server's `issued_at` is of another clock.
  token->renew_at = asked_at + std::chrono::duration_cast<Token::Clock::duration>(
                                   std::chrono::milliseconds(answer.lifetime) * 4 / 5);
  return token;
}

} // namespace

TokenPtr TokenCache::get(const std::string& key, const Fetch& fetch, const Operation& op) {
  std::unique_lock lock(mutex_);
  for (;;) {
    Entry& entry = entries_[key];
    if (entry.token && Token::Clock::now() < entry.token->renew_at) {
      return entry.token;
    }
    if (!entry.flight) {
      entry.flight = std::make_shared<Flight>();
      break;
    }
    const auto flight = entry.flight;
    landed_.wait(lock, op.stop, [&] { return flight->done; });
    op.check();
    if (flight->token) {
      return flight->token;
    }
    if (!is_cancellation(flight->failure)) { // whoever was asking gave up: somebody else asks
      rethrow_copy(flight->failure);
    }
  }

  const auto flight = entries_[key].flight;
  lock.unlock();
  const auto asked_at = Token::Clock::now();
  try {
    flight->token = make_token(fetch(), asked_at);
  } catch (...) {
    flight->failure = std::current_exception();
  }
  lock.lock();
  flight->done = true;
  Entry& entry = entries_[key];
  entry.flight.reset();
  entry.token = flight->token;
  lock.unlock();
  landed_.notify_all();
  if (flight->failure) {
    rethrow_copy(flight->failure);
  }
  return flight->token;
}

void TokenCache::drop(const std::string& key, const TokenPtr& token) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found != entries_.end() && found->second.token == token) {
    found->second.token.reset();
  }
}

} // namespace aipack::registry
