// A name in WORK that changes under the reader: 10^5 reads of it inside one worker, while a process
// of the host swaps it with a link to a file outside, as fast as it can. Not one byte from outside
// comes back; that both states were met is shown, and that a careless reader would have leaked.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <new>
#include <sstream>

#include "runtime/request.h"
#include "tests/sandbox/spawnd_harness.h"

namespace krux::sandbox {
namespace {

constexpr char kInside[] = "granted\n";
constexpr char kOutside[] = "what the host keeps to itself\n";
constexpr uint64_t kReads = 100'000;

// A process of the caller's that exchanges two names until it is told to stop.
class Swapper {
 public:
  Swapper(const std::string& a, const std::string& b, uint32_t uid) {
    swaps_ = new (mmap(nullptr, sizeof(std::atomic<uint64_t>), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0)) std::atomic<uint64_t>(0);
    pid_ = fork();
    if (pid_ != 0) return;
    if (setresuid(uid, uid, uid) != 0) _exit(1);
    for (;;) {
      if (renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) ++*swaps_;
    }
  }
  ~Swapper() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    munmap(swaps_, sizeof *swaps_);
  }
  uint64_t swaps() const { return *swaps_; }

 private:
  pid_t pid_ = -1;
  std::atomic<uint64_t>* swaps_;
};

struct Swap {
  const char* what;
  const char *a, *b;  // exchanged
  const char* read;
};
constexpr Swap kSwaps[] = {
    {"a file with a link to a file outside", "file", "file-link", "file"},
    {"a directory with a link to one outside", "dir", "dir-link", "dir/secret"},
    {"a directory in the middle of the path", "top/dir", "top/dir-link", "top/dir/deep/secret"},
};

struct Reader {
  bool rings;    // the template as root and Landlock stand
  bool naively;  // open(2) instead of fs.read
};

class SwapTest : public testing::TestWithParam<std::tuple<bool, size_t>> {
 protected:
  SwapTest()
      : caller_(std::get<0>(GetParam()) ? SpawndHarness::kRootlessId : SpawndHarness::kClientId),
        work_(caller_),
        outside_(caller_) {}

  void SetUp() override {
    ASSERT_EQ(geteuid(), 0u);
    const std::string relative = "../" + outside_.path().substr(sizeof("/var/tmp"));
    for (const char* dir : {"dir", "top", "top/dir", "top/dir/deep"}) Make(work_, dir);
    Make(outside_, "deep");
    for (const char* file : {"secret", "deep/secret"}) outside_.Write(file, kOutside);
    for (const char* file : {"file", "dir/secret", "top/dir/deep/secret"})
      work_.Write(file, kInside);
    Link(relative + "/secret", "file-link");
    Link(relative, "dir-link");
    Link("../" + relative, "top/dir-link");
  }

  // granted, link, raced, foreign
  struct Seen {
    uint64_t granted = 0, link = 0, raced = 0, foreign = 0;
  };
  Seen Read(const Reader& reader, const Swap& swap, uint64_t times) {
    HarnessOptions options;
    options.rootless = std::get<0>(GetParam());
    options.hooks = true;
    if (!reader.rings) {
      options.spawnd_flags = {"--test-ignore-receipt", "--test-weaken", "host_root", "--test-skip",
                              "landlock"};
    }
    auto harness = SpawndHarness::Start(options);
    EXPECT_TRUE(harness) << harness.error().message;
    Result<Spec> spec = (*harness)->Prepare(work_.path(), WorkClass::kFs, false);
    EXPECT_TRUE(spec) << spec.error().message;
    runtime::Request request;
    request.capability = "worker.read_over_and_over";
    request.args = cbor::Map{{"path", work_.path() + "/" + swap.read},
                             {"offset", 0u},
                             {"limit", 4096u},
                             {"times", times},
                             {"inside", kInside},
                             {"naively", reader.naively}};
    request.grants = {{work_.path(), true, false, false}};
    request.read_scope.clauses.push_back(policy::Clause{});
    request.read_scope.clauses.back().any = true;
    spec->request = runtime::EncodeRequest(request).value();
    spec->limits.wall_ms = 120'000;
    const Swapper swapper(work_.path() + "/" + swap.a, work_.path() + "/" + swap.b, caller_);
    const Result<Event> event = (*harness)->RunToEnd(*spec, nullptr, 130'000);
    EXPECT_TRUE(event) << event.error().message;
    Seen seen;
    const auto* done = event ? std::get_if<Done>(&*event) : nullptr;
    EXPECT_NE(done, nullptr);
    if (done == nullptr) return seen;
    std::istringstream said(ResultData(*done));
    said >> seen.granted >> seen.link >> seen.raced >> seen.foreign;
    const uint64_t reads = seen.granted + seen.link + seen.raced + seen.foreign;
    EXPECT_GE(reads, times);
    std::printf(
        "  %s, %s%s: %llu swaps, %llu reads: %llu granted, %llu saw the link, %llu raced, "
        "%llu from outside\n",
        swap.what, reader.naively ? "open(2)" : "fs.read", reader.rings ? "" : ", no ring",
        static_cast<unsigned long long>(swapper.swaps()), static_cast<unsigned long long>(reads),
        static_cast<unsigned long long>(seen.granted), static_cast<unsigned long long>(seen.link),
        static_cast<unsigned long long>(seen.raced), static_cast<unsigned long long>(seen.foreign));
    EXPECT_GT(swapper.swaps(), 0u);
    return seen;
  }

 private:
  void Make(const ScratchDir& in, const std::string& name) const {
    ASSERT_EQ(mkdir((in.path() + "/" + name).c_str(), 0755), 0);
    ASSERT_EQ(chown((in.path() + "/" + name).c_str(), caller_, caller_), 0);
  }
  void Link(const std::string& target, const std::string& name) const {
    ASSERT_EQ(symlink(target.c_str(), (work_.path() + "/" + name).c_str()), 0);
    ASSERT_EQ(lchown((work_.path() + "/" + name).c_str(), caller_, caller_), 0);
  }

 protected:
  uint32_t caller_;
  ScratchDir work_, outside_;
};

TEST_P(SwapTest, NoByteFromOutside) {
  const Swap& swap = kSwaps[std::get<1>(GetParam())];
  const Seen seen = Read({.rings = true, .naively = false}, swap, kReads);
  EXPECT_EQ(seen.foreign, 0u);
  EXPECT_GT(seen.granted, 0u) << "the file was never met";
  EXPECT_GT(seen.link, 0u) << "the link was never met";
}

// Its own resolver holds where it alone stands; the rings hold where there is no resolver.
TEST_P(SwapTest, EitherHoldsAlone) {
  const Swap& swap = kSwaps[std::get<1>(GetParam())];
  const Seen resolver = Read({.rings = false, .naively = false}, swap, kReads / 10);
  EXPECT_EQ(resolver.foreign, 0u);
  EXPECT_GT(resolver.granted, 0u);
  EXPECT_GT(resolver.link, 0u);
  const Seen rings = Read({.rings = true, .naively = true}, swap, kReads / 10);
  EXPECT_EQ(rings.foreign, 0u);
  EXPECT_GT(rings.granted, 0u);
  EXPECT_GT(rings.raced, 0u) << "the link, which leads nowhere here, was never met";
}

// Without both the same reads leak, so the counts above could have been others.
TEST_P(SwapTest, ACarelessReaderLeaks) {
  const Swap& swap = kSwaps[std::get<1>(GetParam())];
  EXPECT_GT(Read({.rings = false, .naively = true}, swap, kReads / 10).foreign, 0u);
}

std::string TestName(const testing::TestParamInfo<std::tuple<bool, size_t>>& info) {
  const char* names[] = {"File", "Directory", "Middle"};
  return std::string(std::get<0>(info.param) ? "Rootless" : "Root") +
         names[std::get<1>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Modes, SwapTest,
                         testing::Combine(testing::Bool(),
                                          testing::Range<size_t>(0, std::size(kSwaps))),
                         TestName);

}  // namespace
}  // namespace krux::sandbox
