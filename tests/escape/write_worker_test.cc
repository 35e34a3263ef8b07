// The built-in writer with requests that kruxd would never write, in a WORK that somebody else
// works against it: it writes what was granted, as the caller, whole or not at all, and nothing
// else.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/clock.h"
#include "base/sealed_memfd.h"
#include "runtime/request.h"
#include "tests/sandbox/spawnd_harness.h"

namespace krux::sandbox {
namespace {

constexpr char kOld[] = "what stood there before\n";
constexpr char kNew[] = "what the call writes\n";

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

int Temporaries(const std::string& folder) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    count += entry.path().filename().string().starts_with(".krux-") ? 1 : 0;
  return count;
}

UniqueFd Sealed(const std::string& text) {
  UniqueFd fd = SealedMemfd::Create("input", text.size()).value();
  EXPECT_EQ(pwrite(fd.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  EXPECT_TRUE(SealedMemfd::Seal(fd.get()));
  return fd;
}

// Writes `path` with every scope open and `grant` said to be writable.
cbor::Bytes Request(const std::string& path, const std::string& grant,
                    const cbor::Value& content = cbor::Bytes(kNew, kNew + sizeof kNew - 1)) {
  runtime::Request request;
  request.capability = "fs.write";
  request.args = cbor::Map{{"path", path}, {"content", content}};
  request.grants = {{grant, true, true, true}};
  request.read_scope.clauses.push_back(policy::Clause{});
  request.read_scope.clauses.back().any = true;
  request.write_scope = request.read_scope;
  return runtime::EncodeRequest(request).value();
}

class WriteWorkerTest : public testing::TestWithParam<bool> {
 protected:
  WriteWorkerTest()
      : caller_(GetParam() ? SpawndHarness::kRootlessId : SpawndHarness::kClientId),
        work_(caller_),
        outside_(caller_) {}

  void SetUp() override {
    ASSERT_EQ(geteuid(), 0u);
    HarnessOptions options;
    options.rootless = GetParam();
    auto started = SpawndHarness::Start(options);
    ASSERT_TRUE(started) << started.error().message;
    harness_ = std::move(*started);
    outside_.Write("file", kOld);
    Result<Spec> spec = harness_->Prepare(work_.path(), WorkClass::kWrite, true);
    ASSERT_TRUE(spec) << spec.error().message;
    spec_ = std::move(*spec);
  }

  struct Answer {
    int64_t code = -1;  // of the worker; -1: it did not answer
    cbor::Value meta;
    Receipt receipt;
    Done::End end = Done::End::kExited;
  };

  Answer Send(cbor::Bytes request, int input = -1) {
    spec_.call_id = FreshId();
    spec_.request = std::move(request);
    Answer answer;
    const auto fail = [&](const std::string& why) {
      ADD_FAILURE() << why;
      return answer;
    };
    if (!harness_->client().Spawn(spec_, input)) return fail("spawn");
    Result<Event> event = harness_->Wait();
    if (!event) return fail(event.error().message);
    if (const auto* failed = std::get_if<Failed>(&*event)) return fail(failed->error.message);
    answer.receipt = std::get<Ready>(*event).receipt;
    if (!harness_->client().Go(spec_.call_id)) return fail("go");
    event = harness_->Wait();
    if (!event) return fail(event.error().message);
    const auto* done = std::get_if<Done>(&*event);
    if (done == nullptr) return fail("no end");
    answer.end = done->end;
    answer.meta = ResultMeta(*done);
    if (const cbor::Map* meta = answer.meta.map();
        meta != nullptr && meta->Find("code") != nullptr) {
      answer.code = static_cast<int64_t>(*meta->Find("code")->uint());
    }
    return answer;
  }
  Answer Write(const std::string& name) { return Send(Request(In(name), work_.path())); }
  std::string In(const std::string& name) const { return work_.path() + "/" + name; }
  void MakeDir(const std::string& name) const {
    ASSERT_EQ(mkdir(In(name).c_str(), 0755), 0);
    ASSERT_EQ(chown(In(name).c_str(), caller_, caller_), 0);
  }
  void ExpectOwned(const std::string& name, mode_t mode) const {
    struct stat stat = {};
    ASSERT_EQ(lstat(In(name).c_str(), &stat), 0) << name;
    EXPECT_EQ(stat.st_uid, caller_) << name;
    EXPECT_EQ(stat.st_gid, caller_) << name;
    EXPECT_EQ(stat.st_mode, S_IFREG | mode) << name;
  }

  uint32_t caller_;
  ScratchDir work_, outside_;
  std::unique_ptr<SpawndHarness> harness_;
  Spec spec_;
};

TEST_P(WriteWorkerTest, WhatItWritesBelongsToTheCallerOnTheHost) {
  Answer answer = Write("fresh");
  EXPECT_EQ(answer.code, 0) << cbor::Diagnostic(answer.meta);
  EXPECT_EQ(Content(In("fresh")), kNew);
  ExpectOwned("fresh", 0644);
  work_.Write("old", kOld, 0750);
  answer = Write("old");
  EXPECT_EQ(answer.code, 0) << cbor::Diagnostic(answer.meta);
  ExpectOwned("old", 0750);
  EXPECT_EQ(Content(In("old")), kNew);
  EXPECT_EQ(Temporaries(work_.path()), 0);
}

TEST_P(WriteWorkerTest, ASetuidFileLosesItsBitAndAnotherNameKeepsItsContent) {
  work_.Write("tool", kOld);
  ASSERT_EQ(link(In("tool").c_str(), (outside_.path() + "/tool").c_str()), 0);
  ASSERT_EQ(chmod(In("tool").c_str(), 06755), 0);
  const Answer answer = Write("tool");
  EXPECT_EQ(answer.code, 0) << cbor::Diagnostic(answer.meta);
  ExpectOwned("tool", 0755);
  EXPECT_EQ(Content(In("tool")), kNew);
  EXPECT_EQ(Content(outside_.path() + "/tool"), kOld);
}

TEST_P(WriteWorkerTest, AnotherGroupOfTheOldFileGainsNothing) {
  work_.Write("shared", kOld);
  ASSERT_EQ(chown(In("shared").c_str(), caller_, 4711), 0);
  ASSERT_EQ(chmod(In("shared").c_str(), 0660), 0);
  EXPECT_EQ(Write("shared").code, 0);
  ExpectOwned("shared", 0600);
  // Also where the new file has a foreign group, the directory's: nobody here can tell it from the
  // old one's.
  MakeDir("setgid");
  ASSERT_EQ(chown(In("setgid").c_str(), caller_, 4712), 0);
  ASSERT_EQ(chmod(In("setgid").c_str(), 02775), 0);
  work_.Write("setgid/file", kOld);
  ASSERT_EQ(chown(In("setgid/file").c_str(), caller_, 4711), 0);
  ASSERT_EQ(chmod(In("setgid/file").c_str(), 0660), 0);
  const Answer answer = Write("setgid/file");
  EXPECT_EQ(answer.code, 0) << cbor::Diagnostic(answer.meta);
  struct stat stat = {};
  ASSERT_EQ(lstat(In("setgid/file").c_str(), &stat), 0);
  EXPECT_EQ(stat.st_uid, caller_);
  EXPECT_EQ(stat.st_mode, S_IFREG | 0600u);
}

TEST_P(WriteWorkerTest, TheInputComesThroughAndTheReceiptCountsIt) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += static_cast<char>(i * 7 >> 2);
  const UniqueFd input = Sealed(text);
  spec_.has_input = true;
  spec_.input_bytes = text.size();
  const cbor::Map content{{"bytes", uint64_t{text.size()}}, {"sha256", cbor::Bytes(32)}};
  const Answer answer = Send(Request(In("file"), work_.path(), content), input.get());
  EXPECT_EQ(answer.code, 0) << cbor::Diagnostic(answer.meta);
  EXPECT_TRUE(Content(In("file")) == text);
  EXPECT_EQ(answer.receipt.at("fds").value, cbor::Value(cbor::Array{0u, 1u, 2u, 3u, 4u, 5u}));
  spec_.has_input = false;
  spec_.input_bytes = 0;
  EXPECT_EQ(Write("other").receipt.at("fds").value, cbor::Value(cbor::Array{0u, 1u, 2u, 3u, 4u}));
}

TEST_P(WriteWorkerTest, AnInputThatIsNotWhatTheSpecSaysIsRefused) {
  const UniqueFd good = Sealed("12345");
  const UniqueFd unsealed = SealedMemfd::Create("input", 5).value();
  const UniqueFd plain(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  const struct {
    const char* what;
    bool has;
    uint64_t bytes;
    int fd;
  } rows[] = {{"size", true, 4, good.get()},
              {"not said", false, 0, good.get()},
              {"not sent", true, 5, -1},
              {"not sealed", true, 5, unsealed.get()},
              {"no memfd", true, 5, plain.get()}};
  for (const auto& row : rows) {
    Spec spec = spec_;
    spec.call_id = FreshId();
    spec.request = Request(In("file"), work_.path());
    spec.has_input = row.has;
    spec.input_bytes = row.bytes;
    ASSERT_TRUE(harness_->client().Spawn(spec, row.fd));
    const Result<Event> event = harness_->Wait();
    ASSERT_TRUE(event) << event.error().message;
    const auto* failed = std::get_if<Failed>(&*event);
    ASSERT_NE(failed, nullptr) << row.what;
    EXPECT_EQ(failed->error.code, ExitCode::kBadData) << row.what;
  }
  EXPECT_EQ(Write("file").code, 0) << "spawnd goes on";
}

// The kernel has the last word also where the request lies about what was granted.
TEST_P(WriteWorkerTest, AGrantThatTheTemplateDoesNotHaveIsNotThere) {
  for (const std::string& grant : {std::string("/"), std::string("/etc"), outside_.path()}) {
    for (const std::string& path : {outside_.path() + "/file", std::string("/etc/krux-was-here"),
                                    std::string("/krux-was-here"), std::string("/.krux-canary")}) {
      const Answer answer = Send(Request(path, grant));
      EXPECT_GT(answer.code, 0) << path << " below " << grant;
    }
  }
  EXPECT_EQ(Content(outside_.path() + "/file"), kOld);
  EXPECT_FALSE(std::filesystem::exists("/etc/krux-was-here"));
  EXPECT_FALSE(std::filesystem::exists("/krux-was-here"));
}

TEST_P(WriteWorkerTest, LandlockHoldsWhereOnlyAPartOfWorkWasGranted) {
  MakeDir("docs");
  work_.Write("file", kOld);
  spec_.landlock = {{In("docs"), true, true, false}};
  const Answer outside = Write("file");
  EXPECT_EQ(outside.code, ToInt(ExitCode::kFailed)) << cbor::Diagnostic(outside.meta);
  EXPECT_NE(cbor::Diagnostic(outside.meta).find("ermission denied"), std::string::npos)
      << "EACCES: the session has it, this call has not: " << cbor::Diagnostic(outside.meta);
  EXPECT_EQ(Write("fresh").code, ToInt(ExitCode::kFailed));
  EXPECT_EQ(Content(In("file")), kOld);
  EXPECT_FALSE(std::filesystem::exists(In("fresh")));
  const Answer inside = Write("docs/file");
  EXPECT_EQ(inside.code, 0) << cbor::Diagnostic(inside.meta);
  ExpectOwned("docs/file", 0644);
}

// Files of a file system that cannot map owners would belong to nobody: refused, with the reason.
TEST(WriteWorkerIdmap, WithoutAMapOfOwnersThereIsNoTemplateToWriteIn) {
  auto harness = SpawndHarness::Start({});
  ASSERT_TRUE(harness) << harness.error().message;
  const ScratchDir parts, work(SpawndHarness::kClientId);
  for (const char* part : {"/lower", "/upper", "/work"})
    ASSERT_EQ(mkdir((parts.path() + part).c_str(), 0777), 0);
  const std::string options = "lowerdir=" + parts.path() + "/lower,upperdir=" + parts.path() +
                              "/upper,workdir=" + parts.path() + "/work";
  if (mount("overlay", work.path().c_str(), "overlay", 0, options.c_str()) != 0)
    GTEST_SKIP() << "no overlayfs here";
  ASSERT_EQ(chmod(work.path().c_str(), 0777), 0);
  const Result<Spec> read = (*harness)->Prepare(work.path(), WorkClass::kFs, false);
  const Result<Spec> write = (*harness)->Prepare(work.path(), WorkClass::kWrite, true);
  umount2(work.path().c_str(), MNT_DETACH);
  EXPECT_TRUE(read) << "reading goes on: " << read.error().message;
  ASSERT_FALSE(write);
  EXPECT_EQ(write.error().code, ExitCode::kSandbox);
  EXPECT_NE(write.error().message.find("would not belong to the caller"), std::string::npos)
      << write.error().message;
}

// LandlockHolds… with the layer off: then nothing stops the write, so it is Landlock that did.
TEST(WriteWorkerLayerOff, WithoutLandlockTheWholeOfWorkIsWritten) {
  HarnessOptions options;
  options.hooks = true;
  options.spawnd_flags = {"--test-ignore-receipt", "--test-skip", "landlock"};
  auto harness = SpawndHarness::Start(options);
  ASSERT_TRUE(harness) << harness.error().message;
  const ScratchDir work(SpawndHarness::kClientId);
  work.Write("docs", "");
  work.Write("file", kOld);
  Result<Spec> spec = (*harness)->Prepare(work.path(), WorkClass::kWrite, true);
  ASSERT_TRUE(spec) << spec.error().message;
  spec->landlock = {{work.path() + "/docs", true, true, false}};
  spec->request = Request(work.path() + "/file", work.path());
  const Result<Event> event = (*harness)->RunToEnd(*spec);
  ASSERT_TRUE(event) << event.error().message;
  ASSERT_TRUE(std::holds_alternative<Done>(*event));
  EXPECT_EQ(Content(work.path() + "/file"), kNew);
}

TEST_P(WriteWorkerTest, InATemplateThatIsReadOnlyNothingIsWritten) {
  work_.Write("file", kOld);
  const Result<Spec> spec = harness_->Prepare(work_.path(), WorkClass::kWrite, false);
  ASSERT_TRUE(spec) << spec.error().message;
  spec_ = *spec;
  spec_.landlock.front().write = true;  // only the mount is left
  const Answer answer = Write("file");
  EXPECT_EQ(answer.code, ToInt(ExitCode::kFailed)) << cbor::Diagnostic(answer.meta);
  EXPECT_EQ(Content(In("file")), kOld);
}

// Swaps what two names are, as fast as it can.
class Swapper {
 public:
  Swapper(std::string a, std::string b)
      : thread_([this, a = std::move(a), b = std::move(b)] {
          while (!stop_) {
            if (renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) ++swaps_;
          }
        }) {}
  ~Swapper() {
    stop_ = true;
    thread_.join();
  }
  int swaps() const { return swaps_; }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<int> swaps_ = 0;
  std::thread thread_;
};

TEST_P(WriteWorkerTest, APathThatChangesDuringTheCallNeverLeadsOut) {
  const std::string relative = "../" + outside_.path().substr(sizeof("/var/tmp"));
  MakeDir("dir");
  work_.Write("dir/file", kOld);
  ASSERT_EQ(symlink(relative.c_str(), In("dir-link").c_str()), 0);
  work_.Write("name", kOld);
  ASSERT_EQ(symlink((relative + "/file").c_str(), In("name-link").c_str()), 0);
  const struct {
    const char *a, *b, *write;
  } rows[] = {{"dir", "dir-link", "dir/file"}, {"name", "name-link", "name"}};
  for (const auto& row : rows) {
    Swapper swapper(In(row.a), In(row.b));
    int written = 0;
    const uint64_t end = SystemClock().MonotonicNs() + 700'000'000;
    for (int i = 0; i < 60 && SystemClock().MonotonicNs() < end; ++i) {
      const Answer answer = Write(row.write);
      ASSERT_GE(answer.code, 0);
      written += answer.code == 0 ? 1 : 0;
      ASSERT_EQ(Content(outside_.path() + "/file"), kOld) << row.a;
    }
    RecordProperty(std::string(row.a) + "_written", written);
    EXPECT_GT(swapper.swaps(), 0);
  }
  int names = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(outside_.path()))
    ++names;
  EXPECT_EQ(names, 1) << "something was left outside";
}

// Killed at any moment: the old file or the new one, whole, and at most one file beside it.
TEST_P(WriteWorkerTest, AKilledWriterLeavesOneOfTheTwo) {
  const std::string text(8 << 20, 'n');
  const std::string old(1 << 20, 'o');
  const UniqueFd input = Sealed(text);
  const cbor::Map content{{"bytes", uint64_t{text.size()}}, {"sha256", cbor::Bytes(32)}};
  const cbor::Bytes request = Request(In("file"), work_.path(), content);
  int killed = 0, finished = 0;
  for (uint64_t wall_ms = 1; wall_ms <= 24; ++wall_ms) {
    work_.Write("file", old, 0600);
    spec_.has_input = true;
    spec_.input_bytes = text.size();
    spec_.limits.wall_ms = wall_ms * wall_ms / 4 + 1;
    const int before = Temporaries(work_.path());
    const Answer answer = Send(request, input.get());
    const std::string now = Content(In("file"));
    EXPECT_TRUE(now == old || now == text) << wall_ms << ": " << now.size() << " bytes";
    EXPECT_LE(Temporaries(work_.path()), before + 1);
    if (answer.end == Done::End::kTimeout)
      ++killed;
    else
      ++finished;
  }
  EXPECT_GT(killed, 0) << "no deadline was short enough";
  EXPECT_GT(finished, 0) << "no deadline was long enough";
}

INSTANTIATE_TEST_SUITE_P(Modes, WriteWorkerTest, testing::Bool(),
                         [](const auto& row) { return row.param ? "Rootless" : "Root"; });

}  // namespace
}  // namespace krux::sandbox
