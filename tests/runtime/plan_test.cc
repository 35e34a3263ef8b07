#include "runtime/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "policy/policy_state.h"
#include "runtime/request.h"

namespace krux::runtime {
namespace {

constexpr const char* kWork = "/home/ann/project";

PlanSession Session() {
  PlanSession session;
  session.work = kWork;
  session.session_id = cbor::Bytes(16, 7);
  session.generation = 3;
  return session;
}

policy::Policy Profile(const char* name) { return *policy::FindProfile(name); }

policy::Policy PolicyOf(const std::string& body) {
  Result<policy::Policy> policy = policy::ParsePolicy("krux = 1\nname = \"t\"\n" + body, "t.toml");
  EXPECT_TRUE(policy) << policy.error().message;
  return *policy;
}

Plan Planned(const char* capability, cbor::Map args, const policy::Policy& policy,
             PlanSession session = Session()) {
  const Capability& cap = *FindCapability(capability);
  Result<cbor::Map> bound = Bind(cap, args);
  EXPECT_TRUE(bound) << bound.error().message;
  Result<Plan> plan = MakePlan(cap, *bound, policy, session);
  EXPECT_TRUE(plan) << plan.error().message;
  return *plan;
}

policy::Decision Decided(const Plan& plan, const policy::Policy& policy) {
  const policy::State state = policy::BeginState(policy, {}, {}, 0);
  return policy::Decide(state, plan.call, plan.footprint, 0);
}

policy::Decision Judge(const char* capability, cbor::Map args, const policy::Policy& policy) {
  return Decided(Planned(capability, std::move(args), policy), policy);
}

const cbor::Map kId{{"argv", cbor::Array{"id"}}};

TEST(PlanTest, TheLayersOfPolicyAreTheLayersOfTheSandbox) {
#define X(enumerator, bit, name)                                                       \
  EXPECT_EQ(policy::LayerBit(name), sandbox::Bit(sandbox::Layer::enumerator)) << name; \
  EXPECT_EQ(policy::LayerNames()[bit], name);
  KRUX_LAYERS(X)
#undef X
  sandbox::LayerMask all = 0;
  for (const std::string_view name : policy::LayerNames()) all |= policy::LayerBit(name);
  EXPECT_EQ(all, sandbox::kAllLayers);
  EXPECT_EQ(policy::LayerBit("nonsense"), 0u);
}

TEST(PlanTest, ReadInWorkIsAllowedAndGrantsOnlyReading) {
  const policy::Policy policy = Profile("read_only");
  const Plan plan = Planned("fs.read", {{"path", "/home/ann/project/README.md"}}, policy);
  EXPECT_EQ(Decided(plan, policy).verdict, policy::Verdict::kAllow);
  ASSERT_EQ(plan.spec.landlock.size(), 1u);
  EXPECT_EQ(plan.spec.landlock[0].path, kWork);
  EXPECT_TRUE(plan.spec.landlock[0].read);
  EXPECT_FALSE(plan.spec.landlock[0].write || plan.spec.landlock[0].exec);
  EXPECT_EQ(plan.spec.work_class, sandbox::WorkClass::kFs);
  EXPECT_EQ(plan.spec.required, sandbox::kAllLayers);
  EXPECT_EQ(plan.spec.session_id, cbor::Bytes(16, 7));
  EXPECT_EQ(plan.template_spec.generation, 3u);
  EXPECT_FALSE(plan.template_spec.work_writable || plan.template_spec.work_exec);
  EXPECT_TRUE(plan.template_spec.program_trees.empty());
  EXPECT_EQ(plan.call.contribution, policy::kPrivateData);
  EXPECT_TRUE(plan.footprint.reads_private);
  EXPECT_FALSE(plan.footprint.writes || plan.footprint.network || plan.footprint.runs_program);
}

TEST(PlanTest, OnlyACallThatNamesWhatTheOperatorNamedIsEndorsed) {
  const policy::Policy policy = Profile("local_dev");
  PlanSession session = Session();
  session.endorsed = {"/home/ann/project/Makefile"};
  const auto endorsed = [&](const char* capability, cbor::Map args) {
    return MakePlan(*FindCapability(capability), args, policy, session)->call.endorsed;
  };
  EXPECT_TRUE(endorsed("fs.read", {{"path", "/home/ann/project/Makefile"}}));
  EXPECT_FALSE(endorsed("fs.read", {{"path", "/home/ann/project/Makefile2"}}));
  EXPECT_FALSE(endorsed("fs.read", {{"path", "/home/ann/project"}}));
  EXPECT_FALSE(
      endorsed("proc.exec", {{"argv", cbor::Array{"cat"}}, {"cwd", "/home/ann/project/Makefile"}}))
      << "a program is named by no argument";
}

TEST(PlanTest, ARuleLowersTheCallsItIsAboutAndNoOther) {
  const policy::Policy policy = PolicyOf(R"(
[levels]
run_exec = "always"
read_files = "always"
[paths]
read = ["${WORK}/**"]
[exec]
allow = [["**"]]
[[rule]]
when = "proc.exec"
if = "argv like 'rm *'"
then = "deny"
[[rule]]
when = "fs.*"
if = "path like '*/private/*'"
then = "ask"
)");
  EXPECT_TRUE(CheckRules(policy));
  const auto removal = Judge("proc.exec", {{"argv", cbor::Array{"rm", "-r", "x"}}}, policy);
  EXPECT_EQ(removal.verdict, policy::Verdict::kDeny);
  EXPECT_EQ(removal.reasons.at(0).rule, "t.toml:12 rule");
  EXPECT_NE(removal.reasons[0].message.find("`argv like 'rm *'`"), std::string::npos);
  EXPECT_EQ(Judge("proc.exec", {{"argv", cbor::Array{"ls"}}}, policy).verdict,
            policy::Verdict::kAllow);
  const std::string work = kWork;
  EXPECT_EQ(Judge("fs.read", {{"path", work + "/private/x"}}, policy).verdict,
            policy::Verdict::kAsk);
  EXPECT_EQ(Judge("fs.read", {{"path", work + "/x"}}, policy).verdict, policy::Verdict::kAllow);

  const policy::Policy misspelt = PolicyOf(R"(
[[rule]]
when = "proc.exec"
if = "comand == 'rm'"
then = "deny"
)");
  EXPECT_FALSE(CheckRules(misspelt));
}

TEST(PlanTest, AStateHoldsEveryLimitOfItsPolicy) {
  const policy::Policy policy = PolicyOf(R"(
[approve]
always = ["read_files"]
[exposure]
trifecta = "deny"
[budget]
calls = 2
wall = "2h"
[window]
length = "30m"
[delegate]
depth = 2
)");
  const krux_state state = policy::BeginState(policy, {}, {}, 1000).kernel;
  EXPECT_EQ(state.policy.obligations, 1u << static_cast<int>(policy::Dimension::kReadFiles));
  EXPECT_EQ(state.policy.trifecta, KRUX_DENY);
  EXPECT_EQ(state.policy.trusted_action, KRUX_ASK);
  EXPECT_EQ(state.remaining[KRUX_BUDGET_CALLS], 2u);
  EXPECT_EQ(state.remaining[KRUX_BUDGET_WALL], 7'200'000u);
  EXPECT_EQ(state.remaining[KRUX_BUDGET_CPU], UINT64_MAX);
  EXPECT_EQ(state.policy.not_after_ms, 1'801'000u);
  EXPECT_EQ(state.policy.depth, 2);
}

TEST(PlanTest, APathOutsideIsDeniedWithOneRuleAndItsLine) {
  const policy::Decision decision =
      Judge("fs.read", {{"path", "/etc/shadow"}}, Profile("read_only"));
  EXPECT_EQ(decision.verdict, policy::Verdict::kDeny);
  ASSERT_EQ(decision.reasons.size(), 1u);
  EXPECT_EQ(decision.reasons[0].rule, "read_only:12 paths.read");
  EXPECT_EQ(
      Judge("fs.read", {{"path", "/home/ann/project/../other"}}, Profile("read_only")).verdict,
      policy::Verdict::kDeny);
  EXPECT_EQ(Judge("fs.list", {{"path", "/home/ann/projectx"}}, Profile("read_only")).verdict,
            policy::Verdict::kDeny);
  EXPECT_EQ(Judge("fs.list", {{"path", "/home/ann/project"}}, Profile("read_only")).verdict,
            policy::Verdict::kAllow);
}

TEST(PlanTest, APolicyThatCoversMoreThanWorkStillGrantsOnlyWork) {
  const policy::Policy policy =
      PolicyOf("[levels]\nread_files = \"always\"\n[paths]\nread = \"any\"\n");
  const Plan plan = Planned("fs.read", {{"path", "/etc/shadow"}}, policy);
  EXPECT_EQ(Decided(plan, policy).verdict, policy::Verdict::kDeny);
  EXPECT_EQ(Decided(plan, policy).reasons[0].rule, "sandbox.work");
  for (const sandbox::PathRule& rule : plan.spec.landlock) EXPECT_EQ(rule.path, kWork);
}

TEST(PlanTest, AWriteIsGrantedItsTreeAndNothingElse) {
  const policy::Policy policy = Profile("local_dev");
  const Plan plan =
      Planned("fs.write", {{"path", "/home/ann/project/src/a.c"}, {"content", "x"}}, policy);
  EXPECT_EQ(Decided(plan, policy).verdict, policy::Verdict::kAllow);
  EXPECT_EQ(plan.spec.work_class, sandbox::WorkClass::kWrite);
  ASSERT_EQ(plan.spec.landlock.size(), 1u);
  EXPECT_EQ(plan.spec.landlock[0].path, kWork);
  EXPECT_TRUE(plan.spec.landlock[0].read && plan.spec.landlock[0].write);
  EXPECT_FALSE(plan.spec.landlock[0].exec);
  EXPECT_TRUE(plan.template_spec.work_writable);
  EXPECT_FALSE(plan.template_spec.work_exec);
  EXPECT_TRUE(plan.footprint.writes && plan.footprint.within_grants);
  EXPECT_FALSE(plan.spec.has_input);
}

TEST(PlanTest, AWriteStaysInTheTreeThatThePolicyNames) {
  const policy::Policy policy = PolicyOf(
      "[levels]\nwrite_files = \"low_risk\"\n[paths]\nread = [\"${WORK}/**\"]\n"
      "write = [\"${WORK}/docs/**\", \"${WORK}/src/**\", \"**/*.md\"]\n");
  const auto tree = [&](const std::string& path) {
    const Plan plan = Planned("fs.write", {{"path", path}, {"content", "x"}}, policy);
    EXPECT_EQ(plan.spec.landlock.size(), 1u);
    EXPECT_TRUE(plan.footprint.within_grants) << path;
    return Decided(plan, policy).verdict == policy::Verdict::kAllow ? plan.spec.landlock[0].path
                                                                    : "denied";
  };
  EXPECT_EQ(tree("/home/ann/project/docs/a.txt"), "/home/ann/project/docs");
  EXPECT_EQ(tree("/home/ann/project/src/sub/a.c"), "/home/ann/project/src");
  EXPECT_EQ(tree("/home/ann/project/other/a.md"), kWork) << "no tree covers it; the worker checks";
  EXPECT_EQ(tree("/home/ann/project/other/a.txt"), "denied");
}

TEST(PlanTest, AWriteOutsideOrWithoutTheLevelIsDeniedByNamedRules) {
  const cbor::Map outside{{"path", "/home/ann/other"}, {"content", "x"}};
  const policy::Decision denied = Judge("fs.write", outside, Profile("local_dev"));
  EXPECT_EQ(denied.verdict, policy::Verdict::kDeny);
  EXPECT_EQ(denied.reasons[0].rule, "local_dev:17 paths.write");
  const cbor::Map inside{{"path", "/home/ann/project/a"}, {"content", "x"}};
  const policy::Decision read_only = Judge("fs.write", inside, Profile("read_only"));
  EXPECT_EQ(read_only.verdict, policy::Verdict::kDeny);
  EXPECT_EQ(read_only.reasons[0].component, policy::Component::kLevel);
  const policy::Policy blind =
      PolicyOf("[levels]\nwrite_files = \"low_risk\"\n[paths]\nwrite = [\"${WORK}/**\"]\n");
  EXPECT_EQ(Judge("fs.write", inside, blind).verdict, policy::Verdict::kDeny)
      << "the digest of what is replaced would be told";
}

TEST(PlanTest, WhatToolsRunUnaskedWaitsForAnApproval) {
  const policy::Policy policy = Profile("local_dev");
  const Plan plan =
      Planned("fs.write",
              {{"path", "/home/ann/project/.git/hooks/post-checkout"}, {"content", "x"}}, policy);
  EXPECT_EQ(plan.call.risk, policy::Risk::kElevated);
  EXPECT_NE(plan.call.contribution & policy::kExfilVector, 0);
  EXPECT_EQ(Decided(plan, policy).verdict, policy::Verdict::kAsk);
}

TEST(PlanTest, ContentThatCameAsADescriptorStandsInTheSpec) {
  const Capability& write = *FindCapability("fs.write");
  const Input input{70'000, cbor::Bytes(32, 1)};
  const Result<cbor::Map> args = Bind(write, cbor::Map{{"path", "/home/ann/project/a"}}, &input);
  ASSERT_TRUE(args);
  Result<Plan> plan = MakePlan(write, *args, Profile("local_dev"), Session());
  ASSERT_TRUE(plan) << plan.error().message;
  plan->spec.call_id = cbor::Bytes(16);
  EXPECT_TRUE(plan->spec.has_input);
  EXPECT_EQ(plan->spec.input_bytes, 70'000u);
  const Result<sandbox::Spec> back = sandbox::SpecFromValue(sandbox::ToValue(plan->spec));
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->has_input);
  EXPECT_EQ(back->input_bytes, 70'000u);
}

TEST(PlanTest, ReadOnlyRunsNothing) {
  const policy::Decision decision = Judge("proc.exec", kId, Profile("read_only"));
  EXPECT_EQ(decision.verdict, policy::Verdict::kDeny);
  EXPECT_EQ(decision.reasons[0].component, policy::Component::kLevel);
}

TEST(PlanTest, LocalDevRunsAnythingInWorkWithoutNetwork) {
  const policy::Policy policy = Profile("local_dev");
  const Plan plan =
      Planned("proc.exec", {{"argv", cbor::Array{"id"}}, {"timeout_ms", 5000u}}, policy);
  EXPECT_EQ(Decided(plan, policy).verdict, policy::Verdict::kAllow);
  EXPECT_EQ(plan.spec.work_class, sandbox::WorkClass::kExec);
  EXPECT_EQ(plan.spec.limits.wall_ms, 5000u);
  EXPECT_TRUE(plan.template_spec.work_writable && plan.template_spec.work_exec);
  EXPECT_EQ(plan.template_spec.program_trees, policy.program_trees);
  EXPECT_TRUE(plan.footprint.runs_program && plan.footprint.writes && plan.footprint.within_grants);
  EXPECT_FALSE(plan.footprint.network);
  EXPECT_EQ(plan.call.contribution, policy::kPrivateData)
      << "no egress, so neither untrusted nor a sink";
  for (const sandbox::PathRule& rule : plan.spec.landlock) {
    EXPECT_EQ(rule.write, rule.path == kWork) << rule.path;
  }
  const Request request = *DecodeRequest(plan.spec.request);
  EXPECT_EQ(*request.args.Find("cwd"), cbor::Value(kWork));
}

TEST(PlanTest, ProgramsGetWholeTreesOnly) {
  const policy::Policy policy = PolicyOf(
      "[levels]\nrun_exec = \"always\"\nwrite_files = \"always\"\n"
      "[paths]\nread = [\"${WORK}/src/**\", \"${WORK}/*.md\"]\nwrite = [\"${WORK}/build/**\", "
      "\"/srv/**\"]\n"
      "[exec]\nallow = [[\"make\", \"**\"]]\nprogram_trees = [\"/usr\"]\n");
  const Plan plan = Planned(
      "proc.exec", {{"argv", cbor::Array{"make"}}, {"cwd", "/home/ann/project/src"}}, policy);
  EXPECT_EQ(Decided(plan, policy).verdict, policy::Verdict::kAllow);
  std::vector<std::string> rules;
  for (const sandbox::PathRule& rule : plan.spec.landlock) {
    rules.push_back(rule.path + " " + (rule.read ? "r" : "") + (rule.write ? "w" : "") +
                    (rule.exec ? "x" : ""));
  }
  EXPECT_EQ(rules, (std::vector<std::string>{"/home/ann/project/src r", "/home/ann/project/build w",
                                             "/usr rx"}))
      << "`*.md` is no tree, /srv is not in WORK, and only `**` lets programs of WORK run";
  EXPECT_FALSE(plan.template_spec.work_exec);
}

// Regression: programs of a WORK beneath /tmp wrote all of it, where the policy named one tree.
TEST(PlanTest, AWorkBeneathTmpIsGivenToProgramsWholeOrNotAtAll) {
  PlanSession session = Session();
  session.work = "/tmp/project";
  const cbor::Map args = {{"argv", cbor::Array{"id"}}, {"cwd", "/tmp/project"}};
  const auto verdict = [&](const char* profile) {
    const policy::Policy policy = Profile(profile);
    return Decided(Planned("proc.exec", args, policy, session), policy).verdict;
  };
  EXPECT_EQ(verdict("local_dev"), policy::Verdict::kAllow);
  EXPECT_EQ(verdict("test_runner"), policy::Verdict::kDeny);
  session.work = "/home/ann/project";
  EXPECT_EQ(Judge("proc.exec", kId, Profile("test_runner")).verdict, policy::Verdict::kAllow);
}

TEST(PlanTest, ACommandOutsideTheListIsDenied) {
  const policy::Policy policy = PolicyOf(
      "[levels]\nrun_exec = \"always\"\n[paths]\nread = [\"${WORK}/**\"]\n[exec]\nallow = "
      "[[\"make\", \"test\"]]\n");
  EXPECT_EQ(Judge("proc.exec", {{"argv", cbor::Array{"make", "test"}}}, policy).verdict,
            policy::Verdict::kAllow);
  const policy::Decision decision =
      Judge("proc.exec", {{"argv", cbor::Array{"make", "all"}}}, policy);
  EXPECT_EQ(decision.verdict, policy::Verdict::kDeny);
  EXPECT_EQ(decision.reasons[0].rule, "t.toml:8 exec.allow");
  EXPECT_EQ(
      Judge("proc.exec", {{"argv", cbor::Array{"make", "test"}}, {"cwd", "/etc"}}, policy).verdict,
      policy::Verdict::kDeny);
}

TEST(PlanTest, CapabilitiesAreAScopeOfTheirOwn) {
  const policy::Policy policy = PolicyOf(
      "[levels]\nread_files = \"always\"\n[capabilities]\nallow = [\"fs.stat\"]\n[paths]\nread = "
      "[\"${WORK}/**\"]\n");
  EXPECT_EQ(Judge("fs.stat", {{"path", kWork}}, policy).verdict, policy::Verdict::kAllow);
  const policy::Decision decision = Judge("fs.read", {{"path", kWork}}, policy);
  EXPECT_EQ(decision.verdict, policy::Verdict::kDeny);
  EXPECT_EQ(decision.reasons[0].rule, "t.toml:6 capabilities.allow");
}

TEST(PlanTest, DegradedIsMissingFromWhatMustHold) {
  PlanSession session = Session();
  session.degraded = sandbox::Bit(sandbox::Layer::kCgroup);
  const policy::Policy read_only = Profile("read_only");
  const Plan plan = Planned("fs.stat", {{"path", kWork}}, read_only, session);
  EXPECT_EQ(plan.spec.required, sandbox::kAllLayers & ~session.degraded);
  EXPECT_EQ(plan.spec.degraded, session.degraded);
  EXPECT_EQ(Decided(plan, read_only).verdict, policy::Verdict::kAllow);
  session.degraded = sandbox::Bit(sandbox::Layer::kLandlock);
  const policy::Decision decision =
      Decided(Planned("fs.stat", {{"path", kWork}}, read_only, session), read_only);
  EXPECT_EQ(decision.verdict, policy::Verdict::kDeny) << "below the floor of the profile";
  EXPECT_NE(decision.reasons[0].rule.find("isolation.require"), std::string::npos);
}

// The footprint is read from the Spec, so a Spec that grew on its way is seen for what it is.
TEST(PlanTest, ASpecThatAllowsMoreThanThePolicyDoesNotFit) {
  const policy::Policy read_only = Profile("read_only"), local_dev = Profile("local_dev");
  const Plan read = Planned("fs.read", {{"path", kWork}}, read_only);
  const Plan exec = Planned("proc.exec", kId, local_dev);
  const auto fits = [](sandbox::Spec spec, const policy::Policy& policy, auto change) {
    change(spec);
    return FootprintOf(spec, policy, Session()).within_grants;
  };
  using Spec = sandbox::Spec;
  EXPECT_TRUE(fits(read.spec, read_only, [](Spec&) {}));
  EXPECT_FALSE(fits(read.spec, read_only, [](Spec& s) { s.landlock[0].write = true; }));
  EXPECT_FALSE(fits(read.spec, read_only, [](Spec& s) { s.landlock[0].path = "/home/ann"; }));
  EXPECT_FALSE(fits(read.spec, read_only, [](Spec& s) { s.landlock.push_back({"/etc", true}); }));
  EXPECT_FALSE(fits(read.spec, read_only, [](Spec& s) { s.landlock.push_back({"/usr", true}); }))
      << "no programs here";
  EXPECT_FALSE(fits(read.spec, read_only, [](Spec& s) { s.request.clear(); }));
  EXPECT_FALSE(fits(read.spec, read_only, [](Spec& s) {
    Request wider = *DecodeRequest(s.request);
    wider.read_scope.clauses.back().any = true;
    s.request = *EncodeRequest(wider);
  }));
  EXPECT_FALSE(fits(read.spec, read_only, [](Spec& s) {
    s.work_class = sandbox::WorkClass::kExec;
    s.landlock[0].exec = true;
  }));
  EXPECT_TRUE(fits(exec.spec, local_dev, [](Spec&) {}));
  EXPECT_FALSE(fits(exec.spec, read_only, [](Spec&) {}));
  EXPECT_FALSE(fits(exec.spec, local_dev, [](Spec& s) { s.landlock.push_back({"/", true}); }));
  EXPECT_FALSE(fits(exec.spec, local_dev,
                    [](Spec& s) { s.landlock.push_back({"/usr", true, true, true}); }));
  EXPECT_FALSE(
      fits(exec.spec, local_dev, [](Spec& s) { s.landlock.push_back({"/home/ann/.ssh", true}); }));
}

TEST(PlanTest, AWorkNamedLikeAPatternIsOneDirectory) {
  PlanSession session = Session();
  session.work = "/srv/a*[b]";
  const policy::Policy policy = Profile("read_only");
  EXPECT_EQ(
      Decided(Planned("fs.stat", {{"path", "/srv/a*[b]/x"}}, policy, session), policy).verdict,
      policy::Verdict::kAllow);
  EXPECT_EQ(Decided(Planned("fs.stat", {{"path", "/srv/aab/x"}}, policy, session), policy).verdict,
            policy::Verdict::kDeny);
}

TEST(PlanTest, AnOversizedCallIsBadData) {
  const cbor::Map args{{"argv", cbor::Array{"echo", std::string(50'000, 'a')}}};
  const Result<Plan> plan =
      MakePlan(*FindCapability("proc.exec"), args, Profile("local_dev"), Session());
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, ExitCode::kBadData);
}

}  // namespace
}  // namespace krux::runtime
