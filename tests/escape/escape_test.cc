// Every misbehaviour program of this folder, run as a program that an agent could have brought: in
// WORK, through the real krux-mountd and krux-spawnd, as root and rootless. It has to say that it was
// contained, and how; and the host has to look as before.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/request.h"
#include "tests/escape/cases.h"
#include "tests/escape/control.h"

namespace krux::sandbox {
namespace {

cbor::Bytes Request(const Spec& spec, const Scene& scene) {
  runtime::Request request;
  request.capability = "proc.exec";
  cbor::Array words;
  for (const std::string& word : scene.Command()) words.emplace_back(word);
  request.args = cbor::Map{{"argv", words}, {"cwd", scene.work().path()}, {"timeout_ms", 10000u}};
  for (const PathRule& rule : spec.landlock) request.grants.push_back({rule.path, rule.read, rule.write, rule.exec});
  return runtime::EncodeRequest(request).value();
}

// The program's verdict: its stdout, or how the call ended where it could not speak.
std::string Verdict(const Event& event) {
  if (const auto* failed = std::get_if<Failed>(&event)) return "failed: " + failed->error.message;
  const auto* done = std::get_if<Done>(&event);
  if (done == nullptr) return "no end";
  if (done->end == Done::End::kOom) return "contained: mmap: ENOMEM (the cgroup killed it)\n";
  const std::string said = ResultData(*done);
  return said.empty() ? "silent: " + cbor::Diagnostic(ResultMeta(*done)) : said;
}

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
  Scene scene(caller, rootless() ? SpawndHarness::kRootlessId : SpawndHarness::kWorkerId, row().program);
  if (row().prepare != nullptr) row().prepare(scene);
  scene.Remember();

  Result<Spec> spec = (*harness)->Prepare(scene.work().path(), WorkClass::kExec, scene.writable);
  ASSERT_TRUE(spec) << spec.error().message;
  scene.limits.wall_ms = 15'000;
  spec->limits = scene.limits;
  spec->request = Request(*spec, scene);
  const Result<Event> event = (*harness)->RunToEnd(*spec);
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

INSTANTIATE_TEST_SUITE_P(Jail, EscapeTest, testing::Combine(testing::Bool(), testing::ValuesIn(EscapeCases())),
                         [](const auto& row) {
                           return std::string(std::get<1>(row.param).program) +
                                  (std::get<0>(row.param) ? "_rootless" : "_root");
                         });

// A program that fails for another reason than a ring proves nothing. So each one is also run with the
// same bait and nothing in its way, and has to escape.
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

// A setuid file that is there already keeps its bit when it is written through a shared mapping, so a
// tree that holds one is not handed to programs for writing at all.
class SetuidInGrantTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    HarnessOptions options;
    options.rootless = GetParam();
    caller_ = GetParam() ? SpawndHarness::kRootlessId : SpawndHarness::kClientId;
    auto started = SpawndHarness::Start(options);
    ASSERT_TRUE(started) << started.error().message;
    harness_ = std::move(*started);
  }
  void Refuses(const ScratchDir& work, const std::string& names) {
    const Result<Spec> spec = harness_->Prepare(work.path(), WorkClass::kExec, true);
    ASSERT_FALSE(spec) << "a tree with a setuid file was granted for writing";
    EXPECT_EQ(spec.error().code, ExitCode::kDenied) << spec.error().message;
    EXPECT_NE(spec.error().message.find(names), std::string::npos) << spec.error().message;
  }

  uint32_t caller_ = 0;
  std::unique_ptr<SpawndHarness> harness_;
};

TEST_P(SetuidInGrantTest, SetuidAndSetgidFilesAreFoundWhereverTheyLie) {
  for (const unsigned mode : {04755u, 02755u, 06711u, 04000u}) {
    const ScratchDir work(caller_);
    ASSERT_EQ(mkdir((work.path() + "/deep").c_str(), 0700), 0);
    ASSERT_EQ(chown((work.path() + "/deep").c_str(), caller_, caller_), 0);
    work.Write("deep/tool", "#!/bin/sh\n");
    ASSERT_EQ(chmod((work.path() + "/deep/tool").c_str(), mode), 0);
    Refuses(work, "deep/tool");
  }
}

TEST_P(SetuidInGrantTest, ReadOnlyItIsGranted) {
  const ScratchDir work(caller_);
  work.Write("tool", "#!/bin/sh\n");
  ASSERT_EQ(chmod((work.path() + "/tool").c_str(), 04755), 0);
  const Result<Spec> spec = harness_->Prepare(work.path(), WorkClass::kExec, false);
  EXPECT_TRUE(spec) << spec.error().message;
}

// Where krux cannot look but the caller's programs can, it must not guess.
TEST_P(SetuidInGrantTest, ADirectoryOfTheCallersThatCannotBeSearchedIsRefused) {
  const ScratchDir work(caller_);
  const std::string hidden = work.path() + "/hidden";
  ASSERT_EQ(mkdir(hidden.c_str(), 0700), 0);
  work.Write("hidden/tool", "#!/bin/sh\n");
  ASSERT_EQ(chmod((hidden + "/tool").c_str(), 04755), 0);
  // The caller owns it, a group that nobody here has: the owner's own bits still open it.
  ASSERT_EQ(chown(hidden.c_str(), caller_, 64199), 0);
  Refuses(work, "hidden");
}

// The same holds for capabilities of a file, which write(2) would take away and a mapping does not.
TEST_P(SetuidInGrantTest, AFileWithCapabilitiesIsRefused) {
  const ScratchDir work(caller_);
  work.Write("server", "#!/bin/sh\n", 0755);
  vfs_cap_data caps{};
  caps.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  caps.data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
  ASSERT_EQ(setxattr((work.path() + "/server").c_str(), "security.capability", &caps, sizeof caps, 0), 0);
  Refuses(work, "server");
}

// Deeper than one path can say, and still within a program's reach: step by step.
TEST_P(SetuidInGrantTest, AFileDeeperThanAnyPathIsNotMissed) {
  const ScratchDir work(caller_);
  const std::string name(200, 'd');
  UniqueFd at(open(work.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < 25; ++i) {
    ASSERT_EQ(mkdirat(at.get(), name.c_str(), 0755), 0);
    ASSERT_EQ(fchownat(at.get(), name.c_str(), caller_, caller_, 0), 0);
    at = UniqueFd(openat(at.get(), name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(at.valid());
  }
  const UniqueFd tool(openat(at.get(), "tool", O_CREAT | O_WRONLY | O_CLOEXEC, 0755));
  ASSERT_EQ(fchown(tool.get(), caller_, caller_), 0);
  ASSERT_EQ(fchmod(tool.get(), 04755), 0);
  Refuses(work, "dddd");
}

INSTANTIATE_TEST_SUITE_P(Modes, SetuidInGrantTest, testing::Bool(),
                         [](const auto& row) { return row.param ? "Rootless" : "Root"; });

}  // namespace
}  // namespace krux::sandbox
