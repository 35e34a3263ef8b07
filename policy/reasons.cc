// Why a decision is what it is, in words: one sentence and one rule for each part below allow.
#include <algorithm>

#include "policy/decide.h"

namespace krux::policy {
namespace {

// Long values (a path, a whole command) lose their middle: a message is read by people.
std::string Quote(std::string_view text) {
  constexpr size_t kMost = 400, kHead = 300, kTail = 80;
  if (text.size() <= kMost) return "`" + std::string(text) + "`";
  const auto continues = [&](size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
  };
  size_t head = kHead, tail = text.size() - kTail;
  while (head > 0 && continues(head)) --head;
  while (tail < text.size() && continues(tail)) ++tail;
  return "`" + std::string(text.substr(0, head)) + "…" + std::string(text.substr(tail)) + "`";
}

std::string Or(const std::string& rule, std::string otherwise) {
  return rule.empty() ? std::move(otherwise) : rule;
}

class Wording {
 public:
  Wording(const krux_decision& decision, const State& state, const Call& call,
          const Footprint& footprint, uint64_t now_ms)
      : decision_(decision),
        kernel_(state.kernel),
        rules_(state.rules ? *state.rules : kNoRules),
        call_(call),
        footprint_(footprint),
        now_ms_(now_ms) {}

  std::vector<Reason> All() {
    for (int part = 0; part < KRUX_COMPONENTS; ++part) {
      if (decision_.parts[part] != KRUX_ALLOW) Of(static_cast<Component>(part));
    }
    std::ranges::stable_sort(reasons_, {}, &Reason::verdict);
    return std::move(reasons_);
  }

 private:
  static const Rules kNoRules;

  void Add(Component part, std::string rule, std::string message) {
    const auto verdict = static_cast<Verdict>(decision_.parts[static_cast<int>(part)]);
    reasons_.push_back({part, verdict, std::move(rule), std::move(message)});
  }

  void Of(Component part) {
    switch (part) {
      case Component::kLevel:
        return OfLevel();
      case Component::kObligation:
        return OfObligation();
      case Component::kScope:
        return OfScope();
      case Component::kGate:
        return OfGate();
      case Component::kTrust:
        return OfTrust();
      case Component::kConfinement:
        return OfConfinement();
      case Component::kLimit:
        return OfLimit();
    }
  }

  bool HasDimension() const { return call_.dimension < Dimension::kNone; }
  size_t Index() const { return static_cast<size_t>(call_.dimension); }
  // What follows the reason: an ask can be approved, a deny cannot.
  std::string Next(Component part, const char* denied) const {
    const bool asks = decision_.parts[static_cast<int>(part)] == KRUX_ASK;
    return asks ? "; it waits for an approval" : denied;
  }

  void OfLevel() {
    const Component part = Component::kLevel;
    if (!HasDimension()) {
      return Add(part, "krux dimensions",
                 "the call has no known dimension or risk; this is a defect of krux");
    }
    const std::string name = Name(call_.dimension);
    std::string rule = Or(rules_.levels[Index()], "levels." + name + " not set = never");
    if (decision_.parts[KRUX_PART_LEVEL] == KRUX_DENY) {
      return Add(part, std::move(rule),
                 Quote(call_.capability) + " needs `" + name +
                     "`, which the policy never grants; use a profile that does");
    }
    const auto level = static_cast<Level>(
        krux_policy_level(&kernel_.policy, static_cast<unsigned>(call_.dimension)));
    Add(part, std::move(rule),
        "`" + name + "` is `" + Name(level) + "` and this call's risk is " + Name(call_.risk) +
            "; it waits for an approval");
  }

  void OfObligation() {
    std::string rule = call_.obliged_rule;
    if (rule.empty() && HasDimension()) rule = Or(rules_.obligations[Index()], "approve.always");
    Add(Component::kObligation, std::move(rule),
        "the policy asks before each " + Quote(call_.capability) +
            " like this; it waits for an approval");
  }

  std::string OfBit(const ScopeBit& bit) const {
    if (bit.scope == "paths.secret")
      return Quote(bit.value) +
             " is secret by the policy, which no call reads or writes; leave it out";
    if (bit.scope == "rule")
      return "a rule of the policy denies " + Quote(call_.capability) + " where " +
             Quote(bit.value) + "; change the call, or use a policy without that rule";
    return Quote(bit.value) + " is outside " + Quote(bit.scope) +
           "; stay inside it, or use a policy that covers it";
  }

  // A call that no scope governs was not bound to anything; only krux's own calls may be so.
  void OfScope() {
    if (call_.scopes.empty()) {
      return Add(
          Component::kScope, "krux scopes",
          Quote(call_.capability) + " was matched against no scope; this is a defect of krux");
    }
    const size_t before = reasons_.size();
    for (const ScopeBit& bit : call_.scopes) {
      if (bit.inside) continue;
      Add(Component::kScope, bit.rule, OfBit(bit));
    }
    if (reasons_.size() == before) {
      Add(Component::kScope, "krux scopes",
          Quote(call_.capability) +
              " is governed by more scopes than a decision can hold; this is "
              "a defect of krux");
    }
  }

  void OfGate() {
    Add(Component::kGate, Or(rules_.trifecta, "exposure.trifecta not set = ask"),
        Quote(call_.capability) +
            " is a way out, and the session would then hold private data and untrusted content" +
            Next(Component::kGate, "; use a session that has not seen both"));
  }

  void OfTrust() {
    Add(Component::kTrust, Or(rules_.trusted_action, "exposure.trusted_action not set = ask"),
        "the session has seen untrusted content, and the effect of " + Quote(call_.capability) +
            " leaves the workspace" +
            Next(Component::kTrust, "; use a session that has not seen any"));
  }

  void OfConfinement() {
    const Component part = Component::kConfinement;
    if (!footprint_.within_grants) {
      return Add(part, "sandbox.grants",
                 "the sandbox of this call would reach beyond the policy's paths; grant whole "
                 "trees (`…/**`) to programs");
    }
    if (footprint_.runs_program && call_.dimension != Dimension::kRunExec) {
      return Add(part, "sandbox.program",
                 Quote(call_.capability) +
                     " would run a program without being one that does; this is a defect of krux");
    }
    Add(part, "sandbox.contribution",
        "the sandbox of this call would let in more than the call declares; this is a defect of "
        "krux");
  }

  void OfLimit() {
    const Component part = Component::kLimit;
    const krux_policy& policy = kernel_.policy;
    const auto budgets = BudgetNames();
    for (int i = 0; i < kBudgets; ++i) {
      if (kernel_.remaining[i] > 0 && call_.cost[i] <= kernel_.remaining[i]) continue;
      const std::string name(budgets[i]);
      return Add(part, Or(rules_.budget[i], "budget." + name),
                 "the session's budget of `" + name + "` is used up (" +
                     std::to_string(kernel_.remaining[i]) + " left, " +
                     std::to_string(call_.cost[i]) +
                     " needed); an operator can start a new session: `krux session new`");
    }
    if (now_ms_ < policy.not_before_ms || now_ms_ >= policy.not_after_ms) {
      return Add(part, Or(rules_.window, "window"),
                 now_ms_ < policy.not_before_ms
                     ? "the policy's time window has not begun; retry later"
                     : "the session's time window is over; retry, which begins another one, or "
                       "use a policy whose window is open");
    }
    if ((policy.required_layers & ~footprint_.layers) != 0) {
      return Add(part, Or(rules_.isolation, "isolation.require"),
                 "the policy requires a layer that this gateway was allowed to run without; start "
                 "the gateway without `--allow-degraded` for it");
    }
    Add(part, Or(rules_.depth, "delegate.depth not set = 0"),
        Quote(call_.capability) +
            " would start another agent, and no further generation is "
            "granted; use a policy with a larger `delegate.depth`");
  }

  const krux_decision& decision_;
  const krux_state& kernel_;
  const Rules& rules_;
  const Call& call_;
  const Footprint& footprint_;
  uint64_t now_ms_;
  std::vector<Reason> reasons_;
};

const Rules Wording::kNoRules;

}  // namespace

std::vector<Reason> Explain(const krux_decision& decision, const State& state, const Call& call,
                            const Footprint& footprint, uint64_t now_ms) {
  return Wording(decision, state, call, footprint, now_ms).All();
}

}  // namespace krux::policy
