#include "policy/decide.h"

#include <gtest/gtest.h>

#include <random>

#include "policy/policy_state.h"

namespace krux::policy {
namespace {

constexpr auto kRead = static_cast<int>(Dimension::kReadFiles);

State StateWith(Level level, Dimension dimension = Dimension::kReadFiles) {
  Policy policy;
  policy.authority.levels[static_cast<int>(dimension)] = level;
  policy.authority.level_rules[static_cast<int>(dimension)] = "team:4 levels";
  return BeginState(policy, {}, {}, 0);
}

Call ReadCall(Risk risk = Risk::kLow, bool inside = true) {
  Call call{Dimension::kReadFiles, risk, "fs.read", {}, kPrivateData};
  call.scopes.push_back({inside, "team:9 paths.read", "/etc/shadow", "paths.read"});
  return call;
}

Footprint ReadFootprint() {
  Footprint footprint;
  footprint.reads_private = true;
  return footprint;
}

Verdict Judge(const State& state, const Call& call, const Footprint& footprint = ReadFootprint()) {
  return Decide(state, call, footprint, 0).verdict;
}

TEST(DecideTest, LevelsTimesRisk) {
  const Verdict deny = Verdict::kDeny, ask = Verdict::kAsk, allow = Verdict::kAllow;
  const Verdict expected[3][3] = {{deny, deny, deny}, {allow, ask, ask}, {allow, allow, ask}};
  for (int level = 0; level < 3; ++level) {
    for (int risk = 0; risk < 3; ++risk) {
      EXPECT_EQ(Judge(StateWith(Level(level)), ReadCall(Risk(risk))), expected[level][risk])
          << Name(Level(level)) << " " << Name(Risk(risk));
    }
  }
}

TEST(DecideTest, AnAuthorityThatNobodySetGrantsNothing) {
  for (int dimension = 0; dimension < kDimensions; ++dimension) {
    Call call = ReadCall();
    call.dimension = Dimension(dimension);
    EXPECT_EQ(Judge(State{}, call), Verdict::kDeny) << Name(Dimension(dimension));
  }
}

TEST(DecideTest, OneFalseScopeBitDeniesAndNamesItsRule) {
  Call call = ReadCall(Risk::kLow, false);
  call.scopes.insert(call.scopes.begin(),
                     {true, "team:3 capabilities.allow", "fs.read", "capabilities.allow"});
  const Decision decision = Decide(StateWith(Level::kAlways), call, ReadFootprint(), 0);
  EXPECT_EQ(decision.verdict, Verdict::kDeny);
  ASSERT_EQ(decision.reasons.size(), 1u);
  EXPECT_EQ(decision.reasons[0].component, Component::kScope);
  EXPECT_EQ(decision.reasons[0].rule, "team:9 paths.read");
  EXPECT_NE(decision.reasons[0].message.find("`/etc/shadow`"), std::string::npos);
}

TEST(DecideTest, TheLowestReasonComesFirst) {
  const Decision decision =
      Decide(StateWith(Level::kLowRisk), ReadCall(Risk::kElevated, false), ReadFootprint(), 0);
  EXPECT_EQ(decision.verdict, Verdict::kDeny);
  ASSERT_EQ(decision.reasons.size(), 2u);
  EXPECT_EQ(decision.reasons[0].verdict, Verdict::kDeny);
  EXPECT_EQ(decision.reasons[1].verdict, Verdict::kAsk);
}

TEST(DecideTest, ACallThatNoScopeGovernsIsDenied) {
  Call call = ReadCall();
  call.scopes.clear();
  EXPECT_EQ(Judge(StateWith(Level::kAlways), call), Verdict::kDeny);
  call.dimension = Dimension::kNone;
  EXPECT_EQ(Judge(StateWith(Level::kNever), call), Verdict::kAllow) << "krux's own calls";
}

TEST(DecideTest, TheSandboxMustNotAllowMoreThanTheCallSays) {
  const State state = StateWith(Level::kAlways);
  const auto verdict = [&](auto change) {
    Footprint footprint = ReadFootprint();
    change(footprint);
    return Judge(state, ReadCall(), footprint);
  };
  EXPECT_EQ(verdict([](Footprint&) {}), Verdict::kAllow);
  EXPECT_EQ(verdict([](Footprint& f) { f.within_grants = false; }), Verdict::kDeny);
  EXPECT_EQ(verdict([](Footprint& f) { f.network = true; }), Verdict::kDeny);
  EXPECT_EQ(verdict([](Footprint& f) { f.reads_untrusted = true; }), Verdict::kDeny);
  EXPECT_EQ(verdict([](Footprint& f) { f.runs_program = true; }), Verdict::kDeny);
  Call silent = ReadCall();
  silent.contribution = 0;
  EXPECT_EQ(Judge(state, silent), Verdict::kDeny) << "reads private data and does not say so";
}

TEST(DecideTest, ARequiredLayerThatMayBeMissingDenies) {
  Policy policy;
  policy.authority.levels[kRead] = Level::kAlways;
  policy.authority.required_layers = 0b101;
  policy.authority.isolation_rule = "team:20 isolation.require";
  const State state = BeginState(policy, {}, {}, 0);
  Footprint footprint = ReadFootprint();
  footprint.layers = 0b001;
  const Decision decision = Decide(state, ReadCall(), footprint, 0);
  EXPECT_EQ(decision.verdict, Verdict::kDeny);
  EXPECT_EQ(decision.reasons.at(0).rule, "team:20 isolation.require");
  footprint.layers = 0b111;
  EXPECT_EQ(Judge(state, ReadCall(), footprint), Verdict::kAllow);
}

TEST(DecideTest, OnlyAnAllowedCallChangesTheState) {
  State state = StateWith(Level::kAlways);
  state.kernel.exposure = kUntrustedContent;
  const Decision allowed = Decide(state, ReadCall(), ReadFootprint(), 0);
  EXPECT_EQ(allowed.next.exposure(), kUntrustedContent | kPrivateData);
  EXPECT_EQ(allowed.next.calls(), 1u);
  EXPECT_TRUE(allowed.reasons.empty());
  for (const Decision& other : {Decide(state, ReadCall(Risk::kCritical), ReadFootprint(), 0),
                                Decide(state, ReadCall(Risk::kLow, false), ReadFootprint(), 0)}) {
    EXPECT_EQ(other.next.exposure(), kUntrustedContent);
    EXPECT_EQ(other.next.calls(), 0u);
    EXPECT_FALSE(other.reasons.empty());
  }
  state.kernel.calls = UINT64_MAX;
  EXPECT_EQ(Decide(state, ReadCall(), ReadFootprint(), 0).next.calls(), UINT64_MAX);
}

TEST(DecideTest, AMessageStaysReadable) {
  for (const char* character : {"a", "é", "😀", "\xbf"}) {
    Call call = ReadCall(Risk::kLow, false);
    call.scopes[0].value = "/";
    while (call.scopes[0].value.size() < 32'000) call.scopes[0].value += character;
    const Decision decision = Decide(StateWith(Level::kAlways), call, ReadFootprint(), 0);
    EXPECT_LT(decision.reasons.at(0).message.size(), 600u);
    EXPECT_NE(decision.reasons[0].message.find("is outside `paths.read`"), std::string::npos);
  }
}

TEST(DecideTest, NonsenseIsDenied) {
  Call call = ReadCall();
  call.dimension = static_cast<Dimension>(200);
  EXPECT_EQ(Judge(StateWith(Level::kAlways), call), Verdict::kDeny);
  EXPECT_EQ(Judge(StateWith(Level::kAlways), ReadCall(static_cast<Risk>(9))), Verdict::kDeny);
  EXPECT_EQ(Judge(StateWith(static_cast<Level>(7)), ReadCall()), Verdict::kDeny);
  EXPECT_STREQ(Name(static_cast<Dimension>(200)), "none");
}

// A session that grants one dimension wholly and has seen `exposure`.
State Seen(Exposure exposure, Dimension dimension) {
  State state = StateWith(Level::kAlways, dimension);
  state.kernel.exposure = exposure;
  return state;
}

Call SendCall(Exposure contribution = kUntrustedContent | kExfilVector) {
  Call call{Dimension::kWebFetch, Risk::kLow, "net.fetch", {}, contribution};
  call.scopes.push_back({true, "team:9 net.allow", "example.org:443", "net.allow"});
  return call;
}

Footprint Online() {
  Footprint footprint;
  footprint.network = true;
  return footprint;
}

TEST(DecideTest, TheThreeLegsDoNotMeetUnasked) {
  const Decision alone = Decide(Seen(0, Dimension::kWebFetch), SendCall(), Online(), 0);
  EXPECT_EQ(alone.verdict, Verdict::kAllow);
  EXPECT_EQ(alone.next.exposure(), kUntrustedContent | kExfilVector);

  const Decision met = Decide(Seen(kPrivateData, Dimension::kWebFetch), SendCall(), Online(), 0);
  EXPECT_EQ(met.verdict, Verdict::kAsk);
  EXPECT_EQ(met.next.exposure(), kPrivateData) << "what did not run has not happened";
  ASSERT_EQ(met.reasons.size(), 1u);
  EXPECT_EQ(met.reasons[0].component, Component::kGate);
  EXPECT_EQ(met.reasons[0].rule, "exposure.trifecta not set = ask");

  State strict = Seen(kPrivateData, Dimension::kWebFetch);
  strict.kernel.policy.trifecta = KRUX_DENY;
  EXPECT_EQ(Decide(strict, SendCall(), Online(), 0).verdict, Verdict::kDeny);

  Call endorsed = SendCall();
  endorsed.endorsed = true;
  EXPECT_EQ(Decide(strict, endorsed, Online(), 0).verdict, Verdict::kAllow);
}

TEST(DecideTest, UntrustedContentDoesNotReachOutUnasked) {
  Call push{Dimension::kGitPush, Risk::kLow, "git.push", {}, 0};
  push.scopes.push_back({true, "team:9 git.refs", "refs/heads/fix", "git.refs"});
  const Decision clean = Decide(Seen(kPrivateData, Dimension::kGitPush), push, {}, 0);
  EXPECT_EQ(clean.verdict, Verdict::kAllow);
  const Decision driven = Decide(Seen(kUntrustedContent, Dimension::kGitPush), push, {}, 0);
  EXPECT_EQ(driven.verdict, Verdict::kAsk);
  EXPECT_EQ(driven.reasons.at(0).component, Component::kTrust);
}

TEST(DecideTest, AnObligationAsksAndNamesItsRule) {
  State state = StateWith(Level::kAlways);
  Call call = ReadCall();
  call.obliged_rule = "team:30 rule 1";
  const Decision by_rule = Decide(state, call, ReadFootprint(), 0);
  EXPECT_EQ(by_rule.verdict, Verdict::kAsk);
  EXPECT_EQ(by_rule.reasons.at(0).rule, "team:30 rule 1");
  state.kernel.policy.obligations = 1u << kRead;
  EXPECT_EQ(Judge(state, ReadCall()), Verdict::kAsk);
  call.scopes[0].inside = false;
  EXPECT_EQ(Judge(state, call), Verdict::kDeny);
}

TEST(DecideTest, AnExhaustedBudgetEndsTheSessionsCalls) {
  for (int budget = 0; budget < kBudgets; ++budget) {
    State state = StateWith(Level::kAlways);
    state.kernel.remaining[budget] = 0;
    const Decision decision = Decide(state, ReadCall(), ReadFootprint(), 0);
    EXPECT_EQ(decision.verdict, Verdict::kDeny) << BudgetNames()[budget];
    EXPECT_EQ(decision.reasons.at(0).rule, "budget." + std::string(BudgetNames()[budget]));
    EXPECT_NE(decision.reasons[0].message.find("krux session new"), std::string::npos);
  }
  State last = StateWith(Level::kAlways);
  last.kernel.remaining[KRUX_BUDGET_CALLS] = 1;
  last = Decide(last, ReadCall(), ReadFootprint(), 0).next;
  EXPECT_EQ(last.kernel.remaining[KRUX_BUDGET_CALLS], 0u);
  EXPECT_EQ(Judge(last, ReadCall()), Verdict::kDeny);
}

TEST(DecideTest, TheWindowIsAnArgumentAndNotAClock) {
  State state = StateWith(Level::kAlways);
  state.kernel.policy.not_before_ms = 1000;
  state.kernel.policy.not_after_ms = 2000;
  const auto at = [&](uint64_t now_ms) {
    return Decide(state, ReadCall(), ReadFootprint(), now_ms).verdict;
  };
  EXPECT_EQ(at(999), Verdict::kDeny);
  EXPECT_EQ(at(1000), Verdict::kAllow);
  EXPECT_EQ(at(1999), Verdict::kAllow);
  EXPECT_EQ(at(2000), Verdict::kDeny);
  EXPECT_EQ(at(1500), Verdict::kAllow) << "a clock that jumps back is judged by what it says";
}

TEST(DecideTest, MoreScopesThanAStateCanHoldAreDenied) {
  Call call = ReadCall();
  call.scopes.assign(33, call.scopes[0]);
  const Decision decision = Decide(StateWith(Level::kAlways), call, ReadFootprint(), 0);
  EXPECT_EQ(decision.verdict, Verdict::kDeny);
  EXPECT_EQ(decision.reasons.at(0).component, Component::kScope);
}

// Monotone in the authority, and never below: over every level, risk and bit, raising a level or
// letting a scope bit become true never lowers a verdict.
TEST(DecideTest, MoreAuthorityNeverAllowsLess) {
  std::mt19937 random(11);
  for (int i = 0; i < 20'000; ++i) {
    Policy less, more;
    const auto a = random() % 3, b = random() % 3;
    less.authority.levels[kRead] = Level(std::min(a, b));
    more.authority.levels[kRead] = Level(std::max(a, b));
    less.authority.required_layers = static_cast<uint32_t>(random() % 8);
    more.authority.required_layers =
        less.authority.required_layers & static_cast<uint32_t>(random());
    const State low = BeginState(less, {}, {}, 0), high = BeginState(more, {}, {}, 0);
    Call narrow = ReadCall(Risk(random() % 3), random() % 2), wide = narrow;
    wide.scopes[0].inside |= random() % 2;
    Footprint footprint = ReadFootprint();
    footprint.layers = static_cast<uint32_t>(random() % 8);
    footprint.within_grants = random() % 4 != 0;
    EXPECT_LE(Judge(low, narrow, footprint), Judge(high, wide, footprint));
    EXPECT_EQ(Judge(low, narrow, footprint), Judge(low, narrow, footprint));
  }
}

}  // namespace
}  // namespace krux::policy
