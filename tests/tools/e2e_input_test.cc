// Bad input through the whole path: a clean answer with the right exit code, no byte on stdout, and
// the gateway goes on. One gateway for the suite; that it still serves at the end is part of the
// test.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/cbor_value.h"
#include "base/channel.h"
#include "tests/tools/krux_process.h"
#include "tools/json.h"

namespace krux::tools {
namespace {

class Input : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    gateway_ = std::make_unique<PrivateGateway>();
    WriteFile(gateway_->Path("file"), "content");
    chmod(gateway_->Path("file").c_str(), 0644);
    gateway_->Start();  // ctest runs each test alone: none may count on a call of another
  }
  static void TearDownTestSuite() { gateway_.reset(); }

  void TearDown() override { EXPECT_EQ(Krux({"call", "fs.read", "file"}).out, "content"); }

  static Ran Krux(const std::vector<std::string>& words, const RunOptions& options = {}) {
    return gateway_->Krux(words, options);
  }
  static std::string Path(const std::string& name) { return gateway_->Path(name); }

  // The call ends with `code`, says so in one line, and prints nothing.
  static void Refused(const std::vector<std::string>& words, int code) {
    const Ran ran = Krux(words);
    EXPECT_EQ(ran.exit, code) << testing::PrintToString(words) << ran.err;
    EXPECT_EQ(ran.out, "") << testing::PrintToString(words);
    EXPECT_NE(ran.err.find("krux: "), std::string::npos) << testing::PrintToString(words);
    for (const char c : ran.err) EXPECT_TRUE(static_cast<uint8_t>(c) >= 0x20 || c == '\n');
  }

  static std::unique_ptr<PrivateGateway> gateway_;
};
std::unique_ptr<PrivateGateway> Input::gateway_;

// Regression: below /tmp, where WORK is mounted once more, the receipt compared the name as it is
// with the name as mountinfo(5) escapes it.
TEST_F(Input, AWorkWithSpacesInItsNameIsAsGoodAsAnother) {
  const std::string work = Path("my project\\ \t");
  mkdir(work.c_str(), 0755);
  WriteFile(work + "/a", "");
  const std::vector<std::string> call{"call", "--work", work, "--profile", "local_dev"};
  for (const std::vector<std::string>& what :
       {std::vector<std::string>{"proc.exec", "--", "ls"}, {"fs.list", "."}}) {
    std::vector<std::string> words = call;
    words.insert(words.end(), what.begin(), what.end());
    const Ran ran = Krux(words, {.cwd = work});
    EXPECT_EQ(ran.exit, 0) << what.front() << ran.err;
    EXPECT_NE(ran.out.find("a"), std::string::npos) << ran.out;
  }
}

TEST_F(Input, AMissingPathIs66) {
  Refused({"call", "fs.read", "missing"}, 66);
  Refused({"call", "fs.read", "missing/deeper"}, 66);
  Refused({"call", "fs.read", "file/below"}, 66);
  Refused({"call", "fs.stat", "missing"}, 66);
  Refused({"call", "fs.list", "missing"}, 66);
}

TEST_F(Input, DotsNeverLeaveTheGrant) {
  Refused({"call", "fs.read", "../../../etc/passwd"}, 77);  // /tmp/krux-test-…/work
  Refused({"call", "fs.read", "../../../../../etc/passwd"},
          65);  // above the root is no path at all
  Refused({"call", "fs.read", "../secret"}, 77);
  EXPECT_EQ(Krux({"call", "fs.read", "x/../file"}).out, "content");
}

TEST_F(Input, LinksOutAndMagicLinksDoNotWork) {
  WriteFile(gateway_->root() + "/secret", "secret");
  ASSERT_EQ(symlink("/etc/passwd", Path("absolute").c_str()), 0);
  ASSERT_EQ(symlink("../secret", Path("relative").c_str()), 0);
  ASSERT_EQ(symlink("/proc/self/root/etc/passwd", Path("magic").c_str()), 0);
  ASSERT_EQ(symlink("loop", Path("loop").c_str()), 0);
  ASSERT_EQ(symlink("file", Path("inside").c_str()), 0);
  ASSERT_EQ(symlink(Path("file").c_str(), Path("absolute_inside").c_str()), 0);
  Refused({"call", "fs.read", "absolute"}, 77);
  Refused({"call", "fs.read", "relative"}, 77);
  Refused({"call", "fs.read", "magic"}, 77);
  Refused({"call", "fs.read", "absolute_inside"}, 77);
  Refused({"call", "fs.read", "loop"}, 65);
  Refused({"call", "fs.read", "/proc/self/root/etc/passwd"}, 77);
  EXPECT_EQ(Krux({"call", "fs.read", "inside"}).out, "content");
}

TEST_F(Input, NamesThatAreNoNamesAre65) {
  Refused({"call", "fs.read", "--args", R"({"path":"a\u0000b"})"}, 65);
  Refused({"call", "fs.read", "\xff\xfe"}, 65);
  Refused({"call", "fs.read", std::string(300, 'a')}, 65);
  std::string deep;
  for (int i = 0; i < 2100; ++i) deep += "a/";
  Refused({"call", "fs.read", deep}, 65);
  Refused({"call", "fs.read", ""}, 65);
}

TEST_F(Input, OnlyRegularFilesAreRead) {
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0644), 0);
  ASSERT_EQ(mkdir(Path("directory").c_str(), 0755), 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, Path("socket").c_str(), sizeof address.sun_path - 1);
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  Refused({"call", "fs.read", "fifo"}, 65);
  Refused({"call", "fs.read", "directory"}, 65);
  Refused({"call", "fs.read", "socket"}, 65);
  // The listener was never connected to.
  ASSERT_EQ(fcntl(listener.get(), F_SETFL, O_NONBLOCK), 0);
  EXPECT_EQ(accept(listener.get(), nullptr, nullptr), -1);
  if (geteuid() == 0 && mknod(Path("device").c_str(), S_IFCHR | 0666, makedev(1, 5)) == 0) {
    Refused({"call", "fs.read", "device"}, 65);
  }
}

TEST_F(Input, AHugeSparseFileIsCutAndSaysSo) {
  const UniqueFd file(open(Path("sparse").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  ASSERT_EQ(ftruncate(file.get(), off_t{1} << 40), 0);
  const Ran ran = Krux({"call", "fs.read", "sparse"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out.size(), size_t{16} << 20);
  EXPECT_NE(ran.err.find("cut"), std::string::npos) << ran.err;
  const Ran end = Krux({"call", "fs.read", "sparse", "offset=1099511627770", "limit=100"});
  EXPECT_EQ(end.out, std::string(6, '\0'));
}

TEST_F(Input, CapabilityNamesAreExact) {
  for (const char* name :
       {"fs.raed", "FS.READ", "fs.Read", "fs..read", ".fs.read", "fs.read.", "fs.read ", " fs.read",
        "fs．read", "fs.re\u0430d", "../fs.read", "", "fs", "fs.read\n"}) {
    const Ran ran = Krux({"call", name, "file"});
    EXPECT_NE(ran.exit, 0) << name;
    EXPECT_EQ(ran.out, "") << name;
    EXPECT_TRUE(ran.exit == 65 || ran.exit == 77 || ran.exit == 66 || ran.exit == 64)
        << name << ran.exit << ran.err;
  }
  Refused({"call", std::string(10'000, 'a')}, 65);
}

TEST_F(Input, ArgumentsAreWhatTheCatalogSays) {
  Refused({"call", "fs.read", "file", "nope=1"}, 65);
  Refused({"call", "fs.read", "path=file", "path=file"}, 65);
  Refused({"call", "fs.read"}, 65);
  Refused({"call", "fs.read", "file", "limit=99999999999"}, 65);
  Refused({"call", "fs.read", "--args", R"({"path":7})"}, 65);
  Refused({"call", "fs.read", "--args", R"({"path":["a"]})"}, 65);
  Refused({"call", "--profile", "local_dev", "proc.exec", "--args", R"({"argv":[]})"}, 65);
  std::vector<std::string> many{"call", "--profile", "local_dev", "proc.exec", "--"};
  for (int i = 0; i < 5000; ++i) many.emplace_back("a");
  Refused(many, 65);
  Refused({"call", "--profile", "no_such_profile", "fs.read", "file"}, 78);
}

TEST_F(Input, EscapesNeverReachATerminalRaw) {
  const std::string hostile =
      "a\x1b]0;owned\x07\x1b[2J\x9b"
      "31m\r\u202e\n";
  WriteFile(Path("hostile"), hostile);
  const Ran content = Krux({"call", "fs.read", "hostile"}, {.terminal = true});
  EXPECT_EQ(content.exit, 0);
  EXPECT_EQ(content.out.find('\x1b'), std::string::npos);
  EXPECT_EQ(content.out.find('\r'), std::string::npos);
  EXPECT_NE(content.out.find("\\x1b]0;owned\\x07"), std::string::npos) << content.out;
  EXPECT_EQ(Krux({"call", "fs.read", "hostile"}).out, hostile);
  WriteFile(Path("name\x1b[2J"), "");
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"call", "fs.list", "."},
                                             {"call", "fs.list", ".", "-o", "json"},
                                             {"call", "fs.read", "gone\x1b[2J"},
                                             {"call", "fs.read", "/etc/\x1b[2J"},
                                             {"call", "\x1b[2J"}}) {
    const Ran ran = Krux(words, {.terminal = true});
    EXPECT_EQ(ran.out.find('\x1b'), std::string::npos) << testing::PrintToString(words);
  }
  const Ran exec = Krux({"call", "--profile", "local_dev", "proc.exec", "--", "printf", "\\033[2J"},
                        {.terminal = true});
  EXPECT_EQ(exec.out.find('\x1b'), std::string::npos);
}

// Frames by hand: what a client that is not ours could send.
TEST_F(Input, MalformedFramesGetACleanErrorAndTheGatewayGoesOn) {
  const std::string socket = gateway_->root() + "/run/gateway.sock";
  const cbor::Bytes hello = cbor::Encode(cbor::Map{{"type", "hello"}, {"version", 1}});
  cbor::Bytes deep(60'000, 0x81);
  cbor::Bytes truncated(hello.begin(), hello.end() - 3);
  cbor::Bytes trailing = hello;
  trailing.push_back(0);
  const std::vector<cbor::Bytes> frames = {
      {0xff},
      {0x00},
      {0xa1},
      {0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
      {0xbf, 0xff},
      deep,
      truncated,
      trailing,
      cbor::Encode(cbor::Map{{"type", "nope"}}),
      cbor::Encode(cbor::Map{{"type", 7}}),
      cbor::Encode(cbor::Array{}),
      cbor::Encode(cbor::Map{{"type", "call"}}),
      cbor::Encode(cbor::Map{{"type", "hello"}, {"version", 1}, {"x", 1}}),
      cbor::Encode(cbor::Map{{"type", "stop"}})};
  for (size_t i = 0; i < frames.size(); ++i) {
    Result<Channel> channel = Channel::Connect(socket);
    ASSERT_TRUE(channel) << channel.error().message;
    ASSERT_TRUE(channel->Send(frames[i])) << i;
    const Result<Packet> answer = channel->ReceiveWithin(10'000);
    ASSERT_TRUE(answer) << i << answer.error().message;
    if (answer->eof) continue;
    const Result<cbor::Value> value = cbor::Decode(answer->bytes);
    ASSERT_TRUE(value) << i;
    EXPECT_EQ(*value->map()->Find("type"), cbor::Value("error")) << i << cbor::Diagnostic(*value);
  }
  // Many connections that say nothing, and one that goes away in the middle.
  std::vector<Channel> silent;
  for (int i = 0; i < 20; ++i) {
    Result<Channel> channel = Channel::Connect(socket);
    if (channel) silent.push_back(std::move(*channel));
  }
  EXPECT_EQ(Krux({"call", "fs.read", "file"}).out, "content");
}

}  // namespace
}  // namespace krux::tools
