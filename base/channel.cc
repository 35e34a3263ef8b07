#include "base/channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace krux {
namespace {

constexpr size_t kControlBytes =
    CMSG_SPACE(sizeof(int) * kMaxFds) + CMSG_SPACE(sizeof(struct ucred));

Result<sockaddr_un> Address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Fail(ExitCode::kConfig, "socket",
                "socket path `" + path +
                    "` is longer than 107 bytes; set KRUX_RUNTIME_DIR to a shorter one");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

// Takes descriptors and credentials out of `message` into `packet`.
void CollectControl(msghdr& message, Packet& packet) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET) continue;
    if (c->cmsg_type == SCM_RIGHTS) {
      const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        packet.fds.emplace_back(fd);
      }
    } else if (c->cmsg_type == SCM_CREDENTIALS) {
      ucred credentials{};
      std::memcpy(&credentials, CMSG_DATA(c), sizeof(credentials));
      packet.sender = {credentials.pid, credentials.uid, credentials.gid};
    }
  }
}

}  // namespace

Result<std::pair<Channel, Channel>> Channel::Pair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return SysError(ExitCode::kInternal, "socketpair", errno);
  }
  return std::pair(Channel(UniqueFd(fds[0])), Channel(UniqueFd(fds[1])));
}

Result<Channel> Channel::Connect(const std::string& path, int timeout_ms) {
  const sockaddr_un address = KRUX_TRY(Address(path));
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return SysError(ExitCode::kInternal, "socket", errno);
  // SO_SNDTIMEO also ends the wait of connect(2) for a place in the backlog, socket(7).
  const timeval within{timeout_ms / 1000, timeout_ms % 1000 * 1000};
  if (setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &within, sizeof(within)) != 0) {
    return SysError(ExitCode::kInternal, "SO_SNDTIMEO", errno);
  }
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return SysError(ExitCode::kUnreachable, "connect to `" + path + "`", errno);
  }
  return Channel(std::move(fd));
}

Result<void> Channel::Send(std::span<const uint8_t> bytes, std::span<const int> fds) const {
  if (bytes.size() > kMaxPacket || fds.size() > kMaxFds) {
    return Fail(ExitCode::kBadData, "send", "message is larger than one packet of 64 KiB");
  }
  iovec io{const_cast<uint8_t*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)] = {};
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(c), fds.data(), sizeof(int) * fds.size());
  }
  ssize_t sent;
  do {
    sent = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return SysError(ExitCode::kUnreachable, "send", errno);
  return {};
}

Result<Packet> Channel::Receive(size_t max_fds) const {
  // Packets are far smaller than they may be: of this only the pages are used that one fills, and a
  // fresh vector of that size would have to be filled with zeros every time.
  thread_local uint8_t buffer[kMaxPacket];
  Packet packet;
  iovec io{buffer, sizeof(buffer)};
  alignas(cmsghdr) char control[kControlBytes] = {};
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t got;
  do {
    got = recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return SysError(ExitCode::kUnreachable, "receive", errno);
  CollectControl(message, packet);
  if ((message.msg_flags & MSG_TRUNC) != 0) {
    return Fail(ExitCode::kBadData, "receive", "packet is larger than 64 KiB");
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0 || packet.fds.size() > max_fds) {
    return Fail(ExitCode::kBadData, "receive",
                "packet carries more descriptors than its type allows");
  }
  packet.bytes.assign(buffer, buffer + got);
  // A SEQPACKET peer can send an empty packet; no message of krux is empty, so it counts as the
  // end.
  packet.eof = got == 0;
  return packet;
}

Result<Packet> Channel::ReceiveWithin(int timeout_ms, size_t max_fds) const {
  pollfd p{fd_.get(), POLLIN, 0};
  int ready;
  do {
    ready = poll(&p, 1, timeout_ms);
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) return SysError(ExitCode::kInternal, "poll", errno);
  if (ready == 0) return Fail(ExitCode::kTimeout, "receive", "no answer in time");
  return Receive(max_fds);
}

Result<void> Channel::EnableCredentials() const {
  const int on = 1;
  if (setsockopt(fd_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0) {
    return SysError(ExitCode::kInternal, "SO_PASSCRED", errno);
  }
  return {};
}

Result<void> Channel::SetNonBlocking(bool on) const {
  const int flags = fcntl(fd_.get(), F_GETFL);
  if (flags < 0 || fcntl(fd_.get(), F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) != 0) {
    return SysError(ExitCode::kInternal, "O_NONBLOCK", errno);
  }
  return {};
}

Result<PeerCredentials> Channel::Peer() const {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return SysError(ExitCode::kInternal, "SO_PEERCRED", errno);
  }
  return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

Result<UniqueFd> ListenSeqpacket(const std::string& path, mode_t mode, int backlog) {
  const sockaddr_un address = KRUX_TRY(Address(path));
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return SysError(ExitCode::kInternal, "socket", errno);
  unlink(path.c_str());
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return SysError(ExitCode::kConfig, "bind `" + path + "`", errno);
  }
  if (chmod(path.c_str(), mode) != 0)
    return SysError(ExitCode::kConfig, "chmod `" + path + "`", errno);
  if (listen(fd.get(), backlog) != 0)
    return SysError(ExitCode::kConfig, "listen `" + path + "`", errno);
  return fd;
}

}  // namespace krux
