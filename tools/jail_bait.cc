#include "tools/jail_bait.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace krux::tools {
namespace {

constexpr char kSecret[] = "what the host keeps to itself\n";

std::string Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::unexpected<Error> CannotLay(const char* what) {
  return SysError(ExitCode::kFailed, std::string("lay ") + what, errno);
}

}  // namespace

Bait::Bait(std::string scratch)
    : work_(scratch + "/work"), outside_(scratch + "/outside"), secret_(outside_ + "/secret") {
  std::filesystem::create_directory(outside_);
  chmod(outside_.c_str(), 0755);
  std::ofstream(secret_, std::ios::binary) << kSecret;
  chmod(secret_.c_str(), 0644);
}

Bait::~Bait() {
  if (process_ > 0) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  if (segment_ >= 0) shmctl(segment_, IPC_RMID, nullptr);
  std::error_code ignored;
  std::filesystem::remove_all(outside_, ignored);
  for (const auto& entry : std::filesystem::directory_iterator(work_, ignored))
    std::filesystem::remove_all(entry.path(), ignored);
}

Result<void> Bait::Listen(int type, const void* address, unsigned size) {
  const auto* name = static_cast<const sockaddr*>(address);
  UniqueFd fd(socket(name->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid() || bind(fd.get(), name, size) != 0) return CannotLay("a socket");
  if (type == SOCK_STREAM && listen(fd.get(), 8) != 0) return CannotLay("a listener");
  listeners_.push_back(std::move(fd));
  return {};
}

Result<std::string> Bait::SocketInWork(const char* name, int type) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = work_ + "/" + name;
  if (path.size() >= sizeof address.sun_path)
    return Fail(ExitCode::kConfig, "bait", "`" + path + "` is too long for a socket; set TMPDIR");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  KRUX_TRY(Listen(type, &address, sizeof address));
  chmod(path.c_str(), 0777);
  laid_.push_back(path);
  return path;
}

Result<std::string> Bait::Port(int type) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  KRUX_TRY(Listen(type, &address, sizeof address));
  socklen_t size = sizeof address;
  if (getsockname(listeners_.back().get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return CannotLay("a port");
  return std::to_string(ntohs(address.sin_port));
}

Result<std::vector<std::string>> Bait::Handle() const {
  alignas(file_handle) unsigned char room[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
  auto* handle = reinterpret_cast<file_handle*>(room);
  int mount = 0;
  handle->handle_bytes = MAX_HANDLE_SZ;
  if (name_to_handle_at(AT_FDCWD, secret_.c_str(), handle, &mount, 0) != 0)
    return std::vector<std::string>{
        "00", "1"};  // this file system has none; the call is tried all the same
  std::string hex;
  for (unsigned i = 0; i < handle->handle_bytes; ++i) {
    char byte[3];
    std::snprintf(byte, sizeof byte, "%02x", room[sizeof(file_handle) + i]);
    hex += byte;
  }
  return std::vector<std::string>{hex, std::to_string(handle->handle_type)};
}

Result<std::vector<std::string>> Bait::Lay(BaitKind kind) {
  using Words = std::vector<std::string>;
  const std::string link = work_ + "/made-by-host";
  switch (kind) {
    case BaitKind::kNone:
      return Words{};
    case BaitKind::kOutsideFile:
      return Words{secret_};
    case BaitKind::kRelativeLink:
    case BaitKind::kAbsoluteLink: {
      const bool relative = kind == BaitKind::kRelativeLink;
      if (symlink(relative ? "../outside/secret" : secret_.c_str(), link.c_str()) != 0)
        return CannotLay("a link");
      return Words{"made-by-host", secret_};
    }
    case BaitKind::kRootNames:
      return Words{"usr",   "bin",   "sbin",   "lib",
                   "lib32", "lib64", "libx32", "etc",
                   "dev",   "tmp",   "proc",   work_.substr(1, work_.find('/', 1) - 1)};
    case BaitKind::kUnixSockets: {
      std::string stream = KRUX_TRY(SocketInWork("stream", SOCK_STREAM));
      std::string datagram = KRUX_TRY(SocketInWork("datagram", SOCK_DGRAM));
      return Words{std::move(stream), std::move(datagram)};
    }
    case BaitKind::kAbstractSocket: {
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      const std::string name = "krux-doctor" + work_.substr(0, sizeof address.sun_path - 16);
      std::memcpy(address.sun_path + 1, name.data(), name.size());
      KRUX_TRY(Listen(SOCK_STREAM, &address,
                      static_cast<unsigned>(offsetof(sockaddr_un, sun_path) + 1 + name.size())));
      return Words{name};
    }
    case BaitKind::kTcpPort:
    case BaitKind::kUdpPort:
      return Words{KRUX_TRY(Port(kind == BaitKind::kTcpPort ? SOCK_STREAM : SOCK_DGRAM))};
    case BaitKind::kHostName: {
      char name[256] = {};
      if (gethostname(name, sizeof name - 1) != 0) return CannotLay("the host's name");
      return Words{name};
    }
    case BaitKind::kProcess:
      process_ = fork();
      if (process_ == 0) {
        for (;;) pause();
      }
      return Words{std::to_string(process_)};
    case BaitKind::kSharedMemory:
      segment_ =
          shmget(static_cast<key_t>(0x6b720000 | (getpid() & 0xffff)), 4096, IPC_CREAT | 0666);
      if (segment_ < 0) return CannotLay("shared memory");
      return Words{std::to_string(0x6b720000 | (getpid() & 0xffff))};
    case BaitKind::kFileHandle:
      return Handle();
  }
  return Words{};
}

std::string Bait::Touched() const {
  for (const UniqueFd& fd : listeners_) {
    char byte;
    if (accept4(fd.get(), nullptr, nullptr, SOCK_NONBLOCK) >= 0)
      return "a listener was connected to";
    if (recv(fd.get(), &byte, 1, MSG_DONTWAIT) >= 0) return "a socket received something";
  }
  if (process_ > 0 && waitpid(process_, nullptr, WNOHANG) != 0)
    return "a process of the host ended";
  struct stat st{};
  if (stat(secret_.c_str(), &st) != 0 || st.st_nlink != 1 || Slurp(secret_) != kSecret)
    return "the file outside of WORK changed";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(work_, ignored)) {
    const std::string path = entry.path();
    if (lstat(path.c_str(), &st) != 0 || std::ranges::count(laid_, path) != 0) continue;
    const bool plain = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode);
    if (!plain || (st.st_mode & (S_ISUID | S_ISGID)) != 0) return "`" + path + "` was made";
  }
  return "";
}

}  // namespace krux::tools
