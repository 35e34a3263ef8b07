// The built-in file worker with requests that kruxd would never write, on targets that a hostile
// WORK would hold: it must neither hang, nor read what is not granted, nor open anything but a
// file.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "base/clock.h"
#include "runtime/request.h"
#include "tests/sandbox/spawnd_harness.h"

namespace krux::sandbox {
namespace {

constexpr char kSecret[] = "what the host keeps to itself\n";

class FsWorkerTest : public testing::TestWithParam<bool> {
 protected:
  FsWorkerTest()
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
    outside_.Write("secret", kSecret);
    Result<Spec> spec = harness_->Prepare(work_.path(), WorkClass::kFs, false);
    ASSERT_TRUE(spec) << spec.error().message;
    spec_ = std::move(*spec);
  }

  struct Answer {
    int64_t code = -1;  // of the worker; -1: it did not answer
    std::string data;
    cbor::Value meta;
  };

  // A request for `path` whose scope allows everything and which is granted `grant`.
  cbor::Bytes Request(const std::string& cap, const std::string& path, const std::string& grant,
                      uint64_t offset = 0) {
    runtime::Request request;
    request.capability = cap;
    request.args = cap == "fs.stat"
                       ? cbor::Map{{"path", path}}
                       : cbor::Map{{"path", path}, {"offset", offset}, {"limit", 4096u}};
    request.grants = {{grant, true, true, true}};
    request.read_scope.clauses.push_back(policy::Clause{});
    request.read_scope.clauses.back().any = true;
    return runtime::EncodeRequest(request).value();
  }

  Answer Send(cbor::Bytes request) {
    spec_.call_id = FreshId();
    spec_.request = std::move(request);
    spec_.limits.wall_ms = 5000;
    const Result<Event> event = harness_->RunToEnd(spec_);
    Answer answer;
    if (!event) {
      ADD_FAILURE() << event.error().message;
      return answer;
    }
    const auto* done = std::get_if<Done>(&*event);
    if (done == nullptr) {
      const auto* failed = std::get_if<Failed>(&*event);
      ADD_FAILURE() << (failed != nullptr ? failed->error.message : "no end");
      return answer;
    }
    EXPECT_EQ(done->end, Done::End::kExited)
        << "the worker hung or crashed, status " << done->status;
    answer.meta = ResultMeta(*done);
    answer.data = ResultData(*done);
    if (const cbor::Map* meta = answer.meta.map();
        meta != nullptr && meta->Find("code") != nullptr) {
      answer.code = static_cast<int64_t>(*meta->Find("code")->uint());
    }
    return answer;
  }
  Answer Read(const std::string& name, uint64_t offset = 0) {
    return Send(Request("fs.read", work_.path() + "/" + name, work_.path(), offset));
  }
  std::string In(const std::string& name) const { return work_.path() + "/" + name; }

  void Own(const std::string& name) const {
    ASSERT_EQ(lchown(In(name).c_str(), caller_, caller_), 0);
  }

  uint32_t caller_;
  ScratchDir work_, outside_;
  std::unique_ptr<SpawndHarness> harness_;
  Spec spec_;
};

TEST_P(FsWorkerTest, OnlyRegularFilesAreOpened) {
  ASSERT_EQ(mkfifo(In("pipe").c_str(), 0666), 0);
  ASSERT_EQ(mknod(In("null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  ASSERT_EQ(mknod(In("disk").c_str(), S_IFBLK | 0666, makedev(254, 0)), 0);
  ASSERT_EQ(mkdir(In("dir").c_str(), 0755), 0);
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, In("socket").c_str());
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  for (const char* name : {"pipe", "null", "disk", "socket"}) {
    Own(name);
    ASSERT_EQ(chmod(In(name).c_str(), 0666), 0);
  }
  for (const char* name : {"pipe", "null", "disk", "socket", "dir"}) {
    const Answer answer = Read(name);
    EXPECT_EQ(answer.code, ToInt(ExitCode::kBadData))
        << name << " " << cbor::Diagnostic(answer.meta);
    EXPECT_EQ(answer.data, "") << name;
    // Seen without being opened.
    EXPECT_EQ(Send(Request("fs.stat", In(name), work_.path())).code, 0) << name;
  }
  EXPECT_LT(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK), 0);
  EXPECT_EQ(Read("pipe/below").code, ToInt(ExitCode::kNotFound));
}

TEST_P(FsWorkerTest, ASparseFileOfOneTebibyteCostsNoMoreThanItsAnswer) {
  constexpr off_t kSize = off_t{1} << 40;
  work_.Write("sparse", "");
  ASSERT_EQ(truncate(In("sparse").c_str(), kSize), 0);
  const Answer start = Read("sparse");
  EXPECT_EQ(start.code, 0) << cbor::Diagnostic(start.meta);
  EXPECT_EQ(start.data, std::string(4096, '\0'));
  EXPECT_EQ(Read("sparse", kSize - 10).data, std::string(10, '\0'));
  for (const uint64_t offset :
       {uint64_t{kSize}, uint64_t{INT64_MAX}, UINT64_MAX, UINT64_MAX - 4095}) {
    EXPECT_EQ(Read("sparse", offset).data, "") << offset;
  }
}

TEST_P(FsWorkerTest, LinksThatLeaveTheGrantLeadNowhere) {
  const std::string secret = outside_.path() + "/secret";
  const std::string relative = "../" + secret.substr(sizeof("/var/tmp"));
  const struct {
    const char* name;
    std::string target;
  } links[] = {{"absolute", secret},
               {"relative", relative},
               {"magic", "/proc/self/root" + secret},
               {"magic-fd", "/proc/self/fd/3"},
               {"magic-cwd", "/proc/self/cwd"},
               {"root", "/"},
               {"up", ".."},
               {"chain", "relative"},
               {"loop", "loop"},
               {"canary", "/.krux-canary"}};
  for (const auto& link : links) {
    ASSERT_EQ(symlink(link.target.c_str(), In(link.name).c_str()), 0);
    Own(link.name);
    const Answer answer = Read(link.name);
    EXPECT_GT(answer.code, 0) << link.name << " " << cbor::Diagnostic(answer.meta);
    EXPECT_EQ(answer.data, "") << link.name;
  }
  for (const std::string& path : {"root" + secret, "up/" + secret.substr(sizeof("/var/tmp")),
                                  std::string("magic-cwd/secret")}) {
    EXPECT_EQ(Read(path).data, "") << path;
  }
}

// The kernel has the last word also where the request lies about what was granted.
TEST_P(FsWorkerTest, AGrantThatTheTemplateDoesNotHaveIsNotThere) {
  for (const std::string& grant :
       {std::string("/"), std::string("/proc"), std::string("/etc"), outside_.path()}) {
    for (const std::string& path :
         {outside_.path() + "/secret", std::string("/etc/shadow"),
          std::string("/proc/self/root/etc/shadow"), std::string("/proc/1/environ"),
          std::string("/dev/vda"), std::string("/.krux-canary")}) {
      const Answer answer = Send(Request("fs.read", path, grant));
      EXPECT_NE(answer.code, 0) << path << " below " << grant;
      EXPECT_EQ(answer.data, "") << path << " below " << grant;
    }
    EXPECT_NE(Send(Request("fs.list", grant, grant)).code, 0) << "names of " << grant;
  }
}

TEST_P(FsWorkerTest, AForeignOwnersFileIsReadNoFurtherThanTheCallerCould) {
  work_.Write("roots", kSecret, 0600);
  ASSERT_EQ(chown(In("roots").c_str(), 0, 0), 0);
  const Answer answer = Read("roots");
  EXPECT_EQ(answer.code, ToInt(ExitCode::kFailed)) << cbor::Diagnostic(answer.meta);
  EXPECT_EQ(answer.data, "");
}

// Broken and hostile requests: an error or nothing, never a hang, never a byte of a file.
TEST_P(FsWorkerTest, MalformedRequestsAreRefused) {
  work_.Write("file", "content\n");
  const cbor::Bytes good = Request("fs.read", In("file"), work_.path());
  std::vector<cbor::Bytes> requests = {
      {}, {0xff}, {0xa0}, cbor::Bytes(4096, 0x9f), cbor::Bytes(4096, 0x81)};
  for (size_t cut = 1; cut < good.size(); cut += good.size() / 6)
    requests.emplace_back(good.begin(), good.begin() + cut);
  requests.push_back(Request("proc.exec", In("file"), work_.path()));
  requests.push_back(Request("fs.read ", In("file"), work_.path()));
  requests.push_back(Request("fs.read", In("file") + std::string("\0x", 2), work_.path()));
  requests.push_back(Request("fs.read", "file", work_.path()));
  requests.push_back(Request("fs.read", In("../") + "x", work_.path()));
  for (const cbor::Bytes& request : requests) {
    const Answer answer = Send(request);
    EXPECT_NE(answer.code, 0) << cbor::Diagnostic(answer.meta);
    EXPECT_EQ(answer.data, "");
  }
  EXPECT_EQ(Send(good).data, "content\n") << "the session lives on";
}

// Swaps what `name` is, between the file that was granted and something else, as fast as it can.
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

TEST_P(FsWorkerTest, ATargetThatChangesDuringTheCallIsReadAsOneThingOrNotAtAll) {
  const std::string relative = "../" + outside_.path().substr(sizeof("/var/tmp"));
  ASSERT_EQ(mkdir(In("dir").c_str(), 0755), 0);
  work_.Write("dir/secret", "granted\n");
  ASSERT_EQ(symlink(relative.c_str(), In("dir-link").c_str()), 0);
  work_.Write("file", "granted\n");
  ASSERT_EQ(symlink((relative + "/secret").c_str(), In("file-link").c_str()), 0);
  ASSERT_EQ(mkfifo(In("pipe").c_str(), 0666), 0);
  work_.Write("file2", "granted\n");
  const struct {
    const char *a, *b, *read;
  } rows[] = {
      {"file", "file-link", "file"}, {"dir", "dir-link", "dir/secret"}, {"file2", "pipe", "file2"}};
  for (const auto& row : rows) {
    Swapper swapper(In(row.a), In(row.b));
    int read = 0;
    // Bounded by time, as the machine may be slow; one call takes some milliseconds.
    const uint64_t end = SystemClock().MonotonicNs() + 700'000'000;
    for (int i = 0; i < 100 && SystemClock().MonotonicNs() < end; ++i) {
      const Answer answer = Read(row.read);
      ASSERT_TRUE(answer.data.empty() || answer.data == "granted\n")
          << row.a << ": " << answer.data;
      ASSERT_GE(answer.code, 0);
      read += answer.data.empty() ? 0 : 1;
    }
    RecordProperty(std::string(row.a) + "_read", read);
    EXPECT_GT(swapper.swaps(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, FsWorkerTest, testing::Bool(),
                         [](const auto& row) { return row.param ? "Rootless" : "Root"; });

}  // namespace
}  // namespace krux::sandbox
