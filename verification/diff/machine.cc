#include "verification/diff/machine.h"

#include <dlfcn.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

namespace krux::diff {
namespace {

constexpr uint64_t kStart = 0xcbf29ce484222325, kFactor = 0x100000001b3;

// FORMAT.md "Hashes". The arithmetic is meant to wrap.
class Hash {
 public:
  void Mix(uint64_t word) {
    hash_ = (hash_ ^ word) * kFactor;
    hash_ ^= hash_ >> 32;
  }
  template <size_t N>
  void Mix(const uint64_t (&words)[N]) {
    for (const uint64_t word : words) Mix(word);
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = kStart;
};

uint64_t HashOf(const krux_ticket& ticket) {
  Hash hash;
  hash.Mix(ticket.kind);
  hash.Mix(ticket.nonce);
  hash.Mix(ticket.expires_ms);
  hash.Mix(ticket.session);
  hash.Mix(ticket.policy);
  hash.Mix(ticket.digest);
  return hash.value();
}

uint64_t Fnv1a(const uint8_t* bytes, size_t size) {
  uint64_t hash = kStart;
  for (size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * kFactor;
  return hash;
}

// What is handed to a kernel ends where memory ends: one word too many is the end of the process.
class Fence {
 public:
  explicit Fence(size_t bytes) {
    const size_t page = 4096, whole = (bytes + page - 1) / page * page;
    void* at =
        mmap(nullptr, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || mprotect(static_cast<char*>(at) + whole, page, PROT_NONE) != 0)
      std::abort();
    end_ = static_cast<char*>(at) + whole;
  }
  template <typename T>
  T* Put(const T& value) const {
    return static_cast<T*>(std::memcpy(end_ - sizeof value, &value, sizeof value));
  }

 private:
  char* end_;
};

template <size_t N>
const uint64_t* Fenced(const uint64_t (&words)[N], int which) {
  static const Fence fences[] = {Fence(sizeof words), Fence(sizeof words)};
  struct All {
    uint64_t words[N];
  } all;
  std::memcpy(all.words, words, sizeof words);
  return fences[which].Put(all)->words;
}

}  // namespace

uint64_t HashOf(const krux_policy& policy) {
  Hash hash;
  hash.Mix(policy.levels);
  hash.Mix(policy.required_layers);
  hash.Mix(policy.obligations);
  hash.Mix(policy.trifecta);
  hash.Mix(policy.trusted_action);
  hash.Mix(policy.depth);
  hash.Mix(policy.not_before_ms);
  hash.Mix(policy.not_after_ms);
  return hash.value();
}

uint64_t HashOf(const krux_state& state) {
  Hash hash;
  hash.Mix(HashOf(state.policy));
  hash.Mix(state.exposure);
  hash.Mix(state.remaining);
  hash.Mix(state.calls);
  hash.Mix(state.session);
  hash.Mix(state.policy_id);
  hash.Mix(state.last_nonce);
  for (const krux_ticket& ticket : state.tickets) hash.Mix(HashOf(ticket));
  return hash.value();
}

std::array<uint8_t, kResultBytes> Result::Wire() const {
  std::array<uint8_t, kResultBytes> wire{};
  wire[0] = returned;
  wire[1] = verdict;
  std::memcpy(&wire[2], parts, sizeof parts);
  wire[9] = reasons;
  wire[10] = contribution;
  wire[11] = ticket;
  wire[12] = exposure;
  std::memcpy(&wire[16], &state, 8);
  std::memcpy(&wire[24], &extra, 8);
  return wire;
}

Result Result::FromWire(const uint8_t* bytes) {
  Result result;
  result.returned = bytes[0];
  result.verdict = bytes[1];
  std::memcpy(result.parts, bytes + 2, sizeof result.parts);
  result.reasons = bytes[9];
  result.contribution = bytes[10];
  result.ticket = bytes[11];
  result.exposure = bytes[12];
  std::memcpy(&result.state, bytes + 16, 8);
  std::memcpy(&result.extra, bytes + 24, 8);
  return result;
}

Kernel Shipped() {
  return {krux_decide,        krux_step_call,    krux_step_attenuate,   krux_step_lockdown,
          krux_step_charge,   krux_step_taint,   krux_step_grant,       krux_step_revoke,
          krux_step_delegate, krux_state_begin,  krux_policy_meet,      krux_policy_within,
          krux_policy_top,    krux_policy_level, krux_policy_set_level, krux_encode_state};
}

Kernel Loaded(const std::string& path, std::string& error) {
  Kernel kernel{};
  // Its own functions and tables, not those of this program under the same names.
  void* object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (object == nullptr) {
    error = dlerror();
    return kernel;
  }
  const auto find = [&](auto& function, const char* name) {
    void* symbol = dlsym(object, name);
    if (symbol == nullptr) error = std::string("no `") + name + "` in " + path;
    std::memcpy(&function, &symbol, sizeof symbol);
  };
  find(kernel.decide, "krux_decide");
  find(kernel.call, "krux_step_call");
  find(kernel.attenuate, "krux_step_attenuate");
  find(kernel.lockdown, "krux_step_lockdown");
  find(kernel.charge, "krux_step_charge");
  find(kernel.taint, "krux_step_taint");
  find(kernel.grant, "krux_step_grant");
  find(kernel.revoke, "krux_step_revoke");
  find(kernel.delegate, "krux_step_delegate");
  find(kernel.begin, "krux_state_begin");
  find(kernel.meet, "krux_policy_meet");
  find(kernel.within, "krux_policy_within");
  find(kernel.top, "krux_policy_top");
  find(kernel.level, "krux_policy_level");
  find(kernel.set_level, "krux_policy_set_level");
  find(kernel.encode, "krux_encode_state");
  return kernel;
}

Machine::Machine(const Kernel& kernel) : kernel_(kernel) {}

Result Machine::Decision(const Event& event, krux_state& state) {
  krux_decision decision;
  // What the kernel does not set must show: once all ones, once all zeros.
  std::memset(&decision, scratch_, sizeof decision);
  scratch_ = static_cast<uint8_t>(~scratch_);
  if (event.kind == Kind::kCall) {
    kernel_.call(&state, &event.call, event.now_ms, &decision);
  } else {
    kernel_.decide(&state, &event.call, event.now_ms, &decision);
  }
  Result result;
  result.verdict = decision.verdict;
  std::memcpy(result.parts, decision.parts, sizeof result.parts);
  result.reasons = decision.reasons;
  result.contribution = decision.contribution;
  result.ticket = decision.ticket;
  return result;
}

Result Machine::Apply(const Event& event) {
  static const Fence for_state(sizeof(krux_state));
  krux_state& state = *for_state.Put(sessions_[event.session]);
  const uint64_t* amounts = Fenced(event.amounts, 0);
  const uint64_t* session_id = Fenced(event.session_id, 0);
  const uint64_t* policy_id = Fenced(event.policy_id, 1);
  Result result;
  switch (event.kind) {
    case Kind::kBegin:
      kernel_.begin(&state, &event.policy, amounts, session_id, policy_id);
      break;
    case Kind::kLoad:
      state = event.state;
      break;
    case Kind::kCall:
    case Kind::kDecide:
      result = Decision(event, state);
      break;
    case Kind::kAttenuate:
      kernel_.attenuate(&state, &event.policy, event.has_limits ? amounts : nullptr, policy_id);
      break;
    case Kind::kLockdown:
      kernel_.lockdown(&state);
      break;
    case Kind::kCharge:
      kernel_.charge(&state, amounts);
      break;
    case Kind::kTaint:
      kernel_.taint(&state, event.legs);
      break;
    case Kind::kGrant:
      result.returned = kernel_.grant(&state, &event.ticket, event.now_ms) ? 1 : 0;
      break;
    case Kind::kRevoke:
      result.returned = kernel_.revoke(&state, event.nonce) ? 1 : 0;
      break;
    case Kind::kDelegate:
      result.returned = kernel_.delegate(&state, &sessions_[event.child], &event.policy, amounts,
                                         session_id, policy_id)
                            ? 1
                            : 0;
      result.extra = HashOf(sessions_[event.child]);
      break;
    case Kind::kEncode: {
      uint8_t bytes[KRUX_STATE_BYTES + 16];
      std::memset(bytes, 0xee, sizeof bytes);
      kernel_.encode(&state, bytes);
      result.extra = Fnv1a(bytes, KRUX_STATE_BYTES);
      for (size_t i = KRUX_STATE_BYTES; i < sizeof bytes; ++i) result.extra ^= bytes[i] ^ 0xee;
      break;
    }
    case Kind::kWithin:
      result.returned = kernel_.within(&event.policy, &event.other) ? 1 : 0;
      break;
    case Kind::kMeet:
      result.extra = HashOf(kernel_.meet(&event.policy, &event.other));
      break;
  }
  sessions_[event.session] = state;
  result.exposure = state.exposure;
  result.state = HashOf(state);
  return result;
}

}  // namespace krux::diff
