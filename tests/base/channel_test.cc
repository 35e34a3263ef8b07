// What a Channel lets through and what it refuses, descriptors included.

#include "base/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

namespace krux {
namespace {

size_t OpenFds() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

class ChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    auto pair = Channel::Pair();
    ASSERT_TRUE(pair);
    a_ = std::move(pair->first);
    b_ = std::move(pair->second);
  }
  Channel a_, b_;
};

TEST_F(ChannelTest, PacketsKeepTheirBorders) {
  const std::vector<uint8_t> one = {1, 2, 3}, two = {4};
  ASSERT_TRUE(a_.Send(one));
  ASSERT_TRUE(a_.Send(two));
  EXPECT_EQ(b_.Receive()->bytes, one);
  EXPECT_EQ(b_.Receive()->bytes, two);
}

TEST_F(ChannelTest, TheEndIsSaidOnceThePeerIsGone) {
  a_ = Channel();
  const Result<Packet> packet = b_.Receive();
  ASSERT_TRUE(packet);
  EXPECT_TRUE(packet->eof);
}

TEST_F(ChannelTest, DescriptorsArriveClosedOnExec) {
  const UniqueFd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int fds[] = {file.get(), file.get()};
  const uint8_t byte = 1;
  ASSERT_TRUE(a_.Send(std::span(&byte, 1), fds));
  const Result<Packet> packet = b_.Receive();
  ASSERT_TRUE(packet);
  ASSERT_EQ(packet->fds.size(), 2u);
  for (const UniqueFd& fd : packet->fds) {
    EXPECT_EQ(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  }
}

TEST_F(ChannelTest, MoreDescriptorsThanAllowedAreRefusedAndNoneStaysOpen) {
  const UniqueFd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const size_t before = OpenFds();
  for (const size_t sent : {size_t{2}, size_t{16}}) {
    const std::vector<int> fds(sent, file.get());
    const uint8_t byte = 1;
    ASSERT_TRUE(a_.Send(std::span(&byte, 1), fds));
    const Result<Packet> packet = b_.Receive(1);
    ASSERT_FALSE(packet);
    EXPECT_EQ(packet.error().code, ExitCode::kBadData);
  }
  // More than fit the buffer for control data: the kernel cuts, and the packet is refused.
  std::vector<int> many(40, file.get());
  char control[CMSG_SPACE(sizeof(int) * 40)] = {};
  uint8_t byte = 1;
  iovec io{&byte, 1};
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int) * many.size());
  std::memcpy(CMSG_DATA(c), many.data(), sizeof(int) * many.size());
  ASSERT_EQ(sendmsg(a_.fd(), &message, 0), 1);
  EXPECT_FALSE(b_.Receive(16));
  EXPECT_EQ(OpenFds(), before);
}

TEST_F(ChannelTest, OnePacketIsAtMost64KiB) {
  EXPECT_TRUE(a_.Send(std::vector<uint8_t>(kMaxPacket)));
  EXPECT_EQ(b_.Receive()->bytes.size(), kMaxPacket);
  EXPECT_FALSE(a_.Send(std::vector<uint8_t>(kMaxPacket + 1)));
  // A peer that does not use this class sends more: the packet is refused whole, the next is fine.
  const std::vector<uint8_t> large(kMaxPacket + 1);
  ASSERT_EQ(send(a_.fd(), large.data(), large.size(), 0), static_cast<ssize_t>(large.size()));
  const Result<Packet> refused = b_.Receive();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ExitCode::kBadData);
  const uint8_t byte = 7;
  ASSERT_TRUE(a_.Send(std::span(&byte, 1)));
  EXPECT_EQ(b_.Receive()->bytes, std::vector<uint8_t>{7});
}

TEST_F(ChannelTest, WaitingHasAnEnd) {
  const Result<Packet> packet = b_.ReceiveWithin(10);
  ASSERT_FALSE(packet);
  EXPECT_EQ(packet.error().code, ExitCode::kTimeout);
}

TEST_F(ChannelTest, TheKernelSaysWhoSent) {
  ASSERT_TRUE(b_.EnableCredentials());
  const uint8_t byte = 1;
  ASSERT_TRUE(a_.Send(std::span(&byte, 1)));
  const Result<Packet> packet = b_.Receive();
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->sender.pid, getpid());
  EXPECT_EQ(packet->sender.uid, geteuid());
  EXPECT_EQ(b_.Peer()->pid, getpid());
}

TEST(Listener, HasItsModeAndTakesThePlaceOfAnOldSocket) {
  char name[] = "/tmp/krux-listen-XXXXXX";
  const std::string dir = mkdtemp(name);
  const std::string path = dir + "/s";
  for (int round = 0; round < 2; ++round) {
    const Result<UniqueFd> listener = ListenSeqpacket(path, 0600, 4);
    ASSERT_TRUE(listener) << listener.error().message;
    struct stat st{};
    ASSERT_EQ(stat(path.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0600u);
    EXPECT_TRUE(Channel::Connect(path));
  }
  const Result<Channel> gone = Channel::Connect(path);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ExitCode::kUnreachable);
  const Result<UniqueFd> too_long = ListenSeqpacket(dir + "/" + std::string(120, 'x'), 0600, 4);
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, ExitCode::kConfig);
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace krux
