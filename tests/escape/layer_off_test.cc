// Which ring stops what: the programs again, with one ring left out by the build of krux-spawnd
// that can do that and goes on in spite of its receipt. Where one ring alone stands between a
// program and the host, the program escapes; where there are two, the other one holds.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "tests/escape/cases.h"
#include "tests/escape/jail.h"

namespace krux::sandbox {
namespace {

struct LayerOff {
  const char* skip;  // step of sandbox/child.cc
  const char* program;
  const char* verdict;  // how the line begins
};
void PrintTo(const LayerOff& row, std::ostream* out) {
  *out << row.program << " without " << row.skip;
}

class LayerOffTest : public testing::TestWithParam<LayerOff> {};

TEST_P(LayerOffTest, TheLineSaysWhichRingHolds) {
  ASSERT_EQ(geteuid(), 0u);
  const LayerOff& row = GetParam();
  const auto& cases = EscapeCases();
  const auto found = std::find_if(cases.begin(), cases.end(), [&](const EscapeCase& c) {
    return std::string(c.program) == row.program;
  });
  ASSERT_NE(found, cases.end());
  HarnessOptions options;
  options.hooks = true;
  options.spawnd_flags = {"--test-ignore-receipt", "--test-skip", row.skip};
  auto harness = SpawndHarness::Start(options);
  ASSERT_TRUE(harness) << harness.error().message;
  Scene scene(SpawndHarness::kClientId, SpawndHarness::kWorkerId, row.program);
  if (found->prepare != nullptr) found->prepare(scene);
  Result<Spec> spec = (*harness)->Prepare(scene.work().path(), WorkClass::kExec, scene.writable);
  ASSERT_TRUE(spec) << spec.error().message;
  spec->limits = scene.limits;
  spec->request = ExecRequest(*spec, scene);
  const Result<Event> event = (*harness)->RunToEnd(*spec);
  ASSERT_TRUE(event) << event.error().message;
  const std::string verdict = Verdict(*event);
  EXPECT_EQ(verdict.find(row.verdict), 0u) << verdict;
}

INSTANTIATE_TEST_SUITE_P(
    LayerOff, LayerOffTest,
    testing::Values(
        // Seccomp alone.
        LayerOff{"seccomp", "unix_socket_in_grant", "ESCAPED"},
        LayerOff{"seccomp", "chmod_setuid", "ESCAPED"},
        LayerOff{"seccomp", "fchmod_setuid", "ESCAPED"},
        LayerOff{"seccomp", "fchmodat_setuid", "ESCAPED"},
        LayerOff{"seccomp", "fchmodat2_setuid", "ESCAPED"},
        LayerOff{"seccomp", "open_setuid", "ESCAPED"},
        LayerOff{"seccomp", "creat_setuid", "ESCAPED"},
        LayerOff{"seccomp", "mknod_setuid", "ESCAPED"},
        LayerOff{"seccomp", "openat2_setuid", "ESCAPED"},
        LayerOff{"seccomp", "new_user_namespace", "ESCAPED"},
        LayerOff{"seccomp", "keyring", "ESCAPED"}, LayerOff{"seccomp", "x32_syscalls", "ESCAPED"},
        LayerOff{"seccomp", "compat_syscalls", "ESCAPED"},
        LayerOff{"seccomp", "raw_sockets", "ESCAPED"},
        // Landlock alone.
        LayerOff{"landlock", "make_fifo", "ESCAPED"},
        LayerOff{"landlock", "write_fifo_in_grant", "ESCAPED"},
        LayerOff{"landlock", "list_names", "contained"},
        // Rlimits alone.
        LayerOff{"rlimits", "raise_limits", "ESCAPED"},
        // Another ring holds: the network and mount namespaces, the user namespace, capabilities.
        LayerOff{"seccomp", "tcp_loopback", "contained: connect"},
        LayerOff{"seccomp", "udp_send", "contained: sendto"},
        LayerOff{"seccomp", "abstract_socket", "contained: connect"},
        LayerOff{"seccomp", "make_socket", "contained: bind"},
        LayerOff{"seccomp", "file_handles", "contained: open_by_handle_at"},
        LayerOff{"seccomp", "bpf_program", "contained: bpf"},
        LayerOff{"seccomp", "proc_of_init", "contained: open"},
        LayerOff{"seccomp", "signal_host_process", "contained: kill"},
        LayerOff{"landlock", "read_secret", "contained: open"},
        LayerOff{"landlock", "symlink_out", "contained: open"},
        LayerOff{"landlock", "make_device", "contained: mknod"},
        LayerOff{"landlock", "tcp_loopback", "contained: socket"},
        LayerOff{"landlock", "unix_socket_in_grant", "contained: socket"},
        LayerOff{"landlock", "write_readonly", "contained: open"},
        LayerOff{"landlock", "proc_of_init", "contained: open"},
        LayerOff{"nftables", "udp_send", "contained: socket"},
        // No memory may be locked, and a ring counts as locked.
        LayerOff{"seccomp", "io_uring_ring", "contained: io_uring_setup: ENOMEM"},
        LayerOff{"caps", "mount_family", "contained: mount"},
        LayerOff{"caps", "gain_by_exec", "contained"},
        LayerOff{"bounding_set", "gain_by_exec", "contained"},
        LayerOff{"fds", "inherited_descriptors", "contained"}),
    [](const auto& row) { return std::string("no_") + row.param.skip + "_" + row.param.program; });

}  // namespace
}  // namespace krux::sandbox
