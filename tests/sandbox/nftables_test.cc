// The default-drop table in fresh network namespaces: what the kernel holds, what it drops, and
// that anything else does not match.
#include "sandbox/nftables.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "base/channel.h"
#include "sandbox/caps.h"
#include "tests/sandbox/child.h"

namespace krux::sandbox {
namespace {

using testing::RunInChild;

bool EnterNetworkNamespace() {
  const uid_t uid = geteuid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
  std::ofstream("/proc/self/uid_map") << "0 " << uid << " 1";
  return geteuid() == 0;
}

bool LoopbackUp() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request = {};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  const bool ok = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  close(fd);
  return ok;
}

// The batch without the messages that mention `chain`.
struct Cut {
  std::vector<uint8_t> bytes;
  unsigned acks = DefaultDropBatch().acks;
  NftBatch batch() const { return {bytes.data(), bytes.size(), acks}; }
};
Cut Without(const std::string& chain) {
  Cut cut;
  const NftBatch& whole = DefaultDropBatch();
  for (size_t at = 0; at < whole.size;) {
    nlmsghdr head;
    std::memcpy(&head, whole.bytes + at, sizeof head);
    const std::string message(reinterpret_cast<const char*>(whole.bytes) + at, head.nlmsg_len);
    if (message.find(chain) == std::string::npos) {
      cut.bytes.insert(cut.bytes.end(), whole.bytes + at,
                       whole.bytes + at + NLMSG_ALIGN(head.nlmsg_len));
    } else {
      cut.acks--;
    }
    at += NLMSG_ALIGN(head.nlmsg_len);
  }
  return cut;
}

// A child makes a namespace, sends `batch`, passes its netlink socket out as a worker does, and
// lives until the dump is done.
Result<cbor::Value> DumpOf(const NftBatch* batch) {
  auto [inside, outside] = KRUX_TRY(Channel::Pair());
  const pid_t pid = fork();
  if (pid == 0) {
    alarm(20);
    if (!EnterNetworkNamespace()) _exit(2);
    const int fd = OpenNetlink();
    if (fd < 0 || (batch != nullptr && SendNftBatch(fd, *batch) != 0)) _exit(3);
    const uint8_t byte = 0;
    const int fds[] = {fd};
    if (!inside.Send({&byte, 1}, fds)) _exit(4);
    outside = Channel();
    (void)inside.Receive();  // end of file: the parent is done
    _exit(0);
  }
  inside = Channel();
  Result<Packet> packet = outside.ReceiveWithin(10'000);
  Result<cbor::Value> dump = Fail(ExitCode::kInternal, "test", "the child sent no socket");
  if (packet && packet->fds.size() == 1) dump = DumpNft(packet->fds[0].get());
  outside = Channel();
  int status = 0;
  waitpid(pid, &status, 0);
  return dump;
}

class Nftables : public ::testing::Test {
 protected:
  void SetUp() override {
    if (RunInChild([] { return EnterNetworkNamespace() ? 0 : 1; }) != 0) {
      GTEST_SKIP() << "user namespaces are not available";
    }
  }
};

TEST_F(Nftables, TheDumpShowsDropInOutAndForward) {
  const Result<cbor::Value> dump = DumpOf(&DefaultDropBatch());
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_EQ(
      cbor::Diagnostic(*dump),
      cbor::Diagnostic(cbor::Map{
          {"tables", cbor::Array{"inet krux"}},
          {"chains",
           cbor::Array{cbor::Map{{"name", "forward"}, {"hook", "forward"}, {"policy", "drop"}},
                       cbor::Map{{"name", "input"}, {"hook", "input"}, {"policy", "drop"}},
                       cbor::Map{{"name", "output"}, {"hook", "output"}, {"policy", "drop"}}}},
          {"rules", 3u},
          {"expressions", cbor::Array{"forward counter", "input counter", "output counter"}},
          {"packets", 0u}}));
  EXPECT_TRUE(NftMatches(*dump));
}

TEST_F(Nftables, AMissingChainDoesNotMatch) {
  for (const char* chain : {"input", "forward", "output"}) {
    const Cut cut = Without(chain);
    ASSERT_EQ(cut.acks, DefaultDropBatch().acks - 2) << chain;
    const NftBatch batch = cut.batch();
    const Result<cbor::Value> dump = DumpOf(&batch);
    ASSERT_TRUE(dump) << dump.error().message;
    EXPECT_FALSE(NftMatches(*dump)) << chain;
  }
}

TEST_F(Nftables, AnAcceptingPolicyDoesNotMatch) {
  const NftBatch& whole = DefaultDropBatch();
  std::vector<uint8_t> bytes(whole.bytes, whole.bytes + whole.size);
  // NFTA_CHAIN_POLICY (5), 8 bytes long, value NF_DROP (0) in network order → NF_ACCEPT (1).
  const uint8_t drop[] = {8, 0, 5, 0, 0, 0, 0, 0};
  const auto at = std::search(bytes.begin(), bytes.end(), std::begin(drop), std::end(drop));
  ASSERT_NE(at, bytes.end());
  at[7] = 1;
  const NftBatch batch = {bytes.data(), bytes.size(), whole.acks};
  const Result<cbor::Value> dump = DumpOf(&batch);
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_FALSE(NftMatches(*dump));
}

TEST_F(Nftables, ANamespaceWithoutTheTableDoesNotMatch) {
  const Result<cbor::Value> dump = DumpOf(nullptr);
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_FALSE(NftMatches(*dump));
  EXPECT_FALSE(NftMatches(cbor::Value()));
}

TEST_F(Nftables, LoopbackIsDroppedAndCounted) {
  EXPECT_EQ(
      RunInChild([] {
        CHILD_EXPECT(EnterNetworkNamespace() && LoopbackUp());
        const int receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* name = reinterpret_cast<sockaddr*>(&address);
        CHILD_EXPECT(bind(receiver, name, size) == 0 && getsockname(receiver, name, &size) == 0);
        const int sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        char byte = 'x';
        // The control: without the table the packet arrives.
        CHILD_EXPECT(sendto(sender, &byte, 1, 0, name, size) == 1 &&
                     recv(receiver, &byte, 1, 0) == 1);
        const int fd = OpenNetlink();
        CHILD_EXPECT(fd >= 0 && SendNftBatch(fd) == 0);
        CHILD_EXPECT(sendto(sender, &byte, 1, 0, name, size) < 0 && errno == EPERM);
        CHILD_EXPECT(recv(receiver, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
        const Result<cbor::Value> dump = DumpNft(fd);
        CHILD_EXPECT(dump && NftMatches(*dump));
        CHILD_EXPECT(*dump->map()->Find("packets")->uint() == 1);
        return 0;
      }),
      0);
}

TEST_F(Nftables, InputDropsWhatOutputLetsThrough) {
  EXPECT_EQ(
      RunInChild([] {
        CHILD_EXPECT(EnterNetworkNamespace() && LoopbackUp());
        const Cut cut = Without("output");
        const int fd = OpenNetlink();
        CHILD_EXPECT(fd >= 0 && SendNftBatch(fd, cut.batch()) == 0);
        const int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* name = reinterpret_cast<sockaddr*>(&address);
        CHILD_EXPECT(bind(socket_fd, name, size) == 0 && getsockname(socket_fd, name, &size) == 0);
        char byte = 'x';
        CHILD_EXPECT(sendto(socket_fd, &byte, 1, 0, name, size) == 1);
        // The counter of `input` says that the packet has come that far; alarm(2) bounds the wait.
        for (;;) {
          const Result<cbor::Value> dump = DumpNft(fd);
          CHILD_EXPECT(dump);
          if (*dump->map()->Find("packets")->uint() > 0) break;
          sched_yield();
        }
        CHILD_EXPECT(recv(socket_fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
        return 0;
      }),
      0);
}

TEST_F(Nftables, ARefusedMessageIsAnError) {
  EXPECT_EQ(RunInChild([] {
              CHILD_EXPECT(EnterNetworkNamespace());
              const int fd = OpenNetlink();
              CHILD_EXPECT(SendNftBatch(fd) == 0);
              CHILD_EXPECT(SendNftBatch(fd) == -EEXIST);  // NLM_F_EXCL
              NftBatch more = DefaultDropBatch();
              more.acks++;
              const int other = OpenNetlink();
              CHILD_EXPECT(SendNftBatch(other, more) == -EEXIST);
              return 0;
            }),
            0);
  EXPECT_EQ(RunInChild([] {
              CHILD_EXPECT(EnterNetworkNamespace());
              const int fd = OpenNetlink();
              NftBatch more = DefaultDropBatch();
              more.acks++;
              return SendNftBatch(fd, more);
            }),
            -EPROTO);
}

TEST_F(Nftables, WithoutCapNetAdminNothingIsSentOrDumped) {
  EXPECT_EQ(RunInChild([] {
              CHILD_EXPECT(EnterNetworkNamespace());
              CHILD_EXPECT(DropAllCapabilities() == 0);
              const int fd = OpenNetlink();
              CHILD_EXPECT(SendNftBatch(fd) == -EPERM);
              const Result<cbor::Value> dump = DumpNft(fd);
              CHILD_EXPECT(!dump && dump.error().sys_errno == EPERM);
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace krux::sandbox
