#include "tests/escape/layer_table.h"

namespace krux::sandbox {
namespace {

constexpr const char* kNotSeen = "the kernel does not say which ids a mount swaps";

// One row, two or three lines.
// clang-format off
const std::vector<LayerRow> kRows = {
    // ------------------------------------------------------------ namespaces
    {"user", "own namespace", "worker.rename_machine", {"ns:user"},
     {"ns:uts", "hostname", "caps", "seccomp"},
     "contained: sethostname: EPERM", "ESCAPED: sethostname", "user"},
    {"user", "own id", "read_foreign", {"ids"}, {},
     "contained: open: EACCES", "ESCAPED: opened", "user"},
    {"user", "id map of the caller alone", "read_foreign", {"swap_owner"}, {},
     "contained: open: EACCES", "ESCAPED: opened", nullptr, kNotSeen},
    {"mount", "root is the template", "read_outside", {"host_root"}, {"landlock"},
     "contained: open: ENOENT", "ESCAPED: read ", "mount"},
    {"mount", "own namespace", "worker.mount_for_others", {"ns:mnt"},
     {"ns:user", "caps", "seccomp", "landlock"},
     "contained: no other call's mount is here", "ESCAPED: another call's mount is here", "mount",
     nullptr, WorkClass::kFs},
    {"mount", "ro", "write_readonly", {"without:ro"}, {"landlock"},
     "contained: open: EROFS", "ESCAPED: ", "mount"},
    {"mount", "nosuid", "gain_by_exec", {"without:nosuid"},
     {"no_new_privs", "bounding_set", "seccomp", "landlock"},
     "contained: no id and no capability was gained", "ESCAPED: ", "mount"},
    {"mount", "nodev", "use_device_in_grant", {"without:nodev"}, {},
     "contained: open: EACCES", "ESCAPED: opened the device", "mount"},
    {"mount", "noexec", "worker.map_executable", {"without:noexec"}, {"seccomp"},
     "contained: mmap: EPERM", "ESCAPED: mapped", "mount", nullptr, WorkClass::kFs},
    {"mount", "/proc subset=pid", "proc_facts", {"proc_subset"}, {},
     "contained: open: ENOENT", "ESCAPED: /proc/cmdline opens", "mount"},
    {"mount", "/proc hidepid", "proc_of_init", {"proc_hidepid"}, {},
     "contained: open: ", "ESCAPED: /proc/1/", "mount"},
    {"mount", "/tmp has a size", "fill_disk", {"tmp_size"}, {},
     "contained: write: ENOSPC", "ESCAPED: wrote 256 MiB", "mount"},
    {"pid", "own namespace", "other_processes", {"ns:pid", "proc"}, {},
     "contained: only the stub", "ESCAPED: process 1 is there", "pid"},
    {"net", "own namespace", "tcp_loopback", {"ns:net", "nftables"},
     {"shared:net", "seccomp", "landlock"},
     "contained: connect: ", "ESCAPED: connected over IPv4", "net"},
    {"uts", "own name", "host_name", {"ns:uts", "hostname"}, {},
     "contained: the machine is called krux", "ESCAPED: the machine is ", "uts"},
    {"ipc", "own namespace", "host_ipc", {"ns:ipc"}, {"shared:ipc"},
     "contained: shmget: ENOENT", "ESCAPED: found the segment", "ipc"},
    {"cgroupns", "own root", "cgroup_path", {"ns:cgroup"}, {},
     "contained: the call's own cgroup", "ESCAPED: it sits in ", "cgroupns"},
    // ------------------------------------------------------------ seccomp
    {"seccomp", "no socket(2)", "unix_socket_in_grant", {"open:socket", "open:connect"},
     {"own_filter"},
     "contained: socket: EPERM", "ESCAPED: connected to ", "seccomp"},
    {"seccomp", "socketpair stays connected", "unix_socket_in_grant", {"open:socketpair"},
     {"own_filter"},
     "contained: socket: EPERM", "ESCAPED: sendto from a DGRAM pair", "seccomp"},
    {"seccomp", "setuid bits: chmod", "chmod_setuid", {"open:chmod"}, {"own_filter"},
     "contained: chmod: EPERM", "ESCAPED: chmod 4755", "seccomp"},
    {"seccomp", "setuid bits: fchmod", "fchmod_setuid", {"open:fchmod"}, {"own_filter"},
     "contained: fchmod: EPERM", "ESCAPED: fchmod 4755", "seccomp"},
    {"seccomp", "setuid bits: fchmodat", "fchmodat_setuid", {"open:fchmodat"}, {"own_filter"},
     "contained: fchmodat: EPERM", "ESCAPED: fchmodat 4755", "seccomp"},
    {"seccomp", "setuid bits: fchmodat2", "fchmodat2_setuid", {"open:fchmodat2"}, {"own_filter"},
     "contained: fchmodat2: EPERM", "ESCAPED: fchmodat2 4755", "seccomp"},
    {"seccomp", "setuid bits: open, openat", "open_setuid", {"open:open", "open:openat"},
     {"own_filter"},
     "contained: openat: EPERM", "ESCAPED: ", "seccomp"},
    {"seccomp", "setuid bits: creat", "creat_setuid", {"open:creat"}, {"own_filter"},
     "contained: creat: EPERM", "ESCAPED: creat", "seccomp"},
    {"seccomp", "setuid bits: mknod", "mknod_setuid", {"open:mknod", "open:mknodat"},
     {"own_filter"},
     "contained: mknod: EPERM", "ESCAPED: mknod", "seccomp"},
    {"seccomp", "setuid bits: openat2", "openat2_setuid", {"open:openat2"}, {"own_filter"},
     "contained: openat2: ENOSYS", "ESCAPED: ", "seccomp"},
    {"seccomp", "setuid bits: memfd", "exec_setuid_memfd", {"open:fchmod"}, {"own_filter"},
     "contained: fchmod: EPERM", "ESCAPED: a memfd has mode", "seccomp"},
    {"seccomp", "no device by a rename", "rename_whiteout", {"open:renameat2"}, {"own_filter"},
     "contained: renameat2: EPERM", "ESCAPED: a device node", "seccomp"},
    {"seccomp", "personality", "personality_flags", {"open:personality"}, {"own_filter"},
     "contained: personality: EPERM", "ESCAPED: personality", "seccomp"},
    {"seccomp", "fanotify", "file_watch", {"open:fanotify_init"}, {"own_filter"},
     "contained: fanotify_init: EPERM", "ESCAPED: fanotify", "seccomp"},
    {"seccomp", "setuid bits by 32 bit", "setuid_by_32bit", {"seccomp_i386"}, {"own_filter"},
     "contained: killed by signal 31", "ESCAPED: 32-bit chmod made a setuid file", "seccomp"},
    {"seccomp", "32-bit calls", "compat_syscalls", {"seccomp_i386"}, {"own_filter"},
     "contained: killed by signal 31", "ESCAPED: int 0x80 returned", "seccomp"},
    {"seccomp", "x32 calls", "x32_syscalls", {"seccomp_x32"}, {"own_filter"},
     "contained: killed by signal 31", "ESCAPED: ", "seccomp"},
    {"seccomp", "clone flags", "new_user_namespace", {"open:clone"}, {"own_filter"},
     "contained: unshare: EPERM", "ESCAPED: clone made", "seccomp"},
    {"seccomp", "clone3", "new_user_namespace", {"open:clone3"}, {"own_filter"},
     "contained: unshare: EPERM", "ESCAPED: clone3 made", "seccomp"},
    {"seccomp", "unshare", "new_user_namespace", {"open:unshare"}, {"own_filter"},
     "contained: unshare: EPERM", "ESCAPED: unshare made", "seccomp"},
    {"seccomp", "mount family", "worker.mount", {"open:mount"}, {"own_filter", "caps", "landlock"},
     "contained: mount: EPERM", "ESCAPED: mounted a tmpfs", "seccomp"},
    {"seccomp", "ptrace and relatives", "trace_init", {"open:ptrace"}, {"own_filter", "dumpable"},
     "contained: ptrace: EPERM", "ESCAPED: PTRACE_SEIZE", "seccomp"},
    {"seccomp", "keys", "keyring", {"open:add_key", "open:keyctl", "open:request_key"},
     {"own_filter"},
     "contained: keyctl: EPERM", "ESCAPED: ", "seccomp"},
    {"seccomp", "terminal ioctls", "tty_injection", {"open:ioctl"}, {"own_filter"},
     "contained: ioctl: EPERM", "ESCAPED: ", "seccomp"},
    {"seccomp", "no code from files (fs)", "worker.map_executable", {"open:mmap"},
     {"own_filter", "without:noexec"},
     "contained: mmap: EPERM", "ESCAPED: mapped", "seccomp", nullptr, WorkClass::kFs},
    {"seccomp", "files only by rename (write)", "worker.write_in_place", {"open:openat"},
     {"own_filter"},
     "contained: open: EPERM", "ESCAPED: a file of WORK is open for writing", "seccomp", nullptr,
     WorkClass::kWrite},
    {"seccomp", "spawnd's own filter", "chmod_setuid", {"own_filter"},
     {"seccomp", "keep_own_filter"},
     "contained: chmod: EPERM", "ESCAPED: chmod 4755", nullptr,
     "krux-spawnd proves its own filter when it starts and ends without it"},
    // ------------------------------------------------------------ Landlock
    {"landlock", "files", "read_outside", {"landlock_fs"}, {"host_root"},
     "contained: open: EACCES", "ESCAPED: read ", "landlock"},
    {"landlock", "no pipes are made", "make_fifo", {"landlock"}, {},
     "contained: mkfifo: EACCES", "ESCAPED: made a named pipe", "landlock"},
    {"landlock", "no writing into a pipe", "write_fifo_in_grant", {"landlock_fs"}, {},
     "contained: open: EACCES", "ESCAPED: opened the pipe", "landlock"},
    {"landlock", "TCP", "tcp_loopback", {"landlock_net"},
     {"shared:net", "ns:net", "nftables", "seccomp"},
     "contained: connect: EACCES", "ESCAPED: connected over IPv4", "landlock"},
    {"landlock", "abstract sockets", "abstract_socket", {"landlock_scope"},
     {"shared:net", "ns:net", "nftables", "seccomp"},
     "contained: connect: EPERM", "ESCAPED: connected ", "landlock"},
    {"landlock", "signals", "signal_neighbour", {"landlock_scope"}, {"ns:pid", "proc", "ids"},
     "contained: kill: EPERM", "ESCAPED: may signal process 1", "landlock"},
    // ------------------------------------------------------------ the rest
    {"nftables", "drops everything", "loopback_talk", {"nftables"}, {"loopback", "seccomp"},
     "contained: sendto: EPERM", "ESCAPED: a datagram came through", "nftables"},
    {"caps", "effective and permitted", "worker.mount", {"caps"}, {"seccomp", "landlock"},
     "contained: mount: EPERM", "ESCAPED: mounted a tmpfs", "caps"},
    {"caps", "bounding set", "gain_by_exec", {"bounding_set"},
     {"no_new_privs", "without:nosuid", "seccomp", "landlock"},
     "contained: no id and no capability was gained", "ESCAPED: ", "caps"},
    {"caps", "ambient: securebits", "worker.raise_ambient", {"securebits"},
     {"caps", "bounding_set"},
     "contained: prctl: EPERM", "ESCAPED: programs would start with", "caps"},
    {"caps", "dumpable", "trace_init", {"dumpable"}, {"seccomp"},
     "contained: ptrace: EPERM", "ESCAPED: PTRACE_SEIZE", "caps"},
    {"no_new_privs", "no gain by execve", "gain_by_exec", {"no_new_privs"},
     {"without:nosuid", "bounding_set", "seccomp", "landlock"},
     "contained: no id and no capability was gained", "ESCAPED: ", "landlock",
     "landlock and seccomp cannot be loaded without it"},
    {"fds", "closed", "worker.descriptors", {"fds"}, {},
     "contained: only 0 to 4 are open", "ESCAPED: descriptor ", "fds"},
    {"rlimits", "hard and soft", "raise_limits", {"rlimits"}, {},
     "contained: setrlimit: EPERM", "ESCAPED: ", "rlimits"},
    // ------------------------------------------------------------ what looks at all of them
    {"receipt", "the check before Go", "chmod_setuid", {"receipt"}, {"open:chmod"},
     "refused by seccomp", "ESCAPED: chmod 4755", nullptr, "it is the check"},
};
// clang-format on

const std::vector<Unshown> kUnshown = {
    {"seccomp", "setgid bits: mkdir",
     "the kernel drops both bits itself (mkdir(2)); the rule repeats it"},
    {"cgroup", "memory.max, memory.oom.group",
     "owed by the guest: wants a cgroup v2 that has the memory controller"},
    {"cgroup", "pids.max", "owed by the guest: wants a cgroup v2 that has the pids controller"},
    {"cgroup", "cpu.max, io.max",
     "owed by the guest: wants a cgroup v2 that has the cpu and io controllers"},
    {"cgroup", "cgroup.kill at the end",
     "the pid namespace ends everything with its pid 1 before; owed by the guest"},
    {"pid", "PDEATHSIG",
     "krux-spawnd is pid 1 of the namespace above: with it the kernel ends every worker; "
     "the receipt refuses a worker without it (`tests/sandbox/receipt_test.cc`)"},
};

}  // namespace

const std::vector<LayerRow>& LayerTable() { return kRows; }
const std::vector<Unshown>& UnshownRings() { return kUnshown; }

std::string TableAsMarkdown() {
  std::string text =
      "| ring | rule | program | with it | without it | also out in both runs | receipt, if it "
      "alone "
      "is missing |\n|---|---|---|---|---|---|---|\n";
  const auto code = [](const char* words) { return "`" + std::string(words) + "…`"; };
  for (const LayerRow& row : kRows) {
    const std::string receipt =
        row.receipt != nullptr ? std::string("71, `") + row.receipt + "`" : row.why;
    text += std::string("| ") + row.layer + " | " + row.rule + " | `" + row.program + "` | " +
            code(row.with) + " | " + code(row.without) + " | " + Readable(row.others) + " | " +
            receipt + " |\n";
  }
  for (const Unshown& row : kUnshown) {
    text +=
        std::string("| ") + row.layer + " | " + row.rule + " | – | – | – | – | " + row.why + " |\n";
  }
  return text;
}

}  // namespace krux::sandbox
