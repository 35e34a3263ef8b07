#include "verification/diff/generate.h"

#include <algorithm>

#include "verification/diff/decoder.h"

namespace krux::diff {
namespace {

constexpr size_t kMostEvents = 200;
constexpr uint64_t kNow = 1000;

Event Begin(unsigned dimension, unsigned level, bool obliged) {
  Event event{.kind = Kind::kBegin};
  event.policy.levels = level << (2 * dimension);
  event.policy.obligations = static_cast<uint16_t>(obliged ? 1 << dimension : 0);
  event.policy.trifecta = event.policy.trusted_action = KRUX_ASK;
  event.policy.depth = 1;
  event.policy.not_after_ms = kMostNumber;
  std::fill(std::begin(event.amounts), std::end(event.amounts), 100);
  event.session_id[0] = 1;
  event.policy_id[0] = 2;
  return event;
}

Event Grant() {
  Event event{.kind = Kind::kGrant, .now_ms = kNow};
  event.ticket = {.kind = KRUX_TICKET_APPROVE,
                  .nonce = 1,
                  .expires_ms = kNow + 1,
                  .session = {1},
                  .policy = {2},
                  .digest = {3}};
  return event;
}

Event Call(Kind kind, unsigned dimension, unsigned risk, unsigned legs) {
  Event event{.kind = kind, .now_ms = kNow};
  event.call.dimension = static_cast<uint8_t>(dimension);
  event.call.risk = static_cast<uint8_t>(risk);
  event.call.sources = legs & (KRUX_PRIVATE | KRUX_UNTRUSTED);
  event.call.sink = (legs & KRUX_EXFIL) != 0;
  event.call.scopes = event.call.inside = 1;
  event.call.footprint.within_grants = true;
  event.call.cost[KRUX_BUDGET_CALLS] = 1;
  event.call.digest[0] = 3;
  return event;
}

}  // namespace

uint64_t Random::Next() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void EverySingleStep(const std::function<void(const std::vector<Event>&)>& take) {
  constexpr uint64_t kContributions = 8, kExposures = 8, kLevels = 3;
  for (uint64_t step = 0; step < kSingleSteps; ++step) {
    uint64_t rest = step;
    const auto digit = [&](uint64_t base) {
      const auto value = static_cast<unsigned>(rest % base);
      rest /= base;
      return value;
    };
    const bool ticket = digit(2) != 0;
    const unsigned legs = digit(kContributions);
    const unsigned exposure = digit(kExposures);
    const unsigned risk = digit(KRUX_RISKS);
    const bool obliged = digit(2) != 0;
    const unsigned level = digit(kLevels);
    const unsigned dimension = digit(KRUX_DIMENSIONS);
    std::vector<Event> events{Begin(dimension, level, obliged),
                              Event{.kind = Kind::kTaint, .legs = static_cast<uint8_t>(exposure)}};
    if (ticket) events.push_back(Grant());
    events.push_back(Call(Kind::kDecide, dimension, risk, legs));
    events.push_back(Call(Kind::kCall, dimension, risk, legs));
    take(events);
  }
}

std::vector<Event> RunOf(std::span<const uint8_t> bytes) {
  std::vector<Event> events;
  for (uint8_t session = 0; session < kSessions; ++session)
    events.push_back(Event{.kind = Kind::kBegin, .session = session});
  Decoder decoder(bytes);
  for (Event event; events.size() < kSessions + kMostEvents && decoder.Next(event);)
    events.push_back(event);
  return events;
}

std::vector<uint8_t> RandomBytes(uint64_t seed, uint64_t run) {
  Random random(seed * 0x100000001b3 + run);
  random.Next();
  std::vector<uint8_t> bytes(64 + random.Below(4000));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.Next() >> 32);
  bytes[0] = Decoder::TagOf(Kind::kBegin);
  bytes[1] = 0;
  return bytes;
}

std::vector<Event> RandomRun(uint64_t seed, uint64_t run) { return RunOf(RandomBytes(seed, run)); }

}  // namespace krux::diff
