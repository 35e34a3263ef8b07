// The doors of the gateway: what it makes of frames that nobody should send, and of too many
// clients.
#include <fcntl.h>

#include <random>

#include "tests/gateway/fake_world.h"

namespace krux::gateway {
namespace {

const std::string kInside = std::string(FakeWorld::kWork) + "/README.md";

// Sends one frame and receives the one answer to it.
Result<cbor::Value> Exchange(const Channel& channel, std::span<const uint8_t> frame,
                             std::span<const int> fds = {}) {
  KRUX_TRY(channel.Send(frame, fds));
  const Packet packet = KRUX_TRY(channel.ReceiveWithin(10'000, 1));
  if (packet.eof) return Fail(ExitCode::kUnreachable, "test", "closed");
  return cbor::Decode(packet.bytes);
}

ExitCode CodeOfError(const Result<cbor::Value>& answer) {
  if (!answer) return ExitCode::kUnreachable;
  const auto error = DecodeErrorReply(*answer);
  return error ? error->code : ExitCode::kOk;
}

cbor::Bytes Nested(int levels) {
  cbor::Bytes bytes(static_cast<size_t>(levels), 0x81);  // an array of one
  bytes.push_back(0);
  return bytes;
}

TEST(Doors, EveryBadFrameIsAnErrorAndTheConnectionGoesOn) {
  FakeWorld world;
  const Channel channel = world.ConnectRaw();
  EXPECT_EQ(CodeOfError(Exchange(channel, Encode(StatusRequest{}))), ExitCode::kBadData)
      << "before hello";
  ASSERT_EQ(CodeOfError(Exchange(channel, Encode(HelloRequest{}))), ExitCode::kOk);
  EXPECT_EQ(CodeOfError(Exchange(channel, Encode(HelloRequest{}))), ExitCode::kBadData) << "twice";
  const cbor::Bytes status = Encode(StatusRequest{});
  const cbor::Bytes rows[] = {
      {0},                                            // no map
      {0xff},                                         // no CBOR
      {0xbf, 0xff},                                   // indefinite length
      {0xa1, 0x64, 't', 'y', 'p', 'e'},               // truncated
      cbor::Bytes(status.begin(), status.end() - 1),  // truncated
      {0xa2, 0x61, 'a', 1, 0x61, 'a', 2},             // duplicate key
      {0xa1, 0x18, 0x01, 0x01},                       // non-minimal
      Nested(17),
      Nested(60'000),  // over-deep
      cbor::Encode(cbor::Map{{"type", 5}}),
      cbor::Encode(cbor::Map{{"type", "nonsense"}}),
      cbor::Encode(cbor::Map{{"type", std::string(60'000, 'x')}}),
      cbor::Encode(cbor::Map{{"type", "status"}, {"more", 1}}),  // unknown key
      cbor::Encode(cbor::Map{{"type", "open"}}),                 // without its descriptor
      cbor::Bytes(kMaxPacket, 0),
  };
  for (const cbor::Bytes& row : rows) {
    EXPECT_EQ(CodeOfError(Exchange(channel, row)), ExitCode::kBadData) << cbor::Bytes(row).size();
  }
  EXPECT_TRUE(DecodeStatusReply(Exchange(channel, status).value()).has_value());
}

TEST(Doors, DescriptorsThatNobodyAskedForAreRefused) {
  FakeWorld world;
  const Channel channel = world.ConnectRaw();
  ASSERT_EQ(CodeOfError(Exchange(channel, Encode(HelloRequest{}))), ExitCode::kOk);
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int one[] = {null.get()};
  const int four[] = {null.get(), null.get(), null.get(), null.get()};
  EXPECT_EQ(CodeOfError(Exchange(channel, Encode(StatusRequest{}), one)), ExitCode::kBadData);
  EXPECT_EQ(CodeOfError(Exchange(channel, Encode(OpenRequest{}), four)), ExitCode::kBadData);
  EXPECT_EQ(CodeOfError(Exchange(channel, Encode(StatusRequest{}))), ExitCode::kOk);
}

// Valid frames with bits flipped, cut or lengthened, and noise: one answer each, and the gateway
// goes on.
TEST(Doors, TenThousandRandomFramesGetTenThousandAnswers) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  const cbor::Bytes session =
      client.Open({UniqueFd(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), "/tmp"})->session;
  const cbor::Bytes seeds[] = {
      Encode(HelloRequest{}),
      Encode(OpenRequest{.profile = "local_dev"}),
      Encode(CallRequest{7, session, "fs.read", cbor::Map{{"path", kInside}, {"limit", 5u}},
                         "read_only"}),
      Encode(CallRequest{8, session, "proc.exec", cbor::Map{{"argv", cbor::Array{"id"}}}, {}}),
      Encode(StatusRequest{}),
      Encode(CheckpointRequest{}),
      Encode(StopRequest{}),
  };
  std::mt19937 random(20'260'101);  // NOLINT: the same frames every time
  const auto below = [&random](size_t n) { return static_cast<size_t>(random() % n); };
  for (int i = 0; i < 10'000; ++i) {
    cbor::Bytes frame = seeds[below(std::size(seeds))];
    switch (below(4)) {
      case 0:
        for (size_t flips = 1 + below(4); flips > 0; --flips)
          frame[below(frame.size())] ^= static_cast<uint8_t>(1u << below(8));
        break;
      case 1:
        frame.resize(1 + below(frame.size()));
        break;
      case 2:
        frame.insert(frame.begin() + static_cast<std::ptrdiff_t>(below(frame.size())),
                     static_cast<uint8_t>(random()));
        break;
      default:
        frame.resize(1 + below(300));
        for (uint8_t& byte : frame) byte = static_cast<uint8_t>(random());
    }
    const auto answer = Exchange(client.channel(), frame);
    ASSERT_TRUE(answer.has_value()) << "frame " << i << ": " << answer.error().message;
  }
  const auto reply = client.Call("fs.read", {{"path", kInside}});
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->code, ExitCode::kOk);
}

TEST(Doors, AMalformedCallIsRecordedLikeEveryRefusedCall) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  const auto answer =
      Exchange(client.channel(),
               cbor::Encode(cbor::Map{{"type", "call"}, {"id", 3}, {"cap", "fs.read"}, {"x", 1}}));
  const auto reply = DecodeCallReply(answer.value());
  ASSERT_TRUE(reply.has_value()) << reply.error().message;
  EXPECT_EQ(reply->id, 3u);
  EXPECT_EQ(reply->code, ExitCode::kBadData);
  EXPECT_EQ(world.audit->Drafts(audit::Kind::kDenial).size(), 1u);
}

TEST(Doors, AnAgentCannotStopTheGatewayAndAnOperatorMakesNoCalls) {
  FakeWorld world;
  const Channel agent = world.ConnectRaw();
  ASSERT_EQ(CodeOfError(Exchange(agent, Encode(HelloRequest{}))), ExitCode::kOk);
  EXPECT_EQ(CodeOfError(Exchange(agent, Encode(StopRequest{}))), ExitCode::kDenied);
  const Channel admin = world.ConnectRaw(kAdminDoor);
  ASSERT_EQ(CodeOfError(Exchange(admin, Encode(HelloRequest{}))), ExitCode::kOk);
  const CallRequest call{1, cbor::Bytes(16), "fs.read", cbor::Map{}, {}};
  EXPECT_EQ(CodeOfError(Exchange(admin, Encode(call))), ExitCode::kDenied);
  bool stopped = false;
  world.OnLoop([&] { world.gateway->Report({.on_stop = [&] { stopped = true; }}); });
  EXPECT_TRUE(DecodeStopReply(Exchange(admin, Encode(StopRequest{})).value()).has_value());
  world.OnLoop([&] { EXPECT_TRUE(stopped); });
}

TEST(Doors, AnUnknownSessionIs66AndTheSameWorkIsTheSameSession) {
  FakeWorld world;
  Client first = world.Connect();
  Client second = world.Connect();
  const WorkDir work{UniqueFd(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), "/tmp"};
  const auto a = first.Open(work);
  const auto b = second.Open(work, "read_only");
  const auto c = second.Open(work, "local_dev");
  ASSERT_TRUE(a && b && c);
  EXPECT_EQ(a->session, b->session);
  EXPECT_NE(a->session, c->session);
  EXPECT_EQ(a->profile, "read_only");
  EXPECT_EQ(a->work, FakeWorld::kWork);
  const CallRequest call{1, cbor::Bytes(16, 9), "fs.read", cbor::Map{{"path", kInside}}, {}};
  const auto reply = DecodeCallReply(Exchange(first.channel(), Encode(call)).value());
  EXPECT_EQ(reply->code, ExitCode::kNotFound);
  EXPECT_EQ(world.trace.Count("store policy"), 2);
}

TEST(Doors, ExposureOfASessionOnlyRisesAcrossConnections) {
  FakeWorld world;
  {
    Client client = world.ConnectAndOpen();
    EXPECT_EQ(client.Call("fs.read", {{"path", "/etc/shadow"}})->exposure,
              std::vector<std::string>{});
    ASSERT_EQ(client.Call("fs.read", {{"path", kInside}})->code, ExitCode::kOk);
  }
  Client again = world.ConnectAndOpen();
  EXPECT_EQ(again.Call("fs.read", {{"path", "/etc/shadow"}})->exposure,
            std::vector<std::string>{"private_data"});
}

TEST(Doors, AnUnknownProfileAndAForeignWorkAreRefused) {
  FakeWorld world;
  Client client = world.Connect();
  const WorkDir work{UniqueFd(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), "/tmp"};
  const auto unknown = client.Open(work, "root_everything");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code, ExitCode::kConfig);
  world.spawn->work_uid = getuid() + 1;
  const auto foreign = client.Open(work);
  ASSERT_FALSE(foreign.has_value());
  EXPECT_EQ(foreign.error().code, ExitCode::kDenied);
  world.spawn->refuse_work = true;
  const auto refused = client.Open(work);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ExitCode::kDenied);
  EXPECT_EQ(client.Status()->sessions, 0u);
}

TEST(Doors, AStrangerIsTurnedAwayWhereTheGatewayIsPrivate) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.only_uid = getuid() + 1;
  FakeWorld world(settings);
  const Channel channel = world.ConnectRaw();
  EXPECT_EQ(CodeOfError(Exchange(channel, Encode(HelloRequest{}))), ExitCode::kDenied);
}

TEST(Doors, AThousandIdleConnectionsDoNoHarmAndOneTooManyIsTold) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.bounds.connections = 1'002;
  FakeWorld world(settings);
  std::vector<Channel> idle;
  for (int i = 0; i < 1'000; ++i) idle.push_back(world.ConnectRaw());
  Client client = world.ConnectAndOpen();
  EXPECT_EQ(client.Call("fs.read", {{"path", kInside}})->code, ExitCode::kOk);
  idle.push_back(world.ConnectRaw());
  const auto refused = Client::Adopt(world.ConnectRaw());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ExitCode::kBusy);
  idle.clear();
  EXPECT_EQ(client.Call("fs.read", {{"path", kInside}})->code, ExitCode::kOk);
}

TEST(Doors, ACheckpointNamesTheSignedSizeAndADeadLogNone) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  const auto size = client.Checkpoint();
  ASSERT_TRUE(size.has_value());
  EXPECT_GT(*size, 0u);
  world.OnLoop([&] { world.audit->Die(); });
  const auto none = client.Checkpoint();
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, ExitCode::kAudit);
}

}  // namespace
}  // namespace krux::gateway
