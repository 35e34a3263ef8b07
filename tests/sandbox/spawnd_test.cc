// One confined process, end to end, through the real krux-mountd and krux-spawnd: what it can read,
// what the receipt says, and that the receipt says the truth.

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <sstream>

#include "runtime/request.h"
#include "sandbox/namespaces.h"
#include "tests/sandbox/spawnd_harness.h"

namespace krux::sandbox {
namespace {

struct Mode {
  bool rootless;
};

class SpawndTest : public testing::TestWithParam<Mode> {
 protected:
  void SetUp() override {
    ASSERT_EQ(geteuid(), 0u) << "these tests start daemons under ids of their own and need root";
    HarnessOptions options;
    options.rootless = GetParam().rootless;
    auto started = SpawndHarness::Start(options);
    ASSERT_TRUE(started) << started.error().message;
    harness_ = std::move(*started);
  }
  uint32_t Owner() const {
    return GetParam().rootless ? SpawndHarness::kRootlessId : SpawndHarness::kClientId;
  }

  std::unique_ptr<SpawndHarness> harness_;
};

cbor::Bytes FsRequest(const Spec& spec, const std::string& cap, const std::string& path) {
  runtime::Request request;
  request.capability = cap;
  request.args = cbor::Map{{"path", path}, {"offset", 0u}, {"limit", 65536u}};
  if (cap == "fs.stat") request.args = cbor::Map{{"path", path}};
  for (const PathRule& rule : spec.landlock)
    request.grants.push_back({rule.path, rule.read, rule.write, rule.exec});
  request.read_scope.clauses.push_back(policy::Clause{});
  request.read_scope.clauses.back().any = true;
  return runtime::EncodeRequest(request).value();
}

cbor::Bytes ExecRequest(const Spec& spec, const std::vector<std::string>& argv,
                        const std::string& cwd) {
  runtime::Request request;
  request.capability = "proc.exec";
  cbor::Array words;
  for (const std::string& word : argv) words.emplace_back(word);
  request.args = cbor::Map{{"argv", words}, {"cwd", cwd}, {"timeout_ms", 10000u}};
  for (const PathRule& rule : spec.landlock)
    request.grants.push_back({rule.path, rule.read, rule.write, rule.exec});
  return runtime::EncodeRequest(request).value();
}

std::string Describe(const Event& event) {
  if (const auto* failed = std::get_if<Failed>(&event)) return "failed: " + failed->error.message;
  if (const auto* done = std::get_if<Done>(&event)) {
    return "done end=" + std::to_string(static_cast<int>(done->end)) +
           " status=" + std::to_string(done->status) +
           " meta=" + cbor::Diagnostic(ResultMeta(*done));
  }
  return "other";
}

TEST_P(SpawndTest, ReadsAFileThroughEveryRing) {
  const ScratchDir work(Owner());
  const std::string text = "the quick brown fox\n\x01\x02";
  work.Write("fox.txt", text, 0600);
  Result<Spec> spec = harness_->Prepare(work.path(), WorkClass::kFs, false);
  ASSERT_TRUE(spec) << spec.error().message;
  spec->request = FsRequest(*spec, "fs.read", work.path() + "/fox.txt");
  Receipt receipt;
  Result<Event> event = harness_->RunToEnd(*spec, &receipt);
  ASSERT_TRUE(event) << event.error().message;
  const auto* done = std::get_if<Done>(&*event);
  ASSERT_NE(done, nullptr) << Describe(*event);
  EXPECT_EQ(ResultData(*done), text) << Describe(*event);
  EXPECT_EQ(receipt["idmap"].value, cbor::Value(GetParam().rootless ? "child" : "swap"));
}

TEST_P(SpawndTest, TheCallerIsWhoMadeTheSocketpair) {
  const ScratchDir work(Owner());
  const Result<WorkOpened> opened = harness_->OpenWork(work.path());
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->uid, Owner());
  EXPECT_EQ(opened->gid, Owner());
  EXPECT_EQ(opened->path, work.path());
}

TEST_P(SpawndTest, WhatIsNotGrantedDoesNotExist) {
  const ScratchDir work(Owner());
  work.Write("a", "a");
  Result<Spec> spec = harness_->Prepare(work.path(), WorkClass::kFs, false);
  ASSERT_TRUE(spec) << spec.error().message;
  // A worker made to try it anyway: the request's scope allows everything, the kernel does not.
  spec->landlock.front().path = work.path();
  runtime::Request request =
      runtime::DecodeRequest(FsRequest(*spec, "fs.read", "/etc/shadow")).value();
  request.grants = {{"/", true, false, false}};
  spec->request = runtime::EncodeRequest(request).value();
  Result<Event> event = harness_->RunToEnd(*spec);
  ASSERT_TRUE(event) << event.error().message;
  const auto* done = std::get_if<Done>(&*event);
  ASSERT_NE(done, nullptr) << Describe(*event);
  EXPECT_EQ(ResultData(*done), "");
  const cbor::Value meta = ResultMeta(*done);
  ASSERT_NE(meta.map(), nullptr);
  EXPECT_EQ(*meta.map()->Find("code"), cbor::Value(66u)) << cbor::Diagnostic(meta);
}

TEST_P(SpawndTest, AProgramRunsAsUid1100) {
  const ScratchDir work(Owner());
  Result<Spec> spec = harness_->Prepare(work.path(), WorkClass::kExec, true);
  ASSERT_TRUE(spec) << spec.error().message;
  spec->request = ExecRequest(*spec, {"id", "-u"}, work.path());
  Result<Event> event = harness_->RunToEnd(*spec);
  ASSERT_TRUE(event) << event.error().message;
  const auto* done = std::get_if<Done>(&*event);
  ASSERT_NE(done, nullptr) << Describe(*event);
  EXPECT_EQ(ResultData(*done), "1100\n") << Describe(*event);
}

TEST_P(SpawndTest, WhatAProgramWritesBelongsToTheCaller) {
  const ScratchDir work(Owner());
  Result<Spec> spec = harness_->Prepare(work.path(), WorkClass::kExec, true);
  ASSERT_TRUE(spec) << spec.error().message;
  spec->request = ExecRequest(*spec, {"sh", "-c", "echo made > made.txt"}, work.path());
  Result<Event> event = harness_->RunToEnd(*spec);
  ASSERT_TRUE(event) << event.error().message;
  struct stat st{};
  ASSERT_EQ(stat((work.path() + "/made.txt").c_str(), &st), 0) << Describe(*event);
  EXPECT_EQ(st.st_uid, Owner());
  EXPECT_EQ(st.st_gid, Owner());
}

TEST_P(SpawndTest, AWorkBelowTmpIsSeenOverTheCallsOwnTmp) {
  char name[] = "/tmp/krux-test-XXXXXX";
  const std::string dir = mkdtemp(name);
  ASSERT_EQ(chown(dir.c_str(), Owner(), Owner()), 0);
  std::ofstream(dir + "/seen") << "seen\n";
  std::ofstream("/tmp/krux-test-outside") << "outside\n";
  Result<Spec> spec = harness_->Prepare(dir, WorkClass::kExec, true);
  ASSERT_TRUE(spec) << spec.error().message;
  spec->request =
      ExecRequest(*spec, {"sh", "-c", "cat seen; ls /tmp; touch /tmp/own && echo own"}, dir);
  Result<Event> event = harness_->RunToEnd(*spec);
  unlink((dir + "/seen").c_str());
  rmdir(dir.c_str());
  unlink("/tmp/krux-test-outside");
  ASSERT_TRUE(event) << event.error().message;
  const auto* done = std::get_if<Done>(&*event);
  ASSERT_NE(done, nullptr) << Describe(*event);
  EXPECT_EQ(ResultData(*done), "seen\n" + dir.substr(5) + "\nown\n") << Describe(*event);
}

TEST_P(SpawndTest, ACallThatTakesTooLongIsKilledWithAllItStarted) {
  const ScratchDir work(Owner());
  Result<Spec> spec = harness_->Prepare(work.path(), WorkClass::kExec, true);
  ASSERT_TRUE(spec) << spec.error().message;
  spec->limits.wall_ms = 300;
  spec->request = ExecRequest(*spec, {"sh", "-c", "sleep 60 & sleep 60"}, work.path());
  Result<Event> event = harness_->RunToEnd(*spec);
  ASSERT_TRUE(event) << event.error().message;
  const auto* done = std::get_if<Done>(&*event);
  ASSERT_NE(done, nullptr) << Describe(*event);
  EXPECT_EQ(done->end, Done::End::kTimeout);
}

TEST_P(SpawndTest, AWorkerThatWasNotLetGoDoesNothing) {
  const ScratchDir work(Owner());
  Result<Spec> spec = harness_->Prepare(work.path(), WorkClass::kExec, true);
  ASSERT_TRUE(spec) << spec.error().message;
  spec->request = ExecRequest(*spec, {"touch", "done"}, work.path());
  ASSERT_TRUE(harness_->client().Spawn(*spec));
  Result<Event> ready = harness_->Wait();
  ASSERT_TRUE(ready) << ready.error().message;
  ASSERT_TRUE(std::holds_alternative<Ready>(*ready)) << Describe(*ready);
  ASSERT_TRUE(harness_->client().Cancel(spec->call_id));
  Result<Event> event = harness_->Wait();
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(std::get<Done>(*event).end, Done::End::kCancelled);
  EXPECT_NE(access((work.path() + "/done").c_str(), F_OK), 0);
}

// Programs may write this WORK, so it is scanned for setuid files, which takes a while.
TEST_P(SpawndTest, OtherSessionsGoOnWhileALargeWorkIsLookedThrough) {
  const ScratchDir large(Owner());
  for (int i = 0; i < 40'000; ++i) {
    close(open((large.path() + "/" + std::to_string(i)).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC,
               0644));
  }
  const ScratchDir small(Owner());
  small.Write("a", "a");
  Result<Spec> spec = harness_->Prepare(small.path(), WorkClass::kFs, false);
  ASSERT_TRUE(spec) << spec.error().message;
  spec->request = FsRequest(*spec, "fs.read", small.path() + "/a");
  const Result<WorkOpened> work = harness_->OpenWork(large.path());
  ASSERT_TRUE(work) << work.error().message;
  TemplateSpec writable;
  writable.session_id = FreshId();
  writable.work_class = WorkClass::kExec;
  writable.work_writable = true;
  writable.program_trees = {"/usr"};
  ASSERT_TRUE(harness_->client().BuildTemplate(4711, writable, work->work_id));
  const Result<Event> event = harness_->RunToEnd(*spec);
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_TRUE(std::holds_alternative<Done>(*event))
      << "the call waited for the other session's template";
  const Result<Event> built = harness_->Wait();
  ASSERT_TRUE(built) << built.error().message;
  ASSERT_TRUE(std::holds_alternative<TemplateBuilt>(*built)) << Describe(*built);
  EXPECT_EQ(std::get<TemplateBuilt>(*built).tag, 4711u);
}

std::string Slurp(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// Must be true whatever the receipt says: this test reads /proc itself.
TEST_P(SpawndTest, TheReceiptSaysWhatProcSays) {
  const ScratchDir work(Owner());
  work.Write("a", "a");
  Result<Spec> spec = harness_->Prepare(work.path(), WorkClass::kFs, false);
  ASSERT_TRUE(spec) << spec.error().message;
  spec->request = FsRequest(*spec, "fs.read", work.path() + "/a");
  ASSERT_TRUE(harness_->client().Spawn(*spec));
  Result<Event> event = harness_->Wait();
  ASSERT_TRUE(event) << event.error().message;
  ASSERT_TRUE(std::holds_alternative<Ready>(*event)) << Describe(*event);
  Receipt& receipt = std::get<Ready>(*event).receipt;
  ASSERT_NE(receipt["pid"].value.uint(), nullptr);
  const std::string proc = "/proc/" + std::to_string(*receipt["pid"].value.uint());
  EXPECT_NE(proc, "/proc/" + std::to_string(harness_->spawnd_pid()));

  for (const NamespaceKind& kind : kNamespaces) {
    struct stat theirs{}, ours{};
    ASSERT_EQ(stat((proc + "/ns/" + kind.name).c_str(), &theirs), 0);
    ASSERT_EQ(stat((std::string("/proc/self/ns/") + kind.name).c_str(), &ours), 0);
    EXPECT_NE(theirs.st_ino, ours.st_ino) << kind.name;
    EXPECT_EQ(*receipt["namespaces"].value.map()->Find(kind.name),
              cbor::Value(uint64_t{theirs.st_ino}));
  }
  const std::string status = Slurp(proc + "/status");
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_NE(status.find(std::string(set) + ":\t0000000000000000"), std::string::npos) << set;
    EXPECT_EQ(*receipt["caps"].value.map()->Find(set), cbor::Value("0000000000000000"));
  }
  EXPECT_NE(status.find("NoNewPrivs:\t1"), std::string::npos);
  EXPECT_EQ(receipt["no_new_privs"].value, cbor::Value("1"));
  EXPECT_NE(status.find("Seccomp:\t2"), std::string::npos);
  EXPECT_EQ(receipt["seccomp_mode"].value, cbor::Value("2"));
  const std::string outer =
      std::to_string(GetParam().rootless ? SpawndHarness::kRootlessId : SpawndHarness::kWorkerId);
  EXPECT_NE(status.find("Uid:\t" + outer + "\t" + outer + "\t" + outer + "\t" + outer),
            std::string::npos);
  std::istringstream map(Slurp(proc + "/uid_map"));
  std::string inside, outside, count;
  map >> inside >> outside >> count;
  EXPECT_EQ(inside + " " + outside + " " + count, "1100 " + outer + " 1");
  std::set<std::string> fds;
  DIR* dir = opendir((proc + "/fd").c_str());
  ASSERT_NE(dir, nullptr);
  while (const dirent* entry = readdir(dir)) {
    if (entry->d_name[0] != '.') fds.insert(entry->d_name);
  }
  closedir(dir);
  EXPECT_EQ(fds, (std::set<std::string>{"0", "1", "2", "3", "4"}));
  EXPECT_EQ(receipt["fds"].value.array()->size(), fds.size());
  if (!GetParam().rootless) {
    const std::string cgroup = Slurp(proc + "/cgroup");
    EXPECT_NE(cgroup.find("0::" + *receipt["cgroup"].value.text() + "\n"), std::string::npos)
        << cgroup;
    EXPECT_NE(receipt["cgroup"].value.text()->find("/call-"), std::string::npos);
  } else {
    EXPECT_TRUE(receipt["cgroup"].value.is_null());
  }
  ASSERT_TRUE(harness_->client().Cancel(spec->call_id));
  ASSERT_TRUE(harness_->Wait());
}

TEST_P(SpawndTest, NoNamespaceOrCgroupIsUsedTwice) {
  const ScratchDir work(Owner());
  work.Write("a", "a");
  Result<Spec> spec = harness_->Prepare(work.path(), WorkClass::kFs, false);
  ASSERT_TRUE(spec) << spec.error().message;
  spec->request = FsRequest(*spec, "fs.read", work.path() + "/a");
  std::vector<Spec> specs(3, *spec);
  std::set<std::string> seen;
  for (Spec& each : specs) {
    each.call_id = FreshId();
    ASSERT_TRUE(harness_->client().Spawn(each));
    Result<Event> event = harness_->Wait();
    ASSERT_TRUE(event && std::holds_alternative<Ready>(*event)) << Describe(*event);
    Receipt& receipt = std::get<Ready>(*event).receipt;
    EXPECT_TRUE(seen.insert(cbor::Diagnostic(receipt["namespaces"].value)).second);
    EXPECT_TRUE(seen.insert(cbor::Diagnostic(receipt["pid"].value)).second);
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, SpawndTest, testing::Values(Mode{false}, Mode{true}),
                         [](const auto& row) { return row.param.rootless ? "Rootless" : "Root"; });

class WorkRefusedTest : public testing::Test {};

TEST_F(WorkRefusedTest, FileSystemsThatAnswerForThemselves) {
  auto harness = SpawndHarness::Start({});
  ASSERT_TRUE(harness) << harness.error().message;
  for (const char* dir : {"/proc", "/proc/self", "/sys", "/dev", "/sys/fs/cgroup/unified"}) {
    const Result<WorkOpened> work = (*harness)->OpenWork(dir);
    ASSERT_FALSE(work) << dir;
    EXPECT_EQ(work.error().code, ExitCode::kDenied) << dir << ": " << work.error().message;
  }
}

TEST_F(WorkRefusedTest, FoldersOfKruxItself) {
  const ScratchDir outer;
  const std::string state = outer.path() + "/state";
  ASSERT_EQ(mkdir(state.c_str(), 0700), 0);
  ASSERT_EQ(mkdir((state + "/audit").c_str(), 0700), 0);
  HarnessOptions options;
  options.protected_dirs = {state};
  auto harness = SpawndHarness::Start(options);
  ASSERT_TRUE(harness) << harness.error().message;
  for (const std::string& dir : {outer.path(), state, state + "/audit", std::string("/")}) {
    const Result<WorkOpened> work = (*harness)->OpenWork(dir);
    ASSERT_FALSE(work) << dir;
  }
}

}  // namespace
}  // namespace krux::sandbox
