// The packets between krux-spawnd and krux-mountd. docs/PROTOCOL.md words them.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/cbor_value.h"
#include "base/error.h"

namespace krux::sandbox::mountwire {

// spawnd's first packet, from inside its fresh user namespace; + 1 fd, that namespace. mountd
// writes its maps (root) or writes them and joins it (rootless). The sender's pid is
// SCM_CREDENTIALS.
struct Join {};
// A client's WORK: + 1 fd, the socketpair end in which the client queued its directory.
struct OpenWork {
  uint64_t tag = 0;
};
// Detached mounts for one template: WORK first, then the program trees that are directories or
// files.
struct GetMounts {
  uint64_t tag = 0;
  uint64_t work_id = 0;
  bool writable = false;
  bool exec = false;
  std::vector<std::string> trees;  // must be in mountd's own list
};
using Request = std::variant<Join, OpenWork, GetMounts>;

struct Joined {};
inline constexpr size_t kMaxWorks = 64;  // mountd forgets the oldest beyond these
struct Work {
  uint64_t tag = 0, work_id = 0;
  std::string path;
  uint64_t uid = 0, gid = 0, device = 0, inode = 0;
};
// + fds: WORK, then one for every tree that is not a link or absent.
struct Mounts {
  uint64_t tag = 0;
  std::string idmap;  // "swap" or "none"
  std::string disk;   // of WORK: DiskOf
  struct Tree {
    std::string path;
    std::string kind;    // "dir", "file", "link", "absent"
    std::string target;  // of a link
  };
  std::vector<Tree> trees;
};
struct Refused {
  uint64_t tag = 0;
  Error error;
};
using Reply = std::variant<Joined, Work, Mounts, Refused>;

cbor::Bytes EncodeRequest(const Request& request);
Result<Request> DecodeRequest(std::span<const uint8_t> bytes);
cbor::Bytes EncodeReply(const Reply& reply);
Result<Reply> DecodeReply(std::span<const uint8_t> bytes);

}  // namespace krux::sandbox::mountwire
