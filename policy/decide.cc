#include "policy/decide.h"

#include <algorithm>

namespace krux::policy {
namespace {

constexpr std::string_view kDimensionNames[] = {
#define X(enumerator, name) name,
    KRUX_DIMENSIONS(X)
#undef X
};
static_assert(std::size(kDimensionNames) == kDimensions);

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

// What the level alone says. `always` still asks before something critical.
Verdict OfLevel(Level level, Risk risk) {
  if (risk > Risk::kCritical) return Verdict::kDeny;
  switch (level) {
    case Level::kNever:
      return Verdict::kDeny;
    case Level::kLowRisk:
      return risk == Risk::kLow ? Verdict::kAllow : Verdict::kAsk;
    case Level::kAlways:
      return risk == Risk::kCritical ? Verdict::kAsk : Verdict::kAllow;
  }
  return Verdict::kDeny;
}

Reason JudgeLevel(const Authority& authority, const Call& call) {
  if (call.dimension == Dimension::kNone) return {Component::kLevel, Verdict::kAllow, "", ""};
  const auto index = static_cast<unsigned>(call.dimension);
  if (index >= kDimensions) {
    return {Component::kLevel, Verdict::kDeny, "krux dimensions",
            "the call has no known dimension; this is a defect of krux"};
  }
  const Verdict verdict = OfLevel(authority.levels[index], call.risk);
  std::string rule = authority.level_rules[index];
  const std::string name(kDimensionNames[index]);
  if (rule.empty()) rule = "levels." + name + " not set = never";
  if (verdict == Verdict::kDeny) {
    return {Component::kLevel, verdict, rule,
            Quote(call.capability) + " needs `" + name +
                "`, which the policy never grants; use a profile that does"};
  }
  return {Component::kLevel, verdict, rule,
          "`" + name + "` is `" + Name(authority.levels[index]) + "` and this call's risk is " +
              Name(call.risk) + "; it waits for an approval"};
}

void JudgeScopes(const Call& call, std::vector<Reason>& reasons) {
  // A call that no scope governs was not bound to anything; only krux's own calls may be so.
  if (call.scopes.empty() && call.dimension != Dimension::kNone) {
    reasons.push_back(
        {Component::kScope, Verdict::kDeny, "krux scopes",
         Quote(call.capability) + " was matched against no scope; this is a defect of krux"});
  }
  for (const ScopeBit& bit : call.scopes) {
    if (bit.inside) continue;
    if (bit.scope == "paths.secret") {
      reasons.push_back({Component::kScope, Verdict::kDeny, bit.rule,
                         Quote(bit.value) +
                             " is secret by the policy, which no call reads or writes; leave it "
                             "out"});
      continue;
    }
    reasons.push_back({Component::kScope, Verdict::kDeny, bit.rule,
                       Quote(bit.value) + " is outside " + Quote(bit.scope) +
                           "; stay inside it, or use a policy that covers it"});
  }
}

// INVARIANT: the sandbox never allows what the contribution does not say, nor more than the grants.
Reason JudgeConfinement(const Call& call, const Footprint& footprint) {
  const auto deny = [](std::string rule, std::string message) {
    return Reason{Component::kConfinement, Verdict::kDeny, std::move(rule), std::move(message)};
  };
  if (!footprint.within_grants) {
    return deny("sandbox.grants",
                "the sandbox of this call would reach beyond the policy's paths; grant whole trees "
                "(`…/**`) to programs");
  }
  Exposure legs = 0;
  if (footprint.reads_private) legs |= kPrivateData;
  if (footprint.reads_untrusted || footprint.network) legs |= kUntrustedContent;
  if (footprint.network) legs |= kExfilVector;
  if ((legs & ~call.contribution) != 0) {
    return deny("sandbox.contribution",
                "the sandbox of this call would let in more than the call declares; this is a "
                "defect of krux");
  }
  if (footprint.runs_program && call.dimension != Dimension::kRunExec) {
    return deny("sandbox.program",
                Quote(call.capability) +
                    " would run a program without being one that does; this is a defect of krux");
  }
  return {Component::kConfinement, Verdict::kAllow, "", ""};
}

Reason JudgeLimits(const Authority& authority, const Footprint& footprint) {
  if ((authority.required_layers & ~footprint.layers) == 0) {
    return {Component::kLimit, Verdict::kAllow, "", ""};
  }
  const std::string& rule = authority.isolation_rule;
  return {Component::kLimit, Verdict::kDeny, rule.empty() ? "isolation.require" : rule,
          "the policy requires a layer that this gateway was allowed to run without; start the "
          "gateway without `--allow-degraded` for it"};
}

}  // namespace

Decision Decide(const State& state, const Call& call, const Footprint& footprint,
                uint64_t /*now_ms*/) {
  std::vector<Reason> reasons;
  reasons.push_back(JudgeLevel(state.authority, call));
  JudgeScopes(call, reasons);
  reasons.push_back(JudgeConfinement(call, footprint));
  reasons.push_back(JudgeLimits(state.authority, footprint));
  std::erase_if(reasons, [](const Reason& reason) { return reason.verdict == Verdict::kAllow; });
  std::ranges::stable_sort(reasons, {}, &Reason::verdict);

  Decision decision{Verdict::kAllow, std::move(reasons), state};
  for (const Reason& reason : decision.reasons)
    decision.verdict = std::min(decision.verdict, reason.verdict);
  if (decision.verdict == Verdict::kAllow) {
    decision.next.exposure |= call.contribution;
    if (decision.next.calls < UINT64_MAX) ++decision.next.calls;
  }
  return decision;
}

const char* Name(Level level) {
  switch (level) {
    case Level::kNever:
      return "never";
    case Level::kLowRisk:
      return "low_risk";
    case Level::kAlways:
      return "always";
  }
  return "never";
}

const char* Name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kDeny:
      return "deny";
    case Verdict::kAsk:
      return "ask";
    case Verdict::kAllow:
      return "allow";
  }
  return "deny";
}

const char* Name(Risk risk) {
  switch (risk) {
    case Risk::kLow:
      return "low";
    case Risk::kElevated:
      return "elevated";
    case Risk::kCritical:
      return "critical";
  }
  return "critical";
}

const char* Name(Dimension dimension) {
  const auto index = static_cast<unsigned>(dimension);
  return index < kDimensions ? kDimensionNames[index].data() : "none";
}

}  // namespace krux::policy
