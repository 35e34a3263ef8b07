// What reaches a terminal, and what reaches a pipe: the same Output in a child whose stdout is one
// or the other.
#include "tools/output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <functional>

#include "base/terminal.h"

namespace krux::tools {
namespace {

std::string ReadAll(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(got));
  return text;
}

// Runs `write` with `out` as stdout and stderr; returns what the other side read.
std::string Capture(bool terminal, const std::function<void()>& write) {
  int ends[2] = {-1, -1};
  if (terminal) {
    termios raw = {};
    cfmakeraw(&raw);
    EXPECT_EQ(openpty(&ends[0], &ends[1], nullptr, &raw, nullptr), 0);
  } else {
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  }
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    write();
    _exit(0);
  }
  close(ends[1]);
  std::string text = ReadAll(ends[0]);
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return text;
}

constexpr std::string_view kHostile = "\x1b]0;owned\x07 \x9b 2J \xff\r\n\ttext";

TEST(Output, APipeGetsExactBytes) {
  const std::string all = [] {
    std::string bytes;
    for (int c = 0; c < 256; ++c) bytes += static_cast<char>(c);
    return bytes;
  }();
  EXPECT_EQ(Capture(false, [&] { Output(Format::kTable).Bytes(all); }), all);
}

TEST(Output, ATerminalGetsNoControlButNewlineAndTab) {
  const std::string seen = Capture(true, [] { Output(Format::kTable).Bytes(kHostile); });
  EXPECT_EQ(seen, EscapeText(kHostile));
  EXPECT_EQ(seen.find('\x1b'), std::string::npos);
  EXPECT_NE(seen.find("\\x1b]0;owned\\x07"), std::string::npos);
  EXPECT_NE(seen.find("\n\ttext"), std::string::npos);
}

TEST(Output, AProgramsStderrIsEscapedOnATerminalToo) {
  const std::string seen = Capture(true, [] { Output(Format::kTable).ErrorBytes(kHostile); });
  EXPECT_EQ(seen.find('\x1b'), std::string::npos);
}

TEST(Output, MessagesStayOneLine) {
  EXPECT_EQ(Capture(false, [] { Output(Format::kTable).Say("a\nkrux: all is well\x1b[2K"); }),
            "krux: a\\nkrux: all is well\\x1b[2K\n");
}

TEST(Output, JsonOnATerminalIsAscii) {
  const std::string seen =
      Capture(true, [] { Output(Format::kJson).Value(cbor::Map{{"text", "\u009b\u202e\x1b é"}}); });
  EXPECT_EQ(seen, "{\n  \"text\": \"\\u009b\\u202e\\u001b \\u00e9\"\n}\n");
}

TEST(Output, JsonlIsOneLineAndCborIsCbor) {
  const cbor::Value value = cbor::Map{{"a", 1}};
  EXPECT_EQ(Capture(false, [&] { Output(Format::kJsonl).Value(value); }), "{\"a\":1}\n");
  EXPECT_EQ(Capture(false, [&] { Output(Format::kCbor).Value(value); }), "\xa1\x61\x61\x01");
}

TEST(Output, TableCellsAreEscapedAndAligned) {
  EXPECT_EQ(
      Capture(false, [] { Output(Format::kTable).Table({{"a\n", "x"}, {"long one", "y\x1b"}}); }),
      "a\\n       x\nlong one  y\\x1b\n");
}

TEST(Output, BytesThatAreNoTextBecomeBase64) {
  EXPECT_EQ(TextOrBase64("é\n"), (cbor::Map{{"text", "é\n"}}));
  EXPECT_EQ(TextOrBase64("\xff"), (cbor::Map{{"base64", "/w=="}}));
}

}  // namespace
}  // namespace krux::tools
