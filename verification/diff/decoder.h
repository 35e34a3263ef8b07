// The one reader of bytes as events: the random generator, the fuzzer and the kept inputs all pass
// through it. Every byte string is a valid stream, and even random bytes make sessions in which
// tickets fit, budgets run out and legs meet: it remembers what it said of each session.
//
//   Decoder decoder(bytes);
//   for (Event event; decoder.Next(event);) machine.Apply(event);
//
// Numbers go up to their last, 2^64-1, often; nonsense (levels, risks, modes and kinds that are
// none) comes up now and then.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "verification/diff/event.h"

namespace krux::diff {

inline constexpr uint64_t kMostNumber = UINT64_MAX;

class Decoder {
 public:
  explicit Decoder(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  // False when the bytes are used up.
  bool Next(Event& event);

  // The byte that Next reads as the tag of this kind.
  static uint8_t TagOf(Kind kind);

 private:
  // What was said of a session so far. A guess: the decoder decides nothing.
  struct Memory {
    uint64_t session_id[2] = {};
    uint64_t policy_id[4] = {};
    uint64_t left[KRUX_BUDGETS] = {};
    uint64_t last_nonce = 0;
    bool granted = false;  // since the last call
    krux_policy policy = {};
    krux_call call = {};
  };

  uint8_t Byte();
  uint64_t Raw();
  uint64_t Amount(uint64_t left);
  uint64_t Time();
  uint64_t Clock(const Memory& memory);
  uint8_t Session();
  template <size_t N>
  void Words(uint64_t (&words)[N]);
  template <size_t N>
  void Disturb(uint64_t (&words)[N]);

  uint32_t Levels();
  krux_policy Policy();
  krux_policy Neighbour(krux_policy policy);
  void Limits(uint64_t (&limits)[KRUX_BUDGETS]);
  void Cost(const Memory& memory, uint64_t (&cost)[KRUX_BUDGETS]);
  krux_call Call(const Memory& memory);
  void Confinement(krux_call& call);
  krux_ticket Ticket(const Memory& memory);
  krux_state State(Memory& memory);
  uint64_t Revoked(const Memory& memory);
  void Delegate(Event& event, const Memory& parent);
  void Fill(Event& event, Memory& memory);

  std::span<const uint8_t> bytes_;
  uint64_t now_ = 1000;
  uint64_t expiry_ = 0;  // of the last ticket
  std::array<Memory, kSessions> memory_{};
};

}  // namespace krux::diff
