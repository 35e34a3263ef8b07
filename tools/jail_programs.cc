#include "tools/jail_programs.h"

#include <limits.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace krux::tools {
namespace {

// clang-format off
const std::vector<JailProgram> kPrograms = {
    // files and names
    {"read_outside", BaitKind::kOutsideFile, "read a file outside of WORK"},
    {"read_secret", BaitKind::kOutsideFile, "read the password hashes of the host"},
    {"list_names", BaitKind::kRootNames, "see names that were not granted"},
    {"symlink_out", BaitKind::kRelativeLink, "leave WORK through a relative link"},
    {"symlink_absolute", BaitKind::kAbsoluteLink, "leave WORK through an absolute link"},
    {"dotdot", BaitKind::kOutsideFile, "climb out of WORK"},
    {"file_handles", BaitKind::kFileHandle, "open a file past every path"},
    {"link_host_file", BaitKind::kOutsideFile, "take a host file in by a hard link"},
    {"hard_links", BaitKind::kOutsideFile, "link host files by every kind of hard link"},
    {"proc_links", BaitKind::kOutsideFile, "leave its root through the links of /proc"},
    {"rename_out", BaitKind::kOutsideFile, "move files across the border"},
    {"make_fifo", BaitKind::kNone, "make a pipe in WORK"},
    {"make_socket", BaitKind::kNone, "make a listening socket in WORK"},
    {"make_device", BaitKind::kNone, "make a device node"},
    {"rename_whiteout", BaitKind::kNone, "make a device node by a rename"},
    {"file_capabilities", BaitKind::kNone, "give a file capabilities"},
    {"file_flags", BaitKind::kNone, "make files that nobody can remove"},
    {"file_watch", BaitKind::kNone, "watch the host's files"},
    {"open_devices", BaitKind::kNone, "open the machine's devices"},
    {"write_kernel_files", BaitKind::kNone, "write the kernel's controls"},
    {"fill_disk", BaitKind::kNone, "fill /tmp beyond its size"},
    // setuid and setgid files on the host
    {"chmod_setuid", BaitKind::kNone, "make a setuid file: chmod"},
    {"fchmod_setuid", BaitKind::kNone, "make a setuid file: fchmod"},
    {"fchmodat_setuid", BaitKind::kNone, "make a setuid file: fchmodat"},
    {"fchmodat2_setuid", BaitKind::kNone, "make a setuid file: fchmodat2"},
    {"open_setuid", BaitKind::kNone, "make a setuid file: open, openat"},
    {"creat_setuid", BaitKind::kNone, "make a setuid file: creat"},
    {"mkdir_setgid", BaitKind::kNone, "make a setgid directory"},
    {"mknod_setuid", BaitKind::kNone, "make a setuid file: mknod"},
    {"openat2_setuid", BaitKind::kNone, "make a setuid file: openat2"},
    {"exec_setuid_memfd", BaitKind::kNone, "make a setuid program in memory"},
    {"setuid_by_32bit", BaitKind::kNone, "make a setuid file by the 32-bit door"},
    {"setuid_by_x32", BaitKind::kNone, "make a setuid file by the x32 door"},
    {"fchmod_inherited", BaitKind::kNone, "change files by inherited descriptors"},
    {"memfd_program", BaitKind::kNone, "run a program from memory unconfined"},
    // sockets
    {"unix_socket_in_grant", BaitKind::kUnixSockets, "talk to a host's socket in WORK"},
    {"rights_smuggling", BaitKind::kUnixSockets, "hand a descriptor to the host"},
    {"abstract_socket", BaitKind::kAbstractSocket, "talk to a host's abstract socket"},
    {"tcp_loopback", BaitKind::kTcpPort, "connect to the host's loopback"},
    {"udp_send", BaitKind::kUdpPort, "send a datagram out"},
    {"loopback_talk", BaitKind::kNone, "use a network of its own"},
    {"raw_sockets", BaitKind::kNone, "open raw, packet, netlink and other sockets"},
    // namespaces and mounts
    {"new_user_namespace", BaitKind::kNone, "make namespaces"},
    {"join_namespaces", BaitKind::kNone, "enter other namespaces"},
    {"mount_family", BaitKind::kNone, "change the mount tree"},
    {"mount_listing", BaitKind::kNone, "list the machine's mounts"},
    {"namespace_parents", BaitKind::kNone, "climb to the namespaces around it"},
    // other processes
    {"trace_init", BaitKind::kNone, "look into the process that watches it"},
    {"kill_everyone", BaitKind::kNone, "kill every process"},
    {"signal_host_process", BaitKind::kProcess, "signal a process of the host"},
    {"signal_neighbour", BaitKind::kNone, "signal what runs beside it"},
    {"signal_by_descriptor", BaitKind::kProcess, "signal the host through a descriptor"},
    {"other_processes", BaitKind::kNone, "see other processes"},
    {"proc_of_init", BaitKind::kNone, "reach out through /proc of pid 1"},
    {"proc_facts", BaitKind::kNone, "read what /proc tells of the machine"},
    {"host_name", BaitKind::kHostName, "learn the machine's name"},
    {"cgroup_path", BaitKind::kNone, "learn its place in the cgroup tree"},
    {"host_ipc", BaitKind::kSharedMemory, "attach the host's shared memory"},
    {"message_queue", BaitKind::kNone, "meet others in a message queue"},
    {"inherited_descriptors", BaitKind::kNone, "use descriptors it was born with"},
    {"tty_injection", BaitKind::kNone, "type into a terminal"},
    {"outlive_call", BaitKind::kNone, "outlive the call"},
    // kernel interfaces
    {"keyring", BaitKind::kNone, "use the kernel's keys"},
    {"bpf_program", BaitKind::kNone, "load a BPF program"},
    {"io_uring_ring", BaitKind::kNone, "make an io_uring"},
    {"userfaultfd_stall", BaitKind::kNone, "make a userfaultfd"},
    {"perf_events", BaitKind::kNone, "count what others do"},
    {"compat_syscalls", BaitKind::kNone, "use the 32-bit door"},
    {"x32_syscalls", BaitKind::kNone, "use the x32 door"},
    {"personality_flags", BaitKind::kNone, "weaken its own defences"},
    {"process_settings", BaitKind::kNone, "take back what was given up"},
    {"become_another", BaitKind::kNone, "become another user"},
    {"seccomp_override", BaitKind::kNone, "load another filter over krux's"},
    {"landlock_widen", BaitKind::kNone, "widen its Landlock domain"},
    {"machine_control", BaitKind::kNone, "take hold of the machine"},
    {"junk_syscalls", BaitKind::kOutsideFile, "call everything with junk"},
    {"host_settings", BaitKind::kNone, "change the machine's settings"},
    {"raise_limits", BaitKind::kNone, "raise its limits"},
    {"core_dump", BaitKind::kNone, "leave a core file"},
};
// clang-format on

}  // namespace

const std::vector<JailProgram>& JailPrograms() { return kPrograms; }

Result<std::string> JailProgramsDir() {
  const char* named = getenv("KRUX_LIBEXEC_DIR");  // NOLINT(concurrency-mt-unsafe)
  if (named != nullptr && *named == '/') return std::string(named) + "/escape";
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  if (size <= 0 || static_cast<size_t>(size) >= sizeof path)
    return SysError(ExitCode::kConfig, "find the folder of krux's programs", errno);
  const std::string program(path, static_cast<size_t>(size));
  return program.substr(0, program.rfind('/')) + "/escape";
}

}  // namespace krux::tools
