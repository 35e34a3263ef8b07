#include "sandbox/mountd.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <map>

#include "sandbox/caps.h"
#include "sandbox/disk.h"
#include "sandbox/idmap.h"
#include "sandbox/mount_wire.h"
#include "sandbox/namespaces.h"
#include "sandbox/work_check.h"

namespace krux::sandbox {
namespace {

// What the exec template may hold of the host, read-only. The list is part of this root-owned
// program.
constexpr const char* kProgramTrees[] = {"/usr",
                                         "/bin",
                                         "/sbin",
                                         "/lib",
                                         "/lib32",
                                         "/lib64",
                                         "/libx32",
                                         "/dev/null",
                                         "/dev/zero",
                                         "/dev/full",
                                         "/dev/random",
                                         "/dev/urandom",
                                         "/etc/alternatives",
                                         "/etc/ssl/certs",
                                         "/etc/ca-certificates",
                                         "/etc/ld.so.cache",
                                         "/etc/localtime"};

struct Work {
  UniqueFd directory;
  uint64_t device = 0, inode = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

class Mountd {
 public:
  explicit Mountd(const MountdOptions& options)
      : options_(options),
        channel_(UniqueFd(options.channel_fd)),
        rootless_(geteuid() != 0),
        own_uid_(geteuid()),
        own_gid_(getegid()) {}

  int Run() {
    // Opened before a rootless mountd moves into its own copy of the tree: it goes on showing the
    // tree the clients live in.
    host_mountinfo_ = UniqueFd(open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
    signal(SIGCHLD, SIG_IGN);
    umask(0);
    if (!host_mountinfo_.valid() || !channel_.EnableCredentials()) return ToInt(ExitCode::kSandbox);
    for (;;) {
      pollfd fds[] = {{channel_.fd(), POLLIN, 0}, {options_.lifeline_fd, POLLIN, 0}};
      if (poll(fds, options_.lifeline_fd >= 0 ? 2 : 1, -1) < 0 && errno != EINTR)
        return ToInt(ExitCode::kInternal);
      if (fds[1].revents != 0) return 0;
      if (fds[0].revents == 0) continue;
      Result<Packet> packet = channel_.Receive(1);
      if (!packet) continue;  // a bad packet was dropped whole
      if (packet->eof) return 0;
      Handle(std::move(*packet));
    }
  }

 private:
  struct Answer {
    mountwire::Reply reply;
    std::vector<UniqueFd> fds;
  };

  void Handle(Packet packet) {
    Result<mountwire::Request> request = mountwire::DecodeRequest(packet.bytes);
    uint64_t tag = 0;
    Result<Answer> answer = [&]() -> Result<Answer> {
      if (!request) return std::unexpected(request.error());
      if (std::holds_alternative<mountwire::Join>(*request)) return Join(packet);
      if (const auto* open = std::get_if<mountwire::OpenWork>(&*request)) {
        tag = open->tag;
        return OpenWork(tag, std::move(packet.fds));
      }
      const auto& get = std::get<mountwire::GetMounts>(*request);
      tag = get.tag;
      return GetMounts(get);
    }();
    if (!answer) answer = Answer{mountwire::Refused{tag, answer.error()}, {}};
    std::vector<int> fds;
    for (const UniqueFd& fd : answer->fds) fds.push_back(fd.get());
    (void)channel_.Send(mountwire::EncodeReply(answer->reply), fds);
  }

  // spawnd sits in a user namespace it has just made; this gives it its ids, and no others.
  Result<Answer> Join(Packet& packet) {
    if (packet.fds.size() != 1)
      return Fail(ExitCode::kBadData, "join", "`join` carries no user namespace");
    // Ids are handed out once: whoever speaks for spawnd later gets none for a namespace of its
    // choice.
    if (joined_) return Fail(ExitCode::kDenied, "join", "krux-spawnd has its ids already");
    const UniqueFd proc(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd dir = KRUX_TRY(OpenProcPid(proc.get(), packet.sender.pid));
    const std::string sender = std::to_string(packet.sender.uid);
    std::string map = "0 " + sender + " 1\n";
    if (!rootless_) {
      // INVARIANT: never host uid 0, never an id that logs in; the supervisor chose both.
      if (packet.sender.uid == 0 || options_.worker_id == 0) {
        return Fail(ExitCode::kSandbox, "user", "krux-spawnd must not run as host root");
      }
      map += "1100 " + std::to_string(options_.worker_id) + " 1\n";
    }
    const std::string gid_map = rootless_ ? "0 " + std::to_string(packet.sender.gid) + " 1\n" : map;
    KRUX_TRY(WriteIdMaps(dir.get(), map, gid_map));
    joined_ = true;
    if (!rootless_) {
      if (const int error = KeepEffective(kMountdCapabilities); error < 0)
        return SysError(ExitCode::kSandbox, "give up capabilities", -error);
    } else {
      if (setns(packet.fds[0].get(), CLONE_NEWUSER) != 0)
        return SysError(ExitCode::kSandbox, "join user namespace", errno);
      if (unshare(CLONE_NEWNS) != 0) return SysError(ExitCode::kSandbox, "copy mount tree", errno);
      if (mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
        return SysError(ExitCode::kSandbox, "make mount tree a slave", errno);
      }
      if (const int error = KeepEffective(kMountdRootlessCapabilities); error < 0)
        return SysError(ExitCode::kSandbox, "give up capabilities", -error);
    }
    return Answer{mountwire::Joined{}, {}};
  }

  Result<Answer> OpenWork(uint64_t tag, std::vector<UniqueFd> fds) {
    if (fds.size() != 1) return Fail(ExitCode::kBadData, "work", "`open_work` carries no socket");
    const Channel client(std::move(fds[0]));
    int domain = 0, type = 0;
    socklen_t size = sizeof(int);
    getsockopt(client.fd(), SOL_SOCKET, SO_DOMAIN, &domain, &size);
    getsockopt(client.fd(), SOL_SOCKET, SO_TYPE, &type, &size);
    if (domain != AF_UNIX || type != SOCK_SEQPACKET) {
      return Fail(ExitCode::kBadData, "work",
                  "the work descriptor must be one end of a SEQPACKET socketpair");
    }
    KRUX_TRY(client.SetNonBlocking(true));
    // unix(7): for a socketpair SO_PEERCRED is who made it. No field from kruxd says who the caller
    // is.
    PeerCredentials peer = KRUX_TRY(client.Peer());
    // Rootless we live in a user namespace that maps the one caller to 0, and the kernel answers in
    // its terms (user_namespaces(7)); everybody else reads 65534 and stays nobody.
    if (rootless_ && peer.uid == 0) peer.uid = own_uid_;
    if (rootless_ && peer.gid == 0) peer.gid = own_gid_;
    Packet queued = KRUX_TRY(client.Receive(1));
    if (queued.fds.size() != 1)
      return Fail(ExitCode::kBadData, "work", "the client queued no directory");
    CheckedWork checked =
        KRUX_TRY(CheckWork(queued.fds[0].get(), host_mountinfo_.get(), options_.protected_dirs));
    const uint64_t id = Remember(peer, checked);
    return Answer{
        mountwire::Work{tag, id, checked.path, peer.uid, peer.gid, checked.device, checked.inode},
        {}};
  }

  // The same directory of the same caller keeps its number; the oldest number goes when there are
  // too many.
  uint64_t Remember(const PeerCredentials& peer, CheckedWork& checked) {
    for (auto& [id, work] : works_) {
      if (work.uid == peer.uid && work.gid == peer.gid && work.device == checked.device &&
          work.inode == checked.inode) {
        work.directory = std::move(checked.directory);
        return id;
      }
    }
    if (works_.size() >= mountwire::kMaxWorks) works_.erase(works_.begin());
    works_[++last_id_] =
        Work{std::move(checked.directory), checked.device, checked.inode, peer.uid, peer.gid};
    return last_id_;
  }

  Result<Answer> GetMounts(const mountwire::GetMounts& get) {
    const auto found = works_.find(get.work_id);
    if (found == works_.end())
      return Fail(ExitCode::kNotFound, "mounts", "work directory is not open any more; retry");
    Answer answer;
    mountwire::Mounts mounts;
    mounts.tag = get.tag;
    mounts.disk = DiskOf(found->second.device);
    answer.fds.push_back(KRUX_TRY(CloneWork(found->second, get, mounts.idmap)));
    for (const std::string& tree : get.trees) {
      const bool known = std::any_of(std::begin(kProgramTrees), std::end(kProgramTrees),
                                     [&](const char* allowed) { return tree == allowed; });
      if (!known)
        return Fail(ExitCode::kDenied, "mounts",
                    "`" + tree + "` is not a program tree of this host");
      mounts.trees.push_back(KRUX_TRY(CloneTree(tree, answer.fds)));
    }
    answer.reply = std::move(mounts);
    return answer;
  }

  Result<UniqueFd> CloneWork(const Work& work, const mountwire::GetMounts& get,
                             std::string& idmap) {
    UniqueFd fd(open_tree(work.directory.get(), "",
                          AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (!fd.valid()) return SysError(ExitCode::kSandbox, "clone work mount", errno);
    struct mount_attr attr{};
    attr.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (get.writable ? 0u : MOUNT_ATTR_RDONLY) |
                    (get.exec ? 0u : MOUNT_ATTR_NOEXEC);
    attr.attr_set &= ~options_.test_without;
    attr.propagation = MS_PRIVATE;
    if (mount_setattr(fd.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) != 0) {
      return SysError(ExitCode::kSandbox, "protect work mount", errno);
    }
    idmap = "none";
    if (!rootless_) {
      // Where the file system refuses (overlayfs and others) or root lacks the id range
      // (containers) the files open by their 'other' bits; the receipt says so, no other map ever
      // takes its place.
      struct stat st{};
      const bool owner = options_.test_swap_owner && fstat(work.directory.get(), &st) == 0;
      const Result<UniqueFd> map = MakeSwapNamespace(
          owner ? st.st_uid : work.uid, owner ? st.st_gid : work.gid, options_.worker_id);
      struct mount_attr swap{};
      swap.attr_set = MOUNT_ATTR_IDMAP;
      swap.userns_fd = map ? static_cast<uint64_t>(map->get()) : 0;
      if (map &&
          mount_setattr(fd.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &swap, sizeof(swap)) == 0)
        idmap = "swap";
    }
    return fd;
  }

  Result<mountwire::Mounts::Tree> CloneTree(const std::string& path, std::vector<UniqueFd>& fds) {
    struct stat st{};
    if (lstat(path.c_str(), &st) != 0) return mountwire::Mounts::Tree{path, "absent", ""};
    if (S_ISLNK(st.st_mode)) {
      char target[4096];
      const ssize_t size = readlink(path.c_str(), target, sizeof(target));
      if (size <= 0) return SysError(ExitCode::kSandbox, "read link", errno);
      return mountwire::Mounts::Tree{path, "link", std::string(target, static_cast<size_t>(size))};
    }
    UniqueFd fd(
        open_tree(AT_FDCWD, path.c_str(),
                  AT_SYMLINK_NOFOLLOW | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (!fd.valid()) return SysError(ExitCode::kSandbox, "clone " + path, errno);
    struct mount_attr attr{};
    attr.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
                    (S_ISCHR(st.st_mode) ? MOUNT_ATTR_NOEXEC : MOUNT_ATTR_NODEV);
    attr.propagation = MS_PRIVATE;
    if (mount_setattr(fd.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) != 0) {
      return SysError(ExitCode::kSandbox, "protect " + path, errno);
    }
    fds.push_back(std::move(fd));
    return mountwire::Mounts::Tree{path, S_ISDIR(st.st_mode) ? "dir" : "file", ""};
  }

  const MountdOptions& options_;
  Channel channel_;
  bool rootless_;
  uid_t own_uid_;  // before a rootless mountd moves into the namespace
  gid_t own_gid_;
  bool joined_ = false;
  UniqueFd host_mountinfo_;
  std::map<uint64_t, Work> works_;
  uint64_t last_id_ = 0;
};

}  // namespace

int RunMountd(const MountdOptions& options) { return Mountd(options).Run(); }

}  // namespace krux::sandbox
