#include "sandbox/rlimits.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>

#include "tests/sandbox/child.h"

namespace krux::sandbox {
namespace {

using testing::RunInChild;

const RlimitEntry* Find(const RlimitEntry* table, size_t n, const std::string& name) {
  for (size_t i = 0; i < n; i++) {
    if (name == table[i].name) return &table[i];
  }
  return nullptr;
}

TEST(Rlimits, TheKernelHoldsWhatTheTableSays) {
  for (const bool degraded : {false, true}) {
    EXPECT_EQ(RunInChild([&] {
                Limits limits;
                // Room for what a sanitizer's shadow takes of the address space.
                limits.memory_bytes = 1ull << 46;
                RlimitEntry table[kMaxRlimits];
                const size_t n = RlimitsFor(limits, degraded, table);
                CHILD_EXPECT(n > 8 && ApplyRlimits(table, n) == 0);
                for (size_t i = 0; i < n; i++) {
                  rlimit now;
                  CHILD_EXPECT(prlimit(0, static_cast<__rlimit_resource>(table[i].resource),
                                       nullptr, &now) == 0);
                  CHILD_EXPECT(now.rlim_cur == table[i].value && now.rlim_max == table[i].value);
                }
                return 0;
              }),
              0);
  }
}

TEST(Rlimits, AddressSpaceAndProcessesStandInForTheCgroup) {
  Limits limits;
  limits.memory_bytes = 123 << 20;
  limits.pids = 7;
  RlimitEntry table[kMaxRlimits];
  size_t n = RlimitsFor(limits, false, table);
  EXPECT_EQ(Find(table, n, "as"), nullptr);
  EXPECT_EQ(Find(table, n, "nproc"), nullptr);
  n = RlimitsFor(limits, true, table);
  ASSERT_NE(Find(table, n, "as"), nullptr);
  ASSERT_NE(Find(table, n, "nproc"), nullptr);
  EXPECT_EQ(Find(table, n, "as")->value, limits.memory_bytes);
  EXPECT_EQ(Find(table, n, "nproc")->value, 7u);
}

TEST(Rlimits, TheyHold) {
  EXPECT_EQ(RunInChild([] {
              Limits limits;
              limits.open_files = 24;
              limits.file_bytes = 10;
              CHILD_EXPECT(ApplyRlimits(limits, false) == 0);
              signal(SIGXFSZ, SIG_IGN);
              const int file = memfd_create("rlimits", MFD_CLOEXEC);
              CHILD_EXPECT(write(file, "0123456789abc", 13) == 10);
              CHILD_EXPECT(write(file, "x", 1) < 0 && errno == EFBIG);
              int highest = -1;
              for (int fd; (fd = dup(file)) >= 0;) highest = fd;
              CHILD_EXPECT(errno == EMFILE && highest == 23);
              return 0;
            }),
            0);
}

TEST(Rlimits, AHardLimitBelowIsAnErrorForTheUnprivileged) {
  EXPECT_EQ(RunInChild([] {
              const rlimit low = {8, 8};
              CHILD_EXPECT(setrlimit(RLIMIT_NOFILE, &low) == 0);
              CHILD_EXPECT(geteuid() != 0 || setresuid(65534, 65534, 65534) == 0);
              return ApplyRlimits(Limits{}, false);
            }),
            -EPERM);
}

}  // namespace
}  // namespace krux::sandbox
