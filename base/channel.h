// Channel: one end of an AF_UNIX SOCK_SEQPACKET socket that carries CBOR packets and descriptors.
// unix(7), SCM_RIGHTS. A packet is at most kMaxPacket bytes and kMaxFds descriptors.
//
//   auto [a, b] = KRUX_TRY(Channel::Pair());
//   KRUX_TRY(a.Send(bytes));
//   Packet packet = KRUX_TRY(b.Receive());
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace krux {

inline constexpr size_t kMaxPacket = 64 * 1024;  // bytes
inline constexpr size_t kMaxFds = 16;            // descriptors per packet

struct PeerCredentials {
  pid_t pid = 0;  // in the receiver's pid namespace; 0 if the peer is in none of its descendants
  uid_t uid = 0;
  gid_t gid = 0;
};

struct Packet {
  std::vector<uint8_t> bytes;
  std::vector<UniqueFd> fds;  // all O_CLOEXEC
  PeerCredentials sender;     // filled only after Channel::EnableCredentials
  bool eof = false;           // the peer closed; bytes and fds are empty
};

class Channel {
 public:
  Channel() = default;
  explicit Channel(UniqueFd fd) : fd_(std::move(fd)) {}
  static Result<std::pair<Channel, Channel>> Pair();
  // Connects to a path of at most 107 bytes (sun_path, unix(7)). With a `timeout_ms`, connecting
  // and every later Send end with EAGAIN after that time; else they wait.
  static Result<Channel> Connect(const std::string& path, int timeout_ms = 0);

  // Sends one packet. EAGAIN on a non-blocking socket is an error with sys_errno EAGAIN.
  Result<void> Send(std::span<const uint8_t> bytes, std::span<const int> fds = {}) const;
  // Receives one packet. A packet that is too long, whose control data was cut (MSG_CTRUNC) or that
  // carries more than `max_fds` descriptors is an error kBadData; every descriptor is closed.
  Result<Packet> Receive(size_t max_fds = kMaxFds) const;
  // The same with poll(2) first: error code kTimeout after `timeout_ms`.
  Result<Packet> ReceiveWithin(int timeout_ms, size_t max_fds = kMaxFds) const;

  // SO_PASSCRED: from now on Packet::sender is filled by the kernel.
  Result<void> EnableCredentials() const;
  Result<void> SetNonBlocking(bool on) const;
  // SO_PEERCRED: who called connect(2), or socketpair(2).
  Result<PeerCredentials> Peer() const;

  int fd() const { return fd_.get(); }
  bool valid() const { return fd_.valid(); }
  UniqueFd TakeFd() { return std::move(fd_); }

 private:
  UniqueFd fd_;
};

// A listening SOCK_SEQPACKET socket at `path` with file mode `mode`; an old socket there is
// removed.
Result<UniqueFd> ListenSeqpacket(const std::string& path, mode_t mode, int backlog);

}  // namespace krux
