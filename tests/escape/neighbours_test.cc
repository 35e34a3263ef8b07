// Two calls at once, of two callers' sessions: what the one has is not there for the other, whether
// they run on the same krux-spawnd or not.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/request.h"
#include "tests/escape/jail.h"

namespace krux::sandbox {
namespace {

class NeighboursTest : public testing::TestWithParam<bool> {
 protected:
  static cbor::Bytes Shell(const Spec& spec, const std::string& work, const std::string& script) {
    runtime::Request request;
    request.capability = "proc.exec";
    request.args = cbor::Map{
        {"argv", cbor::Array{"/bin/sh", "-c", script}}, {"cwd", work}, {"timeout_ms", 15'000u}};
    for (const PathRule& rule : spec.landlock)
      request.grants.push_back({rule.path, rule.read, rule.write, rule.exec});
    return runtime::EncodeRequest(request).value();
  }
};

// Bounded: the other call says that it is ready by a file in its own WORK.
bool Appears(const std::string& path) {
  for (int i = 0; i < 1000; ++i) {
    if (access(path.c_str(), F_OK) == 0) return true;
    poll(nullptr, 0, 10);
  }
  return false;
}

TEST_P(NeighboursTest, OneCallSeesNothingOfAnother) {
  ASSERT_EQ(geteuid(), 0u);
  HarnessOptions options;
  options.rootless = GetParam();
  auto harness = SpawndHarness::Start(options);
  ASSERT_TRUE(harness) << harness.error().message;
  const uint32_t caller = GetParam() ? SpawndHarness::kRootlessId : SpawndHarness::kClientId;
  const ScratchDir first(caller), second(caller);
  first.Write("secret", "of the first call\n", 0666);

  // The first call: a file in its /tmp, a queue of its own, a process that waits.
  Result<Spec> one = (*harness)->Prepare(first.path(), WorkClass::kExec, true);
  ASSERT_TRUE(one) << one.error().message;
  one->request = Shell(*one, first.path(),
                       "echo mine > /tmp/mark; ipcmk -Q > /dev/null; echo > ready; exec sleep 14");
  ASSERT_TRUE((*harness)->client().Spawn(*one));
  const Result<Event> ready = (*harness)->Wait();
  ASSERT_TRUE(ready && std::holds_alternative<Ready>(*ready));
  ASSERT_TRUE((*harness)->client().Go(one->call_id));
  ASSERT_TRUE(Appears(first.path() + "/ready"));

  // The second looks for all of it. Each line it prints is something it should not have seen.
  Result<Spec> two = (*harness)->Prepare(second.path(), WorkClass::kExec, true);
  ASSERT_TRUE(two) << two.error().message;
  two->request = Shell(
      *two, second.path(),
      "[ ! -e /tmp/mark ] || echo its /tmp; [ ! -e " + first.path() +
          " ] || echo its WORK; [ $(ipcs -q | grep -c 0x) = 0 ] || echo its queue; "
          "for p in $(seq 3 300); do kill -0 $p 2>/dev/null && [ $p != $$ ] && echo process $p; "
          "done; ls /proc | grep -E '^[0-9]+$' | while read p; do "
          "[ \"$(cat /proc/$p/comm 2>/dev/null)\" != sleep ] || echo its process; done; exit 0");
  ASSERT_TRUE((*harness)->client().Spawn(*two));
  const Result<Event> second_ready = (*harness)->Wait();
  ASSERT_TRUE(second_ready && std::holds_alternative<Ready>(*second_ready));
  ASSERT_TRUE((*harness)->client().Go(two->call_id));
  const Result<Event> event = (*harness)->Wait();
  ASSERT_TRUE(event);
  const auto* done = std::get_if<Done>(&*event);
  ASSERT_NE(done, nullptr);
  EXPECT_EQ(done->call_id, two->call_id) << "the first call ended before the second had looked";
  EXPECT_EQ(ResultData(*done), "");
  EXPECT_EQ(cbor::Diagnostic(ResultMeta(*done)).find("\"exit\": 0") != std::string::npos, true)
      << cbor::Diagnostic(ResultMeta(*done));
  // The same look from the first call's own place finds what is there: the look can see.
  ASSERT_TRUE((*harness)->client().Cancel(one->call_id));
  one->call_id = FreshId();
  one->request =
      Shell(*one, first.path(),
            "echo mine > /tmp/mark; ipcmk -Q > /dev/null; [ ! -e /tmp/mark ] || echo its "
            "/tmp; [ $(ipcs -q | grep -c 0x) = 0 ] || echo its queue; [ ! -e " +
                first.path() + " ] || echo its WORK");
  ASSERT_TRUE((*harness)->Wait());  // the end of the cancelled one
  const Result<Event> own = (*harness)->RunToEnd(*one);
  ASSERT_TRUE(own && std::holds_alternative<Done>(*own));
  EXPECT_EQ(ResultData(std::get<Done>(*own)), "its /tmp\nits queue\nits WORK\n");
}

INSTANTIATE_TEST_SUITE_P(Modes, NeighboursTest, testing::Bool(),
                         [](const auto& row) { return row.param ? "Rootless" : "Root"; });

}  // namespace
}  // namespace krux::sandbox
