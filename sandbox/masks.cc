#include "sandbox/masks.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "sandbox/caps.h"
#include "sandbox/child.h"
#include "sandbox/fds.h"
#include "sandbox/landlock.h"
#include "sandbox/namespaces.h"
#include "sandbox/seccomp.h"

namespace krux::sandbox {
namespace {

constexpr int kAnswerMs = 20'000;  // the builder's own deadline is no later
constexpr int kRounds = 16;

std::unexpected<Error> Errno(const char* stage, const std::string& detail = {}) {
  return SysError(ExitCode::kSandbox, stage, errno, detail);
}

// In the child. The order is that of a worker: ids, capabilities, descriptors, Landlock, filter.
int ConfineWatch(const WatchPlan& plan, const std::string& work, int channel, int inotify) {
  if (!plan.rootless) {
    if (syscall(SYS_setresgid, kInsideId, kInsideId, kInsideId) != 0) return -errno;
    if (syscall(SYS_setresuid, kInsideId, kInsideId, kInsideId) != 0) return -errno;
  }
  if (const int error = DropAllCapabilities(); error != 0) return error;
  if (const int error = SetNoNewPrivs(); error != 0) return error;
  if (const int error = SetNotDumpable(); error != 0) return error;
  if (const int error = SetParentDeathSignal(SIGKILL); error != 0) return error;
  const int keep[] = {channel, inotify};
  if (const int error = KeepFds(keep, 2, true); error != 0) return error;
  const LandlockPath rule = {work.c_str(), false, false, false, true};
  if (const int error = RestrictPaths(plan.landlock_abi, &rule, 1); error != 0) return error;
  return LoadFilterAndProve(WatchFilter());
}

// Beside the builder, as a child of krux-spawnd: the builder ends when the template stands.
Result<Hidden> StartWatch(const TemplateSpec& spec, const std::string& work,
                          const WatchPlan& plan) {
  // inotify(7): instances and watches count for who makes the instance. Here that is krux-spawnd; a
  // program that uses up its own takes nothing from a watch.
  const UniqueFd inotify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify.valid()) {
    return Errno("watch for secrets",
                 "raise fs.inotify.max_user_instances, or use a policy without `paths.secret`");
  }
  auto [ours, theirs] = KRUX_TRY(Channel::Pair());
  KRUX_TRY(theirs.SetNonBlocking(true));
  Cloned child = KRUX_TRY(CloneProcess(CLONE_PARENT, -1));
  if (child.pid == 0) {
    const int error = ConfineWatch(plan, work, theirs.fd(), inotify.get());
    // The channel's number is the entry's from here on.
    (void)theirs.TakeFd().release();
    if (error == 0) _exit(plan.entry({spec.secrets, work.c_str(), plan.rootless ? 0 : kInsideId}));
    _exit(125);
  }
  return Hidden{0, std::move(ours)};
}

// Name by name, never through a link: what lies at `path` in WORK, to be mounted upon.
Result<UniqueFd> OpenInWork(int work, const WatchFound& found) {
  const std::string path(found.path.begin(), found.path.end());
  const std::vector<std::string> names = KRUX_TRY(NamesOf(path));
  UniqueFd at(openat(work, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (const std::string& name : names) {
    at.reset(openat(at.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!at.valid()) break;
  }
  return at;
}

// True: hidden. False: it is not there any more; what took its place the watch has seen as well.
Result<bool> Hide(int work, const WatchFound& found) {
  const UniqueFd target = KRUX_TRY(OpenInWork(work, found));
  const std::string shown(found.path.begin(), found.path.end());
  struct stat st{};
  if (!target.valid() || fstat(target.get(), &st) != 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return false;
    return Errno("hide a secret", "`" + shown + "` cannot be hidden from programs");
  }
  if (st.st_dev != found.device || st.st_ino != found.inode ||
      S_ISDIR(st.st_mode) != found.directory || S_ISLNK(st.st_mode))
    return false;
  const UniqueFd mask(open_tree(AT_FDCWD, found.directory ? kMaskDirectory : kMaskFile,
                                OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!mask.valid()) return Errno("copy a mask");
  if (move_mount(mask.get(), "", target.get(), "",
                 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    if (errno == ENOENT) return false;  // removed since
    return Errno("hide a secret", "`" + shown + "` cannot be hidden from programs");
  }
  return true;
}

Result<void> Tell(const Channel& watch, const WatchCommand& command) {
  return watch.Send({reinterpret_cast<const uint8_t*>(&command), sizeof(command)});
}

Result<WatchReport> Hear(const Channel& watch) {
  const Packet packet = KRUX_TRY(watch.ReceiveWithin(kAnswerMs, 0));
  if (packet.eof) {
    return Fail(ExitCode::kSandbox, "mount",
                "the watch over secrets ended early; run `krux doctor`");
  }
  WatchReport report = KRUX_TRY(DecodeReport(packet.bytes));
  if (auto* refused = std::get_if<WatchRefused>(&report))
    return Fail(refused->code, "mount", refused->message);
  return report;
}

// One kFind. How many paths it named; each is hidden by now.
Result<uint64_t> Round(Hidden& hidden, const WatchCommand& command, int work, bool leave_one_out) {
  KRUX_TRY(Tell(hidden.watch, command));
  for (uint64_t named = 0;;) {
    const WatchReport report = KRUX_TRY(Hear(hidden.watch));
    if (std::holds_alternative<WatchEnd>(report)) return named;
    const auto* found = std::get_if<WatchFound>(&report);
    if (found == nullptr || ++named > kMaxMasks)
      return Fail(ExitCode::kSandbox, "mount", "the watch over secrets is out of step");
    const bool left_out = leave_one_out && hidden.masks == 0;
    if (left_out || KRUX_TRY(Hide(work, *found))) ++hidden.masks;
  }
}

Result<WatchCommand> FindCommand() {
  struct stat file{}, directory{};
  if (stat(kMaskFile, &file) != 0 || stat(kMaskDirectory, &directory) != 0) return Errno("masks");
  WatchCommand command;
  command.mask_device = file.st_dev;
  command.mask_file = file.st_ino;
  command.mask_directory = directory.st_ino;
  return command;
}

}  // namespace

Result<void> MakeMasks(const std::string& root) {
  const UniqueFd file(
      open((root + kMaskFile).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!file.valid() || mkdir((root + kMaskDirectory).c_str(), 0555) != 0)
    return Errno("make masks");
  return {};
}

Result<Hidden> HideSecrets(const TemplateSpec& spec, const std::string& work_path,
                           const WatchPlan& plan) {
  WatchCommand command = KRUX_TRY(FindCommand());
  const UniqueFd work(open(work_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!work.valid()) return Errno("open work");
  Hidden hidden = KRUX_TRY(StartWatch(spec, work_path, plan));
  for (int round = 0; round < kRounds; ++round) {
    if (KRUX_TRY(Round(hidden, command, work.get(), plan.leave_one_out)) != 0) continue;
    command.kind = WatchCommand::kArm;
    KRUX_TRY(Tell(hidden.watch, command));
    return hidden;
  }
  return Fail(ExitCode::kBusy, "mount",
              "files that are secret come and go in the work directory; retry when that is over");
}

}  // namespace krux::sandbox
