// Eleven defects that another engine with green proofs shipped, each where krux would have it. D6,
// D9 and the second half of D11 are seen through the gateway:
// tests/gateway/peer_defects_test.cc.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "policy/policy_file.h"
#include "policy/policy_state.h"
#include "runtime/plan.h"
#include "verification/claims/claims.h"
#include "verification/diff/bounds.h"
#include "verification/diff/generate.h"
#include "verification/diff/machine.h"

namespace krux::policy {
namespace {

namespace fs = std::filesystem;
constexpr const char* kWork = "/home/ann/project";

Policy Parsed(const std::string& body) {
  auto policy = ParsePolicy("krux = 1\nname = \"team\"\n" + body, "team.toml");
  EXPECT_TRUE(policy.has_value()) << (policy ? "" : policy.error().message) << "\n" << body;
  return policy ? *policy : Policy{};
}

std::string Reading(const std::string& paths) {
  return "[levels]\nread_files = \"always\"\n[paths]\nread = " + paths + "\n";
}

runtime::Plan PlanOf(const std::string& capability, cbor::Map arguments, const Policy& policy) {
  const runtime::Capability* found = runtime::FindCapability(capability);
  const auto bound = runtime::Bind(*found, cbor::Value(std::move(arguments)));
  EXPECT_TRUE(bound.has_value());
  runtime::PlanSession session;
  session.work = kWork;
  session.session_id = cbor::Bytes(16, 1);
  auto plan = runtime::MakePlan(*found, *bound, policy, session);
  EXPECT_TRUE(plan.has_value());
  return plan ? *plan : runtime::Plan{};
}

Verdict ReadUnder(const Policy& policy, const std::string& path) {
  runtime::Plan plan = PlanOf("fs.read", {{"path", path}}, ForWork(policy, kWork));
  plan.footprint.layers = UINT32_MAX;
  return Decide(BeginState(policy, {}, {}, 0), plan.call, plan.footprint, 0).verdict;
}

std::vector<uint8_t> Encoded(const Policy& policy) {
  const State state = BeginState(policy, {}, {}, 0);
  std::vector<uint8_t> bytes(KRUX_STATE_BYTES);
  krux_encode_state(&state.kernel, bytes.data());
  return bytes;
}

std::string Text(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string WithoutComments(const std::string& text) {
  std::string code;
  for (size_t at = 0; at < text.size();) {
    const bool line = text.compare(at, 2, "//") == 0, block = text.compare(at, 2, "/*") == 0;
    if (!line && !block) {
      code += text[at++];
      continue;
    }
    const size_t end = line ? text.find('\n', at) : text.find("*/", at + 2);
    at = end == text.npos ? text.size() : end + (block ? 2 : 0);
  }
  return code;
}

// Sources of what ships, without comments.
std::map<std::string, std::string> ShippedSources() {
  std::map<std::string, std::string> sources;
  for (const char* folder : {"base", "policy", "sandbox", "audit", "runtime", "gateway", "tools"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(KRUX_SOURCE_DIR) / folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".cc" && extension != ".c" && extension != ".h" && extension != ".def")
        continue;
      sources[entry.path().lexically_relative(KRUX_SOURCE_DIR)] =
          WithoutComments(Text(entry.path()));
    }
  }
  return sources;
}

// A sink that is inside its scope and whose sandbox fits, with so much exposure of its own.
Call SinkCall(Dimension dimension, Exposure sources = 0) {
  Call call{dimension, Risk::kLow, "test.sink", {}, static_cast<Exposure>(sources | kExfilVector)};
  call.scopes.push_back({true, "team:1", "x", "net.allow"});
  return call;
}

Policy EverythingAlways() {
  Policy policy;
  for (Level& level : policy.authority.levels) level = Level::kAlways;
  policy.delegate_depth.value = 1;
  return policy;
}

TEST(PeerDefects, D1AnEmptyListIsNothingAndTwoDisjointOnesMeetInNothing) {
  const Policy nothing = Parsed(Reading("[]"));
  const Policy sources = Parsed(Reading("[\"${WORK}/src/**\"]"));
  const Policy documents = Parsed(Reading("[\"${WORK}/docs/**\"]"));
  const std::string source = std::string(kWork) + "/src/a.c",
                    document = std::string(kWork) + "/docs/a.md";
  EXPECT_EQ(ReadUnder(sources, source), Verdict::kAllow);
  EXPECT_EQ(ReadUnder(documents, document), Verdict::kAllow);
  for (const std::string& path :
       {source, document, std::string(kWork), std::string("/etc/shadow")}) {
    EXPECT_EQ(ReadUnder(nothing, path), Verdict::kDeny) << path;
    EXPECT_EQ(ReadUnder(Meet(sources, documents), path), Verdict::kDeny) << path;
    EXPECT_EQ(ReadUnder(Meet(nothing, sources), path), Verdict::kDeny) << path;
    EXPECT_EQ(ReadUnder(Meet(sources, nothing), path), Verdict::kDeny) << path;
    EXPECT_EQ(ReadUnder(Policy{}, path), Verdict::kDeny) << path;
  }
}

TEST(PeerDefects, D2EveryLineOfAPolicyIsInTheBytesThatAreHashedAndWhatTheyMeanComesBack) {
  std::vector<std::string> bodies{""};
  for (const std::string_view dimension : DimensionNames()) {
    bodies.push_back("[levels]\n" + std::string(dimension) + " = \"low_risk\"\n");
    bodies.push_back("[levels]\n" + std::string(dimension) + " = \"always\"\n");
    bodies.push_back("[approve]\nalways = [\"" + std::string(dimension) + "\"]\n");
  }
  for (const char* body :
       {"[exposure]\ntrifecta = \"deny\"\n", "[exposure]\ntrusted_action = \"deny\"\n",
        "[delegate]\ndepth = 3\n", "[budget]\ncalls = 7\n", "[budget]\nwall = \"2h\"\n",
        "[budget]\ncost_usd = \"5.00\"\n", "[isolation]\nrequire = [\"landlock\"]\n"})
    bodies.push_back(body);
  std::set<std::string> texts;
  std::set<std::vector<uint8_t>> states;
  for (const std::string& body : bodies) {
    const Policy policy = Parsed(body);
    EXPECT_TRUE(texts.insert(policy.text).second) << "hashed like another: " << body;
    EXPECT_TRUE(states.insert(Encoded(policy)).second) << "decides like another: " << body;
    const auto again = PolicyFromText(policy.text);
    ASSERT_TRUE(again.has_value()) << again.error().message;
    EXPECT_EQ(Encoded(*again), Encoded(policy))
        << "means something else after it was stored: " << body;
  }
}

// The extracted model is the oracle of krux_step_call (verification/diff); this is the last step to
// what the gateway calls. The pinned answers are those where the other engine's two functions
// differed: low_risk with a risk, and programs that can read what is private.
TEST(PeerDefects, D3TheFunctionThatIsProvedIsTheOneThatDecides) {
  size_t calls = 0;
  for (uint64_t run = 0; run < 50; ++run) {
    diff::Machine machine(diff::Shipped());
    for (const diff::Event& event : diff::RandomRun(3, run)) {
      if (event.kind == diff::Kind::kCall) {
        State state;
        state.kernel = machine.session(event.session);
        Call call;
        call.dimension = static_cast<Dimension>(event.call.dimension);
        call.risk = static_cast<Risk>(event.call.risk);
        call.contribution = krux_contribution(&event.call);
        call.scopes.push_back({true, "", "", ""});
        const Footprint footprint{.layers = event.call.footprint.layers};
        const krux_call kernel = KernelCall(call, footprint);
        krux_decision decided;
        krux_state next = state.kernel;
        krux_step_call(&next, &kernel, event.now_ms, &decided);
        const Decision decision = Decide(state, call, footprint, event.now_ms);
        EXPECT_EQ(static_cast<uint8_t>(decision.verdict), decided.verdict);
        EXPECT_EQ(diff::HashOf(decision.next.kernel), diff::HashOf(next));
        ++calls;
      }
      machine.Apply(event);
    }
  }
  EXPECT_GT(calls, 1000u);
  Policy policy;
  policy.authority.levels[static_cast<int>(Dimension::kGitPush)] = Level::kLowRisk;
  Call push = SinkCall(Dimension::kGitPush);
  push.risk = Risk::kElevated;
  EXPECT_EQ(Decide(BeginState(policy, {}, {}, 0), push, {}, 0).verdict, Verdict::kAsk);
}

// run(cat key), fetch, push: there it was allow, allow, allow, because what the gate counted was
// more than what was recorded.
TEST(PeerDefects, D4WhatTheGateCountsIsWhatIsRecorded) {
  const auto profile = FindProfile("local_dev");
  ASSERT_TRUE(profile.has_value());
  const runtime::Plan program =
      PlanOf("proc.exec", {{"argv", cbor::Array{"cat", "key"}}}, ForWork(*profile, kWork));
  EXPECT_TRUE(program.footprint.reads_private) << "a program sees WORK";
  EXPECT_NE(program.call.contribution & kPrivateData, 0);

  Policy policy = EverythingAlways();
  State state = BeginState(policy, {}, {}, 0);
  Call run = program.call;
  run.scopes = {{true, "", "", ""}};
  run.risk = Risk::kLow;
  Decision decision = Decide(state, run, program.footprint, 0);
  ASSERT_EQ(decision.verdict, Verdict::kAllow);
  EXPECT_EQ(decision.next.exposure(), run.contribution);
  Call search = SinkCall(Dimension::kWebSearch, kUntrustedContent);
  search.contribution = kUntrustedContent;
  decision = Decide(decision.next, search, {}, 1);
  ASSERT_EQ(decision.verdict, Verdict::kAllow);
  decision = Decide(decision.next, SinkCall(Dimension::kWebFetch), {}, 2);
  EXPECT_EQ(decision.verdict, Verdict::kAsk);
  ASSERT_FALSE(decision.reasons.empty());
  EXPECT_EQ(decision.reasons[0].component, Component::kGate);
  // One call that brings the two missing legs itself is gated before it happens.
  for (int before = 0; before < 8; ++before) {
    State seen = BeginState(policy, {}, {}, 0);
    krux_step_taint(&seen.kernel, static_cast<uint8_t>(before));
    for (int sources = 0; sources < 4; ++sources) {
      const Decision one =
          Decide(seen, SinkCall(Dimension::kWebFetch, static_cast<Exposure>(sources)), {}, 0);
      const bool meet = ((before | sources) & 3) == 3;
      EXPECT_EQ(one.verdict, meet ? Verdict::kAsk : Verdict::kAllow) << before << " " << sources;
      if (!meet) {
        EXPECT_EQ(one.next.exposure(), before | sources | kExfilVector);
      }
    }
  }
}

// There web_fetch was a way out in one file and none in another. Here a hole to the outside is one,
// whatever the call says of itself.
TEST(PeerDefects, D5WhatReachesTheNetworkIsAWayOutForEveryDimension) {
  const State state = BeginState(EverythingAlways(), {}, {}, 0);
  Footprint hole;
  hole.network = true;
  for (int dimension = 0; dimension < kDimensions; ++dimension) {
    for (int said = 0; said < 8; ++said) {
      Call call = SinkCall(Dimension(dimension));
      call.contribution = static_cast<Exposure>(said);
      const bool owns_up = (said & kExfilVector) != 0 && (said & kUntrustedContent) != 0;
      const Decision decision = Decide(state, call, hole, 0);
      if (!owns_up) {
        EXPECT_EQ(decision.verdict, Verdict::kDeny) << dimension << " " << said;
      }
      if (owns_up && said != 7) EXPECT_EQ(decision.verdict, Verdict::kAllow) << dimension;
    }
  }
  for (const runtime::Capability& capability : runtime::Catalog()) {
    if (capability.dimension != Dimension::kWebFetch &&
        capability.dimension != Dimension::kWebSearch)
      continue;
    const runtime::Plan plan = PlanOf(std::string(capability.name), {}, Policy{});
    EXPECT_EQ(plan.call.contribution & 6, 6) << capability.name;
  }
}

// There a claim said "machine-proved" and its own counterexample refuted it. Here what is claimed
// names what stands in the tree, nothing is admitted, and the refuted theorem stays as its
// negation.
TEST(PeerDefects, D7NoClaimRestsOnNothing) {
  const auto claims = verification::ReadClaims(KRUX_SOURCE_DIR);
  ASSERT_TRUE(claims.has_value()) << claims.error().message;
  size_t files = 0;
  std::string model;
  for (const auto& entry : fs::directory_iterator(KRUX_SOURCE_DIR "/verification/coq")) {
    if (entry.path().extension() != ".v") continue;
    const std::string text = Text(entry.path());
    static const std::regex forbidden(
        "\\b(Admitted|admit|Axiom|Axioms|Parameter|Parameters|Conjecture)\\b");
    EXPECT_FALSE(std::regex_search(text, forbidden)) << entry.path();
    model += text;
    ++files;
  }
  EXPECT_GT(files, 3u);
  EXPECT_NE(model.find("Lemma nu_not_monotone"), std::string::npos);
}

TEST(PeerDefects, D8TheTableOfDimensionsIsWrittenOnce) {
  for (const auto& [path, text] : ShippedSources()) {
    if (path == "policy/kernel/tables.def") continue;
    size_t named = 0;
    std::string which;
    for (const std::string_view name : DimensionNames()) {
      if (text.find("\"" + std::string(name) + "\"") == std::string::npos) continue;
      ++named;
      which += " " + std::string(name);
    }
    // One name may be an example in a message; two in one file are the beginning of a table.
    EXPECT_LE(named, 1u) << path << " writes down" << which << "; take them from tables.def";
  }
}

TEST(PeerDefects, D9AnObligationAsksWhateverTheExposure) {
  Policy policy = EverythingAlways();
  policy.obligations = 1 << static_cast<int>(Dimension::kGitPush);
  for (int exposure = 0; exposure < 8; ++exposure) {
    State state = BeginState(policy, {}, {}, 0);
    krux_step_taint(&state.kernel, static_cast<uint8_t>(exposure));
    const Decision decision = Decide(state, SinkCall(Dimension::kGitPush), {}, 0);
    EXPECT_EQ(decision.verdict, Verdict::kAsk) << exposure;
  }
}

TEST(PeerDefects, D10ChildrenShareOneBudgetAndNoneGetsTheWhole) {
  const uint64_t limits[KRUX_BUDGETS] = {100, 100, 100, 100, 100, 100, 100, 100};
  const uint64_t share[KRUX_BUDGETS] = {40, 40, 40, 40, 40, 40, 40, 40};
  const uint64_t id[4] = {1};
  krux_policy policy = krux_policy_top();
  krux_state parent;
  krux_state_begin(&parent, &policy, limits, id, id);
  std::vector<krux_state> children(5);
  int born = 0;
  for (krux_state& child : children)
    born += krux_step_delegate(&parent, &child, &policy, share, id, id);
  EXPECT_EQ(born, 2) << "the third would make it 120 of 100";
  for (int i = 0; i < KRUX_BUDGETS; ++i) {
    uint64_t sum = parent.remaining[i];
    for (const krux_state& child : children) sum += child.remaining[i];
    EXPECT_EQ(sum, 100u);
  }
}

TEST(PeerDefects, D11NoClockIsReadWhereItIsDecided) {
  static const std::regex clock(
      "\\b(clock_gettime|gettimeofday|time\\s*\\(|system_clock|steady_clock|__rdtsc|timespec_get)");
  for (const auto& [path, text] : ShippedSources()) {
    if (path.starts_with("policy/"))
      EXPECT_FALSE(std::regex_search(text, clock))
          << path << " reads a clock; `now_ms` is an argument";
  }
  Policy policy = EverythingAlways();
  policy.not_before_ms.value = 1000;
  policy.not_after_ms.value = 2000;
  const State state = BeginState(policy, {}, {}, 0);
  const Call call = SinkCall(Dimension::kReadFiles);
  // Forwards, backwards, to the ends of time: the answer depends on the argument alone.
  for (const uint64_t now : {1000u, 1999u, 2000u, 999u, 0u, 1500u}) {
    const Verdict expected = now >= 1000 && now < 2000 ? Verdict::kAllow : Verdict::kDeny;
    EXPECT_EQ(Decide(state, call, {}, now).verdict, expected) << now;
  }
  EXPECT_EQ(Decide(state, call, {}, UINT64_MAX).verdict, Verdict::kDeny);
  EXPECT_EQ(Decide(state, call, {}, uint64_t{1} << 62).verdict, Verdict::kDeny);
}

TEST(KernelAtItsBounds, NothingWraps) { EXPECT_EQ(diff::BrokenAtBounds(diff::Shipped()), ""); }

}  // namespace
}  // namespace krux::policy
