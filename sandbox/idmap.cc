#include "sandbox/idmap.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/channel.h"
#include "base/pidfd.h"
#include "sandbox/namespaces.h"

namespace krux::sandbox {

namespace {
constexpr int kHolderDeadlineMs = 5000;
}

std::string SwapMap(uint32_t a, uint32_t b) {
  const auto line = [](uint64_t inside, uint64_t outside, uint64_t count) {
    if (count == 0) return std::string();
    return std::to_string(inside) + " " + std::to_string(outside) + " " + std::to_string(count) +
           "\n";
  };
  constexpr uint64_t kEnd = 4294967295;  // (uid_t)-1 is no id
  const uint64_t low = std::min(a, b);
  const uint64_t high = std::max(a, b);
  if (low == high) return line(0, 0, kEnd);
  return line(0, 0, low) + line(low, high, 1) + line(low + 1, low + 1, high - low - 1) +
         line(high, low, 1) + line(high + 1, high + 1, kEnd - high - 1);
}

Result<UniqueFd> MakeSwapNamespace(uint32_t caller_uid, uint32_t caller_gid, uint32_t worker_id) {
  auto [ours, theirs] = KRUX_TRY(Channel::Pair());
  Cloned holder = KRUX_TRY(CloneProcess(CLONE_NEWUSER, -1));
  if (holder.pid == 0) {
    // Its copy of the other end goes, so that the channel ends with krux-mountd.
    ours = Channel();
    // It hands out its namespace itself: nobody else may look into a process that is not dumpable
    // without CAP_SYS_PTRACE, which krux-mountd has not.
    const UniqueFd own(open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC));
    const uint8_t byte = 'n';
    const int fds[] = {own.get()};
    (void)theirs.Send(std::span(&byte, 1),
                      own.valid() ? std::span<const int>(fds) : std::span<const int>());
    // Killed when its namespace was taken; where krux-mountd is killed before, its end is this one.
    (void)theirs.Receive();
    _exit(0);
  }
  // The namespace lives on in the descriptor; the process that carried it does not.
  const Pidfd pidfd(std::move(holder.pidfd));
  const auto take = [&]() -> Result<UniqueFd> {
    UniqueFd proc(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd dir = KRUX_TRY(OpenProcPid(proc.get(), holder.pid));
    KRUX_TRY(
        WriteIdMaps(dir.get(), SwapMap(caller_uid, worker_id), SwapMap(caller_gid, worker_id)));
    Packet packet = KRUX_TRY(ours.ReceiveWithin(kHolderDeadlineMs, 1));
    if (packet.fds.size() != 1)
      return Fail(ExitCode::kSandbox, "id map", "no user namespace came out");
    return std::move(packet.fds[0]);
  };
  Result<UniqueFd> ns = take();
  (void)pidfd.Kill(SIGKILL);
  (void)pidfd.Wait();
  return ns;
}

}  // namespace krux::sandbox
