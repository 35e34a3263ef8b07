#include "bench/policy_step.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "base/digest.h"
#include "base/toml.h"
#include "gateway/client/client.h"
#include "policy/policy_set.h"
#include "policy/policy_state.h"
#include "runtime/plan.h"
#include "runtime/request.h"

namespace krux::bench {
namespace {

constexpr int kSteps = 2'000;
constexpr int kReloads = 50;
constexpr int kRules = 1'000;
constexpr int kFiles = 10;
const std::string kWork = "/home/ann/project";

std::string RulesText(const std::string& name, int rules, int version) {
  std::string text =
      "krux = 1\nname = \"" + name + "\"\n[levels]\nread_files = \"always\"\n[paths]\nread = [\n";
  for (int rule = 0; rule < rules; ++rule) {
    text +=
        "\"${WORK}/module_" + std::to_string(rule) + "/v" + std::to_string(version) + "/*.txt\",\n";
  }
  return text + "]\n";
}

std::vector<policy::PolicySource> RulesFiles(int rules, int version) {
  std::vector<policy::PolicySource> files;
  for (int file = 0; file < kFiles; ++file) {
    const std::string name = "rules_" + std::to_string(file);
    files.push_back(policy::OperatorFile(name + ".toml", RulesText(name, rules / kFiles, version)));
  }
  return files;
}

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

double TimeUs(const std::function<void()>& what) {
  const uint64_t begin = SystemClock().MonotonicNs();
  what();
  return static_cast<double>(SystemClock().MonotonicNs() - begin) / 1000;
}

// The whole step under `policy`, median in µs.
Result<double> StepUs(const policy::Policy& unbound, std::string_view capability,
                      const cbor::Map& args) {
  const policy::Policy policy = policy::ForWork(unbound, kWork);
  const cbor::Bytes id(16, 7);
  const policy::State state = policy::BeginState(policy, id, Sha256(policy.text), 0);
  const runtime::Capability& found = *runtime::FindCapability(capability);
  const runtime::PlanSession session{.work = kWork, .session_id = id, .generation = 1};
  std::vector<double> us;
  policy::Verdict verdict = policy::Verdict::kDeny;
  Result<void> failed;
  for (int step = 0; step < kSteps; ++step) {
    us.push_back(TimeUs([&] {
      const auto bound = runtime::Bind(found, args, nullptr);
      if (!bound) return void(failed = std::unexpected(bound.error()));
      const auto plan = runtime::MakePlan(found, *bound, policy, session);
      if (!plan) return void(failed = std::unexpected(plan.error()));
      verdict = policy::Decide(state, plan->call, plan->footprint, 1).verdict;
    }));
  }
  KRUX_TRY(std::move(failed));
  if (verdict != policy::Verdict::kAllow)
    return Fail(ExitCode::kFailed, "policy", "the measured call is not allowed");
  return Median(std::move(us));
}

}  // namespace

void WriteRules(const std::string& folder, int rules, int version) {
  std::filesystem::create_directories(folder);
  for (const policy::PolicySource& file : RulesFiles(rules, version))
    std::ofstream(folder + "/" + file.file) << file.text;
}

Result<void> PrintPolicyStep(double call_p50_us) {
  const cbor::Map read{{"path", kWork + "/module_50/v0/a.txt"}};
  const cbor::Map exec{{"argv", cbor::Array{"make", "test"}}};
  const policy::Policy local = KRUX_TRY(policy::FindProfile("local_dev"));
  const policy::Policy only = KRUX_TRY(policy::FindProfile("read_only"));
  // As many patterns as one scope may have.
  const policy::Policy rules =
      KRUX_TRY(policy::ParsePolicy(RulesText("many", 256, 0), "many.toml"));
  const struct {
    const char* what;
    double us;
  } rows[] = {
      {"fs.read under read_only", KRUX_TRY(StepUs(only, "fs.read", read))},
      {"fs.read under local_dev", KRUX_TRY(StepUs(local, "fs.read", read))},
      {"proc.exec under local_dev", KRUX_TRY(StepUs(local, "proc.exec", exec))},
      {"fs.read under 256 patterns, met with local_dev",
       KRUX_TRY(StepUs(policy::Meet(local, rules), "fs.read", read))},
  };
  fmt::print(
      "\nthe policy step (bind, plan, decide), p50 in µs, and its share of the call above\n");
  for (const auto& row : rows)
    fmt::print("{:<52}{:>9.1f}{:>9.2f} %\n", row.what, row.us, 100 * row.us / call_p50_us);
  return {};
}

Result<void> MeasureReload(const gateway::GatewayPaths& paths, const std::string& folder) {
  gateway::Client admin = KRUX_TRY(gateway::Client::ConnectAdmin(paths));
  std::vector<double> whole, parse, toml, hash;
  for (int version = 1; version <= kReloads; ++version) {
    WriteRules(folder, kRules, version);
    const auto files = RulesFiles(kRules, version);
    Result<gateway::ReloadReply> reply = gateway::ReloadReply{};
    whole.push_back(TimeUs([&] { reply = admin.Reload(); }));
    if (!reply) return std::unexpected(reply.error());
    parse.push_back(TimeUs([&] { (void)policy::PolicySet::Parse(files); }));
    toml.push_back(TimeUs([&] {
      for (const policy::PolicySource& file : files) (void)ParseToml(file.text, file.file);
    }));
    hash.push_back(TimeUs([&] {
      for (const policy::PolicySource& file : files) (void)Sha256(file.text);
    }));
  }
  const double base = Median(toml);
  fmt::print("\n{} reloads of {} rules in {} files, p50 in µs, and the ratio to TOML alone\n",
             kReloads, kRules, kFiles);
  const auto row = [&](const char* what, const std::vector<double>& us) {
    fmt::print("{:<52}{:>9.0f}{:>9.2f}   max {:.0f}\n", what, Median(us), Median(us) / base,
               std::ranges::max(us));
  };
  row("krux policy reload, until it is in force and durable", whole);
  row("the policies read and judged", parse);
  row("toml++ alone", toml);
  row("SHA-256 of the same bytes", hash);
  return {};
}

}  // namespace krux::bench
