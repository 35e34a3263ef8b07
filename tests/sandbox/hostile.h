// HostileTest: runs hostile.c in a sandbox of its own, as root and rootless, and says how it ended.
//
//   const Ended ended = Run({"hog"}, {.memory_bytes = 64 << 20});
//   EXPECT_EQ(ended.limit, Limit::kMemory); EXPECT_TRUE(Gone());
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "sandbox/result.h"
#include "tests/sandbox/spawnd_harness.h"

namespace krux::sandbox {

struct Ended {
  bool ran = false;
  Done::End end = Done::End::kExited;
  Done done;              // without its result
  bool answered = false;  // the rest is what the init stub said
  uint64_t code = 0;
  Limit limit = Limit::kNone;
  bool truncated = false;
  int64_t exit = -1, signal = -1;
  std::string out;  // stdout and stderr
};

class HostileTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override;
  // Runs `words` of hostile.c in WORK with `limits`.
  Ended Run(std::vector<std::string> words, const Limits& limits = Small());
  // The same in two halves; `worker` is the host's pid of the init stub.
  void Begin(std::vector<std::string> words, const Limits& limits, pid_t* worker);
  Ended End();
  std::string InWork(const std::string& name) const { return work_->path() + "/" + name; }
  // No process of the program is left on the host.
  bool Gone() const;
  static Limits Small();

  bool rootless() const { return GetParam(); }
  // The cgroup limits are the kernel's own here.
  bool whole() const { return harness_->Degraded() == 0; }

 private:
  std::unique_ptr<SpawndHarness> harness_;
  std::unique_ptr<ScratchDir> work_;
  Result<Spec> spec_ = Fail(ExitCode::kInternal, "test", "not prepared");
};

}  // namespace krux::sandbox
