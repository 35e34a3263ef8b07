// The messages: what is written is read back, and the table says who may send what.
#include "gateway/protocol.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/channel.h"
#include "gateway/supervisor_message.h"

namespace krux::gateway {
namespace {

template <typename T>
cbor::Value Wire(const T& message) {
  return cbor::Decode(Encode(message)).value();
}

TEST(Protocol, RepliesComeBackAsTheyWereWritten) {
  const CallReply reply{.id = 9,
                        .code = ExitCode::kExposure,
                        .ok = false,
                        .data = cbor::Map{{"a", 1}},
                        .seq = 4,
                        .outcome_seq = 5,
                        .verdict = "deny",
                        .rule = "read_only:3 paths.read",
                        .message = "no",
                        .next = "ask",
                        .exposure = {"private_data"},
                        .truncated = true,
                        .bytes = 77};
  const auto back = DecodeCallReply(Wire(reply));
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(back->code, ExitCode::kExposure);
  EXPECT_EQ(back->data, reply.data);
  EXPECT_EQ(back->rule, reply.rule);
  EXPECT_EQ(back->exposure, reply.exposure);
  EXPECT_EQ(back->bytes, 77u);
  const StatusReply status{.pid = 1,
                           .mode = "embedded",
                           .release = "0",
                           .uptime_ms = 2,
                           .clients = 3,
                           .sessions = 4,
                           .calls_in_flight = 5,
                           .calls_waiting = 7,
                           .calls_total = 6,
                           .audit = "ok",
                           .sandbox = "gone",
                           .ceiling = "local_dev",
                           .degraded = {"cgroup"}};
  EXPECT_EQ(DecodeStatusReply(Wire(status))->degraded, status.degraded);
  const OpenReply opened{cbor::Bytes(16, 1), "/w", "read_only", {}};
  EXPECT_EQ(DecodeOpenReply(Wire(opened))->session, opened.session);
  EXPECT_EQ(DecodeHelloReply(Wire(HelloReply{1, 2, "rootless", "0.1.0", {"cgroup"}}))->mode,
            "rootless");
  EXPECT_EQ(DecodeErrorReply(Wire(ErrorReply{ExitCode::kBusy, "full"}))->code, ExitCode::kBusy);
}

TEST(Protocol, AReplyNeverOutgrowsItsPacket) {
  CallReply reply;
  reply.data = cbor::Map{{"text", std::string(70'000, 'x')}};
  reply.message = std::string(10'000, 'm');
  const cbor::Bytes bytes = Encode(reply);
  EXPECT_LE(bytes.size(), kMaxPacket);
  const auto back = DecodeCallReply(cbor::Decode(bytes).value());
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_TRUE(back->data.is_null());
  EXPECT_TRUE(back->truncated);
}

TEST(Protocol, ClippedTextIsStillText) {
  EXPECT_EQ(Clip("abc", 2), "ab");
  EXPECT_EQ(Clip("aé", 2), "a") << "not half a character";
  EXPECT_EQ(Clip("é", 2), "é");
}

TEST(Protocol, WrongShapesAreErrorsThatNameTheKey) {
  const auto bad = [](cbor::Map map) {
    map.Set("type", "call");
    const auto call = DecodeCallRequest(map);
    return call ? std::string() : call.error().message;
  };
  const cbor::Bytes session(16);
  EXPECT_NE(bad({{"session", session}, {"cap", "x"}, {"args", cbor::Map{}}}).find("`id`"),
            std::string::npos);
  EXPECT_NE(bad({{"id", 1}, {"session", cbor::Bytes(15)}, {"cap", "x"}, {"args", cbor::Map{}}})
                .find("`session`"),
            std::string::npos);
  EXPECT_NE(
      bad({{"id", 1}, {"session", session}, {"cap", std::string(257, 'x')}, {"args", cbor::Map{}}})
          .find("`cap`"),
      std::string::npos);
  EXPECT_NE(bad({{"id", 1}, {"session", session}, {"cap", "x"}}).find("`args`"), std::string::npos);
  EXPECT_NE(bad({{"id", 1}, {"session", session}, {"cap", "x"}, {"args", cbor::Map{}}, {"uid", 0}})
                .find("`uid`"),
            std::string::npos);
}

TEST(Protocol, TheTableKeepsAgentsFromTheOperatorsRequests) {
  EXPECT_EQ(FindRequest("stop")->doors, kAdminDoor);
  EXPECT_EQ(FindRequest("call")->doors, kAgentDoor);
  EXPECT_EQ(FindRequest("open")->min_fds, 1u);
  EXPECT_EQ(FindRequest("hello")->state, ConnectionState::kNew);
  EXPECT_EQ(FindRequest("Hello"), nullptr);
  EXPECT_EQ(FindRequest(""), nullptr);
}

// docs/PROTOCOL.md and the table in the code are one table.
TEST(Protocol, TheDocumentHasTheTableOfTheCode) {
  std::ifstream document(KRUX_SOURCE_DIR "/docs/PROTOCOL.md");
  ASSERT_TRUE(document.is_open());
  bool inside = false;
  size_t rows = 0;
  for (std::string line; std::getline(document, line);) {
    if (line.starts_with("<!-- request table")) inside = true;
    if (line.starts_with("<!-- end of request table")) inside = false;
    if (!inside || !line.starts_with("| `")) continue;
    ++rows;
    const std::string name = line.substr(3, line.find('`', 3) - 3);
    const RequestRule* rule = FindRequest(name);
    ASSERT_NE(rule, nullptr) << line;
    EXPECT_EQ((rule->doors & kAgentDoor) != 0, line.find("agent") != std::string::npos) << line;
    EXPECT_EQ((rule->doors & kAdminDoor) != 0, line.find("admin") != std::string::npos) << line;
    EXPECT_EQ(rule->state == ConnectionState::kNew, line.find("| new |") != std::string::npos)
        << line;
    EXPECT_TRUE(line.ends_with("| " + DescriptorCount(*rule) + " |")) << line;
  }
#define X(enumerator, name, doors, state, min_fds, max_fds, handler) +1
  EXPECT_EQ(rows, size_t{0 KRUX_REQUESTS(X)});
#undef X
}

TEST(Protocol, TheSupervisorHearsFiveThings) {
  const auto silent = DecodeSupervisorMessage(
      Encode(SupervisorMessage{.type = SupervisorMessage::Type::kSilent, .daemon = "krux-spawnd"}));
  ASSERT_TRUE(silent.has_value());
  EXPECT_EQ(silent->daemon, "krux-spawnd");
  EXPECT_EQ(
      DecodeSupervisorMessage(Encode(SupervisorMessage{.type = SupervisorMessage::Type::kAlive}))
          ->type,
      SupervisorMessage::Type::kAlive);
  EXPECT_EQ(DecodeSupervisorMessage(
                Encode(SupervisorMessage{.type = SupervisorMessage::Type::kClients, .count = 3}))
                ->count,
            3u);
  EXPECT_EQ(
      DecodeSupervisorMessage(Encode(SupervisorMessage{.type = SupervisorMessage::Type::kStop}))
          ->type,
      SupervisorMessage::Type::kStop);
  EXPECT_FALSE(DecodeSupervisorMessage(cbor::Encode(cbor::Map{{"type", "exec"}})).has_value());
  EXPECT_FALSE(
      DecodeSupervisorMessage(cbor::Encode(cbor::Map{{"type", "ready"}, {"x", 1}})).has_value());
}

}  // namespace
}  // namespace krux::gateway
