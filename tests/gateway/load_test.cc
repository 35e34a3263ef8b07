// Too much of everything, from one side: the others keep their turn, what waits is bounded and
// ends, and the log is not filled by those who are refused.
#include <fcntl.h>

#include <set>

#include "tests/gateway/fake_world.h"

namespace krux::gateway {
namespace {

const std::string kInside = std::string(FakeWorld::kWork) + "/README.md";

Result<Reply> Read(Client& client) { return client.Call("fs.read", {{"path", kInside}}); }

WorkDir Scratch() { return {UniqueFd(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), "/tmp"}; }

cbor::Bytes SessionOf(Client& client, const std::string& profile = {}) {
  auto opened = client.Open(Scratch(), profile);
  EXPECT_TRUE(opened.has_value());
  return opened ? opened->session : cbor::Bytes(16);
}

cbor::Bytes CallFrame(uint64_t id, const cbor::Bytes& session) {
  return Encode(CallRequest{id, session, "fs.read", cbor::Map{{"path", kInside}}, {}});
}

CallReply NextReply(const Client& client) {
  auto packet = const_cast<Client&>(client).channel().ReceiveWithin(5'000, 1);
  EXPECT_TRUE(packet.has_value() && !packet->eof);
  if (!packet || packet->eof) return {};
  auto reply = DecodeCallReply(cbor::Decode(packet->bytes).value());
  EXPECT_TRUE(reply.has_value());
  return reply ? *reply : CallReply{};
}

uint64_t Detail(const audit::Draft& admin, const char* key) {
  return *admin.body.Find(1u)->map()->Find(key)->uint();
}

TEST(Load, MoreCallsThanASessionMayHaveWaitThenAre72AndRecorded) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  const cbor::Bytes session = SessionOf(client);
  world.spawn->hold_done = true;
  for (uint64_t id = 1; id <= 9; ++id) {
    ASSERT_TRUE(client.channel().Send(CallFrame(id, session)).has_value());
  }
  std::set<uint64_t> busy;
  for (int i = 0; i < 3; ++i) {
    const CallReply reply = NextReply(client);
    EXPECT_EQ(reply.code, ExitCode::kBusy);
    EXPECT_GT(reply.seq, 0u);
    busy.insert(reply.id);
  }
  EXPECT_EQ(busy, (std::set<uint64_t>{7, 8, 9})) << "six of eight: a quarter is kept";
  EXPECT_EQ(world.audit->Drafts(audit::Kind::kDenial).size(), 3u);
  EXPECT_EQ(world.trace.Count("go"), 6);
}

TEST(Load, ACallThatWaitsRunsWhenItsTurnComes) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.bounds.calls_per_session = 1;
  settings.limits.bounds.wait_ms = 60'000;
  FakeWorld world(settings);
  Client client = world.ConnectAndOpen();
  const cbor::Bytes session = SessionOf(client);
  for (uint64_t id = 1; id <= 16; ++id) {
    ASSERT_TRUE(client.channel().Send(CallFrame(id, session)).has_value());
  }
  for (uint64_t id = 1; id <= 16; ++id) {
    const CallReply reply = NextReply(client);
    EXPECT_EQ(reply.id, id) << "one after the other";
    EXPECT_EQ(reply.code, ExitCode::kOk);
  }
}

// The one who has sixteen calls under way does not make the other wait for sixteen.
TEST(Load, AConnectionWithSixteenCallsTakesTurnsWithOneThatHasOne) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.bounds.calls_per_session = 1;
  settings.limits.bounds.wait_ms = 60'000;
  FakeWorld world(settings);
  Client hog = world.ConnectAndOpen();
  Client modest = world.ConnectAndOpen();
  const cbor::Bytes session = SessionOf(hog);
  world.spawn->hold_ready = true;  // nobody comes through before all stand in line
  for (uint64_t id = 1; id <= 16; ++id) {
    ASSERT_TRUE(hog.channel().Send(CallFrame(id, session)).has_value());
  }
  ASSERT_GE(world.trace.Await("spawn"), 0);
  ASSERT_TRUE(modest.channel().Send(CallFrame(1, session)).has_value());
  while (modest.Status()->calls_waiting < 16) {
  }
  world.spawn->hold_ready = false;
  const CallReply its = NextReply(modest);
  EXPECT_EQ(its.code, ExitCode::kOk);
  int before = 0;
  for (int i = 0; i < 16; ++i) before += NextReply(hog).seq < its.seq ? 1 : 0;
  EXPECT_LE(before, 2) << "the turn after the next, not the seventeenth";
}

// The agent with every slot it may have, and every place in the line: another session still runs.
TEST(Load, ASaturatedSessionDoesNotStopAnother) {
  FakeWorld world;
  Client modest = world.Connect();
  SessionOf(modest, "local_dev");
  std::vector<Client> hogs;
  for (int i = 0; i < 12; ++i) hogs.push_back(world.ConnectAndOpen());
  const cbor::Bytes session = SessionOf(hogs[0]);
  world.spawn->hold_done = true;
  for (Client& hog : hogs) {
    for (uint64_t id = 1; id <= 16; ++id) {
      ASSERT_TRUE(hog.channel().Send(CallFrame(id, session)).has_value());
    }
  }
  while (world.trace.Count("go") < 8) {
  }
  world.spawn->hold_done = false;
  EXPECT_EQ(Read(modest)->code, ExitCode::kOk);
  EXPECT_EQ(modest.Status()->calls_in_flight, 8u) << "the others still hold theirs";
}

TEST(Load, RefusalsFillTheLogOnlySoFast) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.bounds.refusals_per_second = 100;
  settings.limits.bounds.wait_ms = 60'000;
  FakeWorld world(settings);
  Client flood = world.Connect();
  Client modest = world.ConnectAndOpen();
  const auto begin = std::chrono::steady_clock::now();
  constexpr int kFrames = 60;
  std::thread reader([&] {
    for (int i = 0; i < kFrames; ++i) EXPECT_EQ(NextReply(flood).code, ExitCode::kNotFound);
  });
  for (uint64_t id = 1; id <= kFrames; ++id) {
    ASSERT_TRUE(flood.channel().Send(CallFrame(id, cbor::Bytes(16))).has_value());
  }
  // Meanwhile somebody who was never refused does not even notice.
  EXPECT_EQ(Read(modest)->code, ExitCode::kOk);
  EXPECT_LT(world.audit->Drafts(audit::Kind::kDenial).size(), size_t{kFrames});
  reader.join();
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GT(took, std::chrono::milliseconds(1'000)) << "13 at once, then 26 a second";
  EXPECT_EQ(world.audit->Drafts(audit::Kind::kDenial).size(), size_t{kFrames});
}

TEST(Load, AClientThatComesAgainAndAgainIsNotRefusedFaster) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.bounds.refusals_per_second = 20;
  settings.limits.bounds.wait_ms = 60'000;
  FakeWorld world(settings);
  const auto begin = std::chrono::steady_clock::now();
  for (uint64_t id = 1; id <= 20; ++id) {
    Client client = world.Connect();
    ASSERT_TRUE(client.channel().Send(CallFrame(id, cbor::Bytes(16))).has_value());
    EXPECT_EQ(NextReply(client).code, ExitCode::kNotFound);
  }
  EXPECT_GT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(400));
}

TEST(Load, ManyFramesOfOneClientAreReadOnlySoFastAndAllAnswered) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.bounds.frames_per_second = 200;
  FakeWorld world(settings);
  Client client = world.Connect();
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(client.Status().has_value());
  EXPECT_GT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(400));
}

TEST(Load, NoHelloInTimeIsToldAndClosed) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.bounds.hello_ms = 100;
  FakeWorld world(settings);
  Client polite = world.Connect();
  const Channel silent = world.ConnectRaw();
  const auto answer = silent.ReceiveWithin(5'000, 0);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(DecodeErrorReply(cbor::Decode(answer->bytes).value())->code, ExitCode::kTimeout);
  const auto end = silent.ReceiveWithin(5'000, 0);
  ASSERT_TRUE(end.has_value());
  EXPECT_TRUE(end->eof);
  EXPECT_TRUE(polite.Status().has_value()) << "idle after hello is no offence";
}

TEST(Load, ConnectionsBeyondTheBoundOfAnAgentAre72AndCountedInOneRecord) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.bounds.connections_per_agent = 4;
  FakeWorld world(settings);
  std::vector<Client> served;
  for (int i = 0; i < 4; ++i) served.push_back(world.Connect());
  std::vector<Channel> turned_away;
  for (int i = 0; i < 50; ++i) turned_away.push_back(world.ConnectRaw());
  for (const Channel& channel : turned_away) {
    const auto answer = channel.ReceiveWithin(5'000, 0);
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(DecodeErrorReply(cbor::Decode(answer->bytes).value())->code, ExitCode::kBusy);
  }
  ASSERT_GE(world.trace.Await("append admin", 2), 0);
  uint64_t counted = 0;
  const auto records = world.audit->Drafts(audit::Kind::kAdmin);
  EXPECT_LE(records.size(), 4u) << "one a second, not fifty";
  for (const audit::Draft& record : records) {
    if (*record.body.Find(0u)->text() == "turned away") counted += Detail(record, "connections");
  }
  EXPECT_GT(counted, 0u);
}

TEST(Load, SessionsOfOneAgentAreBounded) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.bounds.sessions_per_agent = 1;
  FakeWorld world(settings);
  Client client = world.ConnectAndOpen();
  const auto second = client.Open(Scratch(), "local_dev");
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ExitCode::kBusy);
  EXPECT_EQ(Read(client)->code, ExitCode::kOk);
}

// A client that asks and never reads costs itself its turn, not the gateway its memory, and what it
// asked is answered when it reads again.
TEST(Load, AClientThatNeverReadsIsNotReadEither) {
  FakeWorld world;
  const Channel channel = world.ConnectRaw();
  ASSERT_TRUE(channel.Send(Encode(HelloRequest{})).has_value());
  ASSERT_TRUE(channel.SetNonBlocking(true).has_value());
  size_t sent = 0;
  for (int full = 0; full < 50;) {
    if (channel.Send(Encode(StatusRequest{})).has_value()) {
      ++sent;
      full = 0;
    } else {
      ++full;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    ASSERT_LT(sent, 100'000u) << "it takes everything";
  }
  Client other = world.ConnectAndOpen();
  EXPECT_EQ(Read(other)->code, ExitCode::kOk);
  for (size_t got = 0; got < sent + 1; ++got) {
    const auto packet = channel.ReceiveWithin(5'000, 0);
    ASSERT_TRUE(packet.has_value() && !packet->eof) << got << " of " << sent;
  }
}

// Results are memory: sixteen MiB each. Who does not read them gets no more of them.
TEST(Load, UnreadResultsAreBoundedAndCostOnlyWhoDoesNotRead) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.bounds.unread_mib_per_agent = 16;
  settings.limits.bounds.wait_ms = 60'000;
  FakeWorld world(settings);
  Client lazy = world.ConnectAndOpen();
  const cbor::Bytes session = SessionOf(lazy);
  ASSERT_TRUE(lazy.channel().SetNonBlocking(true).has_value());
  uint64_t id = 0;
  for (int full = 0; full < 50 && id < 5'000;) {
    if (lazy.channel().Send(CallFrame(id + 1, session)).has_value()) {
      ++id;
      full = 0;
    } else {
      ++full;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  // A quarter of 16 MiB at half a MiB each, and what was in flight when that was reached.
  EXPECT_LE(world.trace.Count("go"), 8 + 8);
  Client other = world.ConnectAndOpen();
  EXPECT_EQ(Read(other)->code, ExitCode::kOk);
  for (uint64_t got = 0; got < id; ++got) {
    const CallReply reply = NextReply(lazy);
    ASSERT_EQ(reply.code, ExitCode::kOk) << got << " of " << id;
  }
}

TEST(Load, AClientGoneWhileItsCallsWaitLeavesNoneBehind) {
  FakeWorld world;
  Client other = world.ConnectAndOpen();
  world.spawn->hold_done = true;
  {
    Client client = world.ConnectAndOpen();
    const cbor::Bytes session = SessionOf(client);
    for (uint64_t id = 1; id <= 12; ++id) {
      ASSERT_TRUE(client.channel().Send(CallFrame(id, session)).has_value());
    }
    while (other.Status()->calls_waiting < 6) {
    }
  }
  while (other.Status()->calls_waiting + other.Status()->calls_in_flight > 0) {
  }
  const auto denials = world.audit->Drafts(audit::Kind::kDenial);
  EXPECT_EQ(denials.size(), 6u) << "those that never began are recorded as well";
  world.spawn->hold_done = false;
  EXPECT_EQ(Read(other)->code, ExitCode::kOk);
}

TEST(Load, OpensTakeTurnsAndOneConnectionHasOneAtATime) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.bounds.opens = 1;
  FakeWorld world(settings);
  std::vector<Client> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(world.Connect());
  std::vector<std::thread> openers;
  for (Client& client : clients) {
    openers.emplace_back([&client] {
      for (int i = 0; i < 10; ++i) EXPECT_TRUE(client.Open(Scratch()).has_value());
    });
  }
  for (std::thread& opener : openers) opener.join();
  EXPECT_EQ(world.trace.Count("open work"), 200);
}

TEST(Load, AStoppingGatewayEndsWhatWaitsToo) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.bounds.wait_ms = 60'000;
  FakeWorld world(settings);
  Client client = world.ConnectAndOpen();
  const cbor::Bytes session = SessionOf(client);
  world.spawn->hold_done = true;
  for (uint64_t id = 1; id <= 10; ++id) {
    ASSERT_TRUE(client.channel().Send(CallFrame(id, session)).has_value());
  }
  Client other = world.Connect();
  while (other.Status()->calls_waiting < 4) {
  }
  world.OnLoop([&] { world.gateway->Stop([&] { world.trace.Add("stopped"); }); });
  ASSERT_GE(world.trace.Await("stopped"), 0);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(NextReply(client).code, ExitCode::kUnreachable);
}

// Sandboxes are built one at a time, but one that hangs keeps nobody waiting for its deadline.
TEST(Load, ASandboxThatIsNotReadyDoesNotHoldUpTheNext) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.bounds.setup_ms = 60'000;
  FakeWorld world(settings);
  Client stuck = world.ConnectAndOpen();
  Client other = world.ConnectAndOpen();
  EXPECT_EQ(Read(other)->code, ExitCode::kOk);
  world.spawn->hold_ready = true;
  ASSERT_TRUE(stuck.channel().Send(CallFrame(1, SessionOf(stuck))).has_value());
  ASSERT_GE(world.trace.Await("spawn", static_cast<size_t>(world.trace.IndexOf("go"))), 0);
  world.spawn->hold_ready = false;
  EXPECT_EQ(Read(other)->code, ExitCode::kOk);
}

// What is overdue while nothing at all is heard: reported once, and the call ends as 71.
TEST(Load, ASpawndThatSaysNothingIsReportedASlowOneIsNot) {
  FakeWorld world;
  std::atomic<int> reports = 0;
  world.OnLoop([&] {
    world.gateway->Report({.on_silent = [&](const char* daemon) {
      EXPECT_STREQ(daemon, "krux-spawnd");
      ++reports;
    }});
  });
  Client client = world.ConnectAndOpen();
  world.spawn->hold_ready = true;
  std::thread overdue([&] { EXPECT_EQ(Read(client)->code, ExitCode::kSandbox); });
  ASSERT_GE(world.trace.Await("spawn"), 0);
  {
    const Client other = world.ConnectAndOpen();
  }  // spawnd answers for a WORK: it lives
  overdue.join();
  world.OnLoop([&] { EXPECT_EQ(reports, 0) << "it said something since it was asked"; });
  world.spawn->mute = true;
  EXPECT_EQ(Read(client)->code, ExitCode::kSandbox);
  EXPECT_EQ(Read(client)->code, ExitCode::kSandbox);
  world.OnLoop([&] { EXPECT_EQ(reports, 1); });
}

TEST(Load, AWorkThatIsNeverCheckedIs71AndMountdIsReported) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.bounds.open_ms = 200;
  FakeWorld world(settings);
  std::atomic<int> reports = 0;
  world.OnLoop([&] { world.gateway->Report({.on_silent = [&](const char*) { ++reports; }}); });
  Client client = world.Connect();
  world.spawn->mute = true;
  const auto opened = client.Open(Scratch());
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ExitCode::kSandbox);
  world.OnLoop([&] { EXPECT_EQ(reports, 1); });
}

}  // namespace
}  // namespace krux::gateway
