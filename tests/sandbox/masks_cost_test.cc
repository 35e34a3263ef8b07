// What hiding secrets costs: the first call of a session (the walk), and every further one, against
// the same without a secret in the policy, taking turns. KRUX_MASK_ROUNDS=200 measures; what stands
// here by itself only shows that it works and bounds the absurd.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "policy/policy_file.h"
#include "runtime/request.h"
#include "tests/sandbox/spawnd_harness.h"

namespace krux::sandbox {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

int Rounds(int standard) {
  const char* rounds = std::getenv("KRUX_MASK_ROUNDS");
  return rounds != nullptr ? std::atoi(rounds) : standard;
}

double MicrosSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

class MasksCost : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_EQ(geteuid(), 0u) << "these tests start daemons under ids of their own and need root";
    HarnessOptions options;
    options.rootless = GetParam();
    auto started = SpawndHarness::Start(options);
    ASSERT_TRUE(started) << started.error().message;
    harness_ = std::move(*started);
  }
  uint32_t Owner() const {
    return GetParam() ? SpawndHarness::kRootlessId : SpawndHarness::kClientId;
  }
  // A template under the list that local_dev ships with, or under none.
  Spec Prepared(const ScratchDir& work, bool secrets, bool writable = true) {
    const policy::Policy policy = policy::ForWork(*policy::FindProfile("local_dev"), work.path());
    Result<Spec> spec =
        harness_->Prepare(work.path(), WorkClass::kExec, writable,
                          secrets ? *runtime::EncodeSecrets(policy.secret_paths) : cbor::Bytes());
    EXPECT_TRUE(spec) << spec.error().message;
    runtime::Request request;
    request.capability = "proc.exec";
    request.args =
        cbor::Map{{"argv", cbor::Array{"true"}}, {"cwd", work.path()}, {"timeout_ms", 20000u}};
    for (const PathRule& rule : spec->landlock)
      request.grants.push_back({rule.path, rule.read, rule.write, rule.exec});
    spec->request = runtime::EncodeRequest(request).value();
    return *spec;
  }
  double CallMicros(Spec& spec) {
    spec.call_id = FreshId();
    const auto begin = Clock::now();
    const Result<Event> event = harness_->RunToEnd(spec);
    const double micros = MicrosSince(begin);
    EXPECT_TRUE(event && std::holds_alternative<Done>(*event));
    return micros;
  }

  std::unique_ptr<SpawndHarness> harness_;
};

TEST_P(MasksCost, OfACall) {
  const ScratchDir plain(Owner()), full(Owner());
  for (int i = 0; i < 64; ++i) {
    const std::string dir = full.path() + "/d" + std::to_string(i);
    fs::create_directory(dir);
    std::ofstream(dir + "/.env") << "x";
  }
  Spec none = Prepared(plain, false), watched = Prepared(plain, true),
       masked = Prepared(full, true);
  std::vector<double> a, b, c;
  for (int i = 0, n = Rounds(5); i < n; ++i) {
    a.push_back(CallMicros(none));
    b.push_back(CallMicros(watched));
    c.push_back(CallMicros(masked));
  }
  std::cout << "proc.exec true, p50 us: no secrets in the policy " << Median(a) << ", none in WORK "
            << Median(b) << " (" << Median(b) / Median(a) << "), 64 masks " << Median(c) << " ("
            << Median(c) / Median(a) << ") of " << a.size() << "\n";
  EXPECT_LT(Median(c), 20 * Median(a));
}

TEST_P(MasksCost, OfTheFirstCallInALargeTree) {
  const ScratchDir work(Owner());
  const int directories = std::getenv("KRUX_MASK_ROUNDS") != nullptr ? 5000 : 200;
  for (int i = 0; i < directories; ++i) {
    const std::string dir = work.path() + "/p" + std::to_string(i / 50) + "/d" + std::to_string(i);
    fs::create_directories(dir);
    for (int f = 0; f < 9; ++f) std::ofstream(dir + "/file" + std::to_string(f) + ".js") << "x";
  }
  std::vector<double> a, b, c, d;
  for (int i = 0, n = std::min(Rounds(3), 15); i < n; ++i) {
    const auto timed = [&](bool secrets, bool writable) {
      const auto begin = Clock::now();
      (void)Prepared(work, secrets, writable);
      return MicrosSince(begin);
    };
    a.push_back(timed(false, false));
    b.push_back(timed(true, false));
    c.push_back(timed(false, true));
    d.push_back(timed(true, true));
  }
  std::cout << "template of " << directories * 10 << " entries, p50 us: read-only " << Median(a)
            << ", with the watch " << Median(b) << "; writable (searched for setuid files) "
            << Median(c) << ", with the watch " << Median(d) << "\n";
  EXPECT_LT(Median(d), 10'000'000);
}

INSTANTIATE_TEST_SUITE_P(Modes, MasksCost, testing::Values(false, true),
                         [](const auto& info) { return info.param ? "rootless" : "root"; });

}  // namespace
}  // namespace krux::sandbox
