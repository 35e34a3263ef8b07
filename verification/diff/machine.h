// The kernel as a machine that eats events: sixteen sessions and, for every event, the 32 bytes of
// FORMAT.md. Which kernel is an argument, so that a mutant can take the place of the shipped one.
//
//   Machine machine(Shipped());
//   Result result = machine.Apply(event);
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "verification/diff/event.h"

namespace krux::diff {

// The functions of kernel.h that events reach.
struct Kernel {
  decltype(&krux_decide) decide;
  decltype(&krux_step_call) call;
  decltype(&krux_step_attenuate) attenuate;
  decltype(&krux_step_lockdown) lockdown;
  decltype(&krux_step_charge) charge;
  decltype(&krux_step_taint) taint;
  decltype(&krux_step_grant) grant;
  decltype(&krux_step_revoke) revoke;
  decltype(&krux_step_delegate) delegate;
  decltype(&krux_state_begin) begin;
  decltype(&krux_policy_meet) meet;
  decltype(&krux_policy_within) within;
  decltype(&krux_policy_top) top;
  decltype(&krux_policy_level) level;
  decltype(&krux_policy_set_level) set_level;
  decltype(&krux_encode_state) encode;
};
Kernel Shipped();
// From a shared object; the object stays loaded. Null functions where it lacks one.
Kernel Loaded(const std::string& path, std::string& error);

inline constexpr size_t kResultBytes = 32;
struct Result {
  uint8_t returned = 1;
  uint8_t verdict = 0;
  uint8_t parts[KRUX_COMPONENTS] = {};
  uint8_t reasons = 0;
  uint8_t contribution = 0;
  uint8_t ticket = 0;
  uint8_t exposure = 0;
  uint64_t state = 0;
  uint64_t extra = 0;
  bool operator==(const Result&) const = default;

  std::array<uint8_t, kResultBytes> Wire() const;
  static Result FromWire(const uint8_t* bytes);
};

uint64_t HashOf(const krux_policy& policy);
uint64_t HashOf(const krux_state& state);

class Machine {
 public:
  explicit Machine(const Kernel& kernel);
  Result Apply(const Event& event);
  const krux_state& session(int index) const { return sessions_[index]; }

 private:
  Result Decision(const Event& event, krux_state& state);

  Kernel kernel_;
  uint8_t scratch_ = 0xff;
  std::array<krux_state, kSessions> sessions_{};
};

}  // namespace krux::diff
