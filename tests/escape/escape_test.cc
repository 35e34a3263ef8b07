// Every misbehaviour program of this folder, run as a program that an agent could have brought: in
// WORK, through the real krux-mountd and krux-spawnd, as root and rootless. It has to say that it
// was contained, and how; and the host has to look as before.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/request.h"
#include "tests/escape/cases.h"
#include "tests/escape/control.h"
#include "tests/escape/jail.h"

namespace krux::sandbox {
namespace {

class EscapeTest : public testing::TestWithParam<std::tuple<bool, EscapeCase>> {
 protected:
  bool rootless() const { return std::get<0>(GetParam()); }
  const EscapeCase& row() const { return std::get<1>(GetParam()); }
};

TEST_P(EscapeTest, IsContained) {
  ASSERT_EQ(geteuid(), 0u) << "these tests start daemons under ids of their own and need root";
  HarnessOptions options;
  options.rootless = rootless();
  auto harness = SpawndHarness::Start(options);
  ASSERT_TRUE(harness) << harness.error().message;
  const uint32_t caller = rootless() ? SpawndHarness::kRootlessId : SpawndHarness::kClientId;
  Scene scene(caller, rootless() ? SpawndHarness::kRootlessId : SpawndHarness::kWorkerId,
              row().program);
  if (row().prepare != nullptr) row().prepare(scene);
  scene.Remember();

  Result<Spec> spec = (*harness)->Prepare(scene.work().path(), WorkClass::kExec, scene.writable);
  ASSERT_TRUE(spec) << spec.error().message;
  scene.limits.wall_ms = 45'000;
  spec->limits = scene.limits;
  spec->request = ExecRequest(*spec, scene);
  const Result<Event> event = (*harness)->RunToEnd(*spec, nullptr, 60'000);
  ASSERT_TRUE(event) << event.error().message;
  const std::string verdict = Verdict(*event);
  EXPECT_EQ(verdict.find(std::string("contained: ") + row().how), 0u) << verdict;
  EXPECT_EQ(std::count(verdict.begin(), verdict.end(), '\n'), 1) << verdict;
  scene.CheckOutside();

  // What was tried left krux itself unharmed: the same session runs another call.
  spec->call_id = FreshId();
  spec->limits = Limits{};
  spec->limits.memory_bytes = 1ull << 30;
  runtime::Request next = runtime::DecodeRequest(spec->request).value();
  next.args.Set("argv", cbor::Array{"true"});
  spec->request = runtime::EncodeRequest(next).value();
  const Result<Event> again = (*harness)->RunToEnd(*spec);
  ASSERT_TRUE(again) << again.error().message;
  const auto* done = std::get_if<Done>(&*again);
  ASSERT_NE(done, nullptr) << Verdict(*again);
  EXPECT_EQ(done->end, Done::End::kExited);
}

INSTANTIATE_TEST_SUITE_P(Jail, EscapeTest,
                         testing::Combine(testing::Bool(), testing::ValuesIn(EscapeCases())),
                         [](const auto& row) {
                           return std::string(std::get<1>(row.param).program) +
                                  (std::get<0>(row.param) ? "_rootless" : "_root");
                         });

// A program that fails for another reason than a ring proves nothing. So each one is also run with
// the same bait and nothing in its way, and has to escape.
class ControlTest : public testing::TestWithParam<EscapeCase> {};

TEST_P(ControlTest, EscapesWhereNoRingIs) {
  ASSERT_EQ(geteuid(), 0u);
  const EscapeCase& row = GetParam();
  Scene scene(SpawndHarness::kClientId, SpawndHarness::kClientId, row.program);
  if (row.prepare != nullptr) row.prepare(scene);
  const std::string verdict = RunUnconfined(scene, row.control);
  EXPECT_EQ(verdict.find("ESCAPED: "), 0u) << verdict;
}

std::vector<EscapeCase> Controlled() {
  std::vector<EscapeCase> rows;
  for (const EscapeCase& row : EscapeCases()) {
    if (row.control != Control::kNone) rows.push_back(row);
  }
  return rows;
}

INSTANTIATE_TEST_SUITE_P(PlainHost, ControlTest, testing::ValuesIn(Controlled()),
                         [](const auto& row) { return std::string(row.param.program); });

}  // namespace
}  // namespace krux::sandbox
