#include "gateway/leg_sources.h"

#include "gateway/call_records.h"

namespace krux::gateway {
namespace {

// The legs that some guard counted, this call's own included.
policy::Exposure CountedLegs(const CallFlow& flow) {
  policy::Exposure legs = 0;
  for (const policy::Reason& reason : flow.decision.reasons) {
    if (reason.component == policy::Component::kGate)
      legs |= policy::kPrivateData | policy::kUntrustedContent;
    if (reason.component == policy::Component::kTrust) legs |= policy::kUntrustedContent;
  }
  return legs;
}

template <typename Visit>
void EachLeg(policy::Exposure legs, Visit visit) {
  for (size_t bit = 0; bit < kLegs; ++bit) {
    const auto leg = static_cast<policy::Exposure>(1u << bit);
    if ((legs & leg) != 0) visit(leg, bit);
  }
}

cbor::Value OrNull(const std::string& text) { return text.empty() ? cbor::Value() : text; }

}  // namespace

cbor::Map LegSources(const CallFlow& flow) {
  cbor::Map map;
  if (flow.refusal.has_value() || flow.session == nullptr) return map;
  EachLeg(CountedLegs(flow) & flow.before.exposure(), [&](policy::Exposure leg, size_t bit) {
    const LegSource& source = flow.session->seen->sources[bit];
    map.Set(LegNames(leg).front(),
            cbor::Array{source.call.empty() ? cbor::Value() : cbor::Value(source.call),
                        source.seq == 0 ? cbor::Value() : cbor::Value(source.seq),
                        OrNull(source.capability)});
  });
  return map;
}

std::string WhoBrought(const CallFlow& flow) {
  std::string text;
  EachLeg(CountedLegs(flow), [&](policy::Exposure leg, size_t bit) {
    const LegSource& source = flow.session->seen->sources[bit];
    text += (text.empty() ? "; " : ", ") + LegNames(leg).front() + " came with ";
    if ((flow.before.exposure() & leg) == 0) {
      text += "this call";
      return;
    }
    text += source.seq == 0 ? "an earlier call" : "record " + std::to_string(source.seq);
    if (!source.capability.empty()) text += " (" + source.capability + ")";
  });
  return text;
}

}  // namespace krux::gateway
