// The bait of krux doctor --jail: that nobody touched it is only worth something if a touch is
// seen.
#include "tools/jail_bait.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace krux::tools {
namespace {

class BaitTest : public testing::Test {
 protected:
  BaitTest() {
    char name[] = "/tmp/krux-bait-XXXXXX";
    scratch_ = mkdtemp(name);
    std::filesystem::create_directory(scratch_ + "/work");
  }
  ~BaitTest() override { std::filesystem::remove_all(scratch_); }
  std::string Work(const std::string& name) const { return scratch_ + "/work/" + name; }

  std::string scratch_;
};

bool Connects(const void* address, size_t size, int type) {
  const auto* name = static_cast<const sockaddr*>(address);
  const int fd = socket(name->sa_family, type | SOCK_CLOEXEC, 0);
  const bool connected = connect(fd, name, static_cast<socklen_t>(size)) == 0 &&
                         (type != SOCK_DGRAM || send(fd, "x", 1, 0) == 1);
  close(fd);
  return connected;
}

TEST_F(BaitTest, LiesUntouched) {
  for (int kind = 0; kind <= static_cast<int>(BaitKind::kFileHandle); ++kind) {
    Bait bait(scratch_);
    const auto words = bait.Lay(static_cast<BaitKind>(kind));
    ASSERT_TRUE(words) << kind << words.error().message;
    EXPECT_EQ(bait.Touched(), "") << kind;
  }
  EXPECT_TRUE(std::filesystem::is_empty(scratch_ + "/work")) << "what was laid is taken away";
}

TEST_F(BaitTest, AConnectionIsSeen) {
  for (const BaitKind kind : {BaitKind::kTcpPort, BaitKind::kUdpPort}) {
    Bait bait(scratch_);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(std::stoi(bait.Lay(kind).value()[0])));
    ASSERT_TRUE(
        Connects(&address, sizeof address, kind == BaitKind::kTcpPort ? SOCK_STREAM : SOCK_DGRAM));
    EXPECT_NE(bait.Touched(), "");
  }
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    Bait bait(scratch_);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path,
                bait.Lay(BaitKind::kUnixSockets).value()[type == SOCK_STREAM ? 0 : 1].c_str());
    ASSERT_TRUE(Connects(&address, sizeof address, type));
    EXPECT_NE(bait.Touched(), "");
  }
  Bait bait(scratch_);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = bait.Lay(BaitKind::kAbstractSocket).value()[0];
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  ASSERT_TRUE(Connects(&address, offsetof(sockaddr_un, sun_path) + 1 + name.size(), SOCK_STREAM));
  EXPECT_NE(bait.Touched(), "");
}

TEST_F(BaitTest, AChangedFileOutsideIsSeen) {
  Bait bait(scratch_);
  const std::string secret = bait.Lay(BaitKind::kOutsideFile).value()[0];
  std::ofstream(secret) << "overwritten";
  EXPECT_NE(bait.Touched(), "");
  Bait linked(scratch_);
  ASSERT_EQ(link(linked.Lay(BaitKind::kOutsideFile).value()[0].c_str(), Work("taken").c_str()), 0);
  EXPECT_NE(linked.Touched(), "");
}

TEST_F(BaitTest, AKilledProcessIsSeen) {
  Bait bait(scratch_);
  const pid_t pid = std::stoi(bait.Lay(BaitKind::kProcess).value()[0]);
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
  EXPECT_NE(bait.Touched(), "");
}

TEST_F(BaitTest, WhatNoProgramMayMakeIsSeen) {
  Bait bait(scratch_);
  ASSERT_TRUE(bait.Lay(BaitKind::kNone));
  std::ofstream(Work("plain")) << "x";
  EXPECT_EQ(bait.Touched(), "");
  ASSERT_EQ(chmod(Work("plain").c_str(), 04755), 0);
  EXPECT_NE(bait.Touched(), "");
  ASSERT_EQ(chmod(Work("plain").c_str(), 0755), 0);
  ASSERT_EQ(mkfifo(Work("pipe").c_str(), 0600), 0);
  EXPECT_NE(bait.Touched(), "");
}

}  // namespace
}  // namespace krux::tools
