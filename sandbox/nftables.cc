#include "sandbox/nftables.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/nft_batch.h"

namespace krux::sandbox {
namespace {

constexpr NftBatch kBatch = {generated::kNftBatch, generated::kNftBatchSize,
                             generated::kNftBatchAcks};

// Counts the acknowledgements in one datagram; 0, or -errno of the first refusal.
int CountAcks(const uint8_t* data, size_t size, unsigned* acks) {
  while (size >= sizeof(nlmsghdr)) {
    nlmsghdr head;
    memcpy(&head, data, sizeof head);
    if (head.nlmsg_len < sizeof head || head.nlmsg_len > size) return -EPROTO;
    if (head.nlmsg_type == NLMSG_ERROR) {
      nlmsgerr error;
      if (head.nlmsg_len < sizeof head + sizeof error) return -EPROTO;
      memcpy(&error, data + sizeof head, sizeof error);
      if (error.error != 0) return error.error < 0 ? error.error : -EPROTO;
      ++*acks;
    }
    const size_t step = NLMSG_ALIGN(head.nlmsg_len) < size ? NLMSG_ALIGN(head.nlmsg_len) : size;
    data += step;
    size -= step;
  }
  return 0;
}

}  // namespace

const NftBatch& DefaultDropBatch() { return kBatch; }

int OpenNetlink() {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  return fd < 0 ? -errno : fd;
}

int SendNftBatch(int fd) { return SendNftBatch(fd, kBatch); }

int SendNftBatch(int fd, const NftBatch& batch) {
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  const ssize_t sent = sendto(fd, batch.bytes, batch.size, 0,
                              reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  if (sent < 0) return -errno;
  if (static_cast<size_t>(sent) != batch.size) return -EPROTO;
  // The kernel commits the batch inside sendto: every answer is already queued, and one that is not
  // there will not come.
  unsigned acks = 0;
  while (acks < batch.acks) {
    alignas(nlmsghdr) uint8_t buffer[4096];
    const ssize_t size = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN ? -EPROTO : -errno;
    if (size == 0 || static_cast<size_t>(size) > sizeof buffer) return -EPROTO;
    const int error = CountAcks(buffer, static_cast<size_t>(size), &acks);
    if (error < 0) return error;
  }
  return 0;
}

}  // namespace krux::sandbox
