// Content that comes as the descriptor of a call: what is taken, what is refused, what of it stands
// in the record, and what a worker may say about the file that it wrote.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/digest.h"
#include "tests/gateway/fake_world.h"

namespace krux::gateway {
namespace {

const std::string kFile = std::string(FakeWorld::kWork) + "/file";
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

cbor::Value DigestOf(std::string_view text) { return ToHex(Sha256(text)); }

UniqueFd Memfd(uint64_t size, int seals) {
  UniqueFd fd(memfd_create("input", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  if (seals != 0) {
    EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  }
  return fd;
}

// A worker's answer to a write of `content`, with `change` applied to its data.
UniqueFd Written(std::string_view content, const std::function<void(cbor::Map&)>& change = {},
                 ExitCode code = ExitCode::kOk) {
  cbor::Map data{
      {"path", kFile},
      {"before", cbor::Map{{"existed", true}, {"bytes", 3u}, {"sha256", DigestOf("old")}}},
      {"after", cbor::Map{{"bytes", uint64_t{content.size()}}, {"sha256", DigestOf(content)}}}};
  if (change) change(data);
  const cbor::Bytes meta = cbor::Encode(cbor::Map{{"code", static_cast<uint64_t>(ToInt(code))},
                                                  {"data", data},
                                                  {"message", ""},
                                                  {"limit", 0u},
                                                  {"truncated", false}});
  return MakeResult({sandbox::kResultMagic, static_cast<uint32_t>(meta.size()), 0}, meta, "");
}

// The opened value under `key` of the last record of its kind.
cbor::Value Opened(FakeWorld& world, audit::Kind kind, uint64_t key) {
  const auto drafts = world.audit->Drafts(kind);
  if (drafts.empty() || drafts.back().openings.map() == nullptr) return nullptr;
  const cbor::Value* opening = drafts.back().openings.map()->Find(key);
  return opening != nullptr ? opening->array()->at(1) : cbor::Value();
}

Reply Must(Result<Reply> reply) {
  EXPECT_TRUE(reply) << reply.error().message;
  return reply ? std::move(*reply) : Reply();
}

TEST(CallInput, GoesToTheWorkerAndItsDigestIntoTheRecord) {
  FakeWorld world;
  Client client = world.ConnectAndOpen("local_dev");
  const std::string content(100'000, 'c');
  world.spawn->make_result = [&] { return Written(content); };
  UniqueFd input =
      SealInput(std::span(reinterpret_cast<const uint8_t*>(content.data()), content.size()))
          .value();
  const Reply reply = Must(client.Call("fs.write", {{"path", kFile}}, std::move(input)));
  EXPECT_EQ(reply.code, ExitCode::kOk) << reply.message;
  EXPECT_EQ(world.spawn->LastInput(), content);
  const cbor::Map digest{{"bytes", 100'000u}, {"sha256", Sha256(content)}};
  EXPECT_EQ(Opened(world, audit::Kind::kIntent, 4),
            cbor::Value(cbor::Map{{"path", kFile}, {"content", digest}}));
  const cbor::Value result = Opened(world, audit::Kind::kOutcome, 5);
  EXPECT_EQ(*result.map()->Find("after"), cbor::Value(digest));
  EXPECT_EQ(*result.map()->Find("before"),
            cbor::Value(cbor::Map{
                {"existed", true}, {"bytes", 3u}, {"sha256", Sha256(std::string_view("old"))}}));
}

TEST(CallInput, SmallContentInTheCallIsRecordedByDigestToo) {
  FakeWorld world;
  Client client = world.ConnectAndOpen("local_dev");
  world.spawn->make_result = [] { return Written("text"); };
  EXPECT_EQ(Must(client.Call("fs.write", {{"path", kFile}, {"content", "text"}})).code,
            ExitCode::kOk);
  EXPECT_EQ(world.spawn->LastInput(), std::nullopt);
  const cbor::Map digest{{"bytes", 4u}, {"sha256", Sha256(std::string_view("text"))}};
  EXPECT_EQ(*Opened(world, audit::Kind::kIntent, 4).map()->Find("content"), cbor::Value(digest));
  // Also where nothing was decided.
  EXPECT_EQ(Must(client.Call("fs.write", {{"path", 5u}, {"content", "text"}})).code,
            ExitCode::kBadData);
  EXPECT_EQ(*Opened(world, audit::Kind::kDenial, 4).map()->Find("content"), cbor::Value(digest));
}

TEST(CallInput, WhatIsNoSealedMemfdOfASizeThatIsServedIs65AndRecorded) {
  FakeWorld world;
  Client client = world.ConnectAndOpen("local_dev");
  int pair[2], pipes[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  ASSERT_EQ(pipe2(pipes, O_CLOEXEC), 0);
  const UniqueFd ends[] = {UniqueFd(pair[1]), UniqueFd(pipes[1])};
  std::vector<std::pair<const char*, UniqueFd>> bad;
  bad.emplace_back("not sealed", Memfd(5, 0));
  for (const int missing : {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE})
    bad.emplace_back("a seal is missing", Memfd(5, kSeals & ~missing));
  bad.emplace_back("too large", Memfd(sandbox::kMaxInputBytes + 1, kSeals));
  bad.emplace_back("huge", Memfd(1ull << 40, kSeals));
  bad.emplace_back("a socket", UniqueFd(pair[0]));
  bad.emplace_back("a pipe", UniqueFd(pipes[0]));
  bad.emplace_back("a file", UniqueFd(open("/proc/self/exe", O_RDONLY | O_CLOEXEC)));
  bad.emplace_back("a directory", UniqueFd(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  bad.emplace_back("a name", UniqueFd(open("/", O_PATH | O_CLOEXEC)));
  const size_t count = bad.size();
  for (auto& [what, fd] : bad) {
    const Reply reply = Must(client.Call("fs.write", {{"path", kFile}}, std::move(fd)));
    EXPECT_EQ(reply.code, ExitCode::kBadData) << what;
    EXPECT_NE(reply.message.find("sealed"), std::string::npos) << what << ": " << reply.message;
    EXPECT_GT(reply.seq, 0u) << what;
  }
  EXPECT_EQ(world.audit->Drafts(audit::Kind::kDenial).size(), count);
  EXPECT_EQ(world.trace.IndexOf("spawn"), -1);
  // Sealed to the full, and as large as may be.
  const std::string largest(sandbox::kMaxInputBytes, '\0');
  world.spawn->make_result = [&] { return Written(largest); };
  EXPECT_EQ(Must(client.Call("fs.write", {{"path", kFile}},
                             Memfd(sandbox::kMaxInputBytes, kSeals | F_SEAL_SEAL)))
                .code,
            ExitCode::kOk)
      << "the gateway lives";
}

TEST(CallInput, TwiceOrForACapabilityThatTakesNoneIs65) {
  FakeWorld world;
  Client client = world.ConnectAndOpen("local_dev");
  EXPECT_EQ(
      Must(client.Call("fs.write", {{"path", kFile}, {"content", "x"}}, Memfd(1, kSeals))).code,
      ExitCode::kBadData);
  EXPECT_EQ(Must(client.Call("fs.read", {{"path", kFile}}, Memfd(1, kSeals))).code,
            ExitCode::kBadData);
  EXPECT_EQ(Must(client.Call("no.such", {{"path", kFile}}, Memfd(1, kSeals))).code,
            ExitCode::kNotFound);
  // Two of them are no call: the packet is refused whole, and the connection goes on.
  const UniqueFd one = Memfd(1, kSeals), two = Memfd(1, kSeals);
  const int fds[] = {one.get(), two.get()};
  ASSERT_TRUE(client.channel().Send(
      Encode(CallRequest{9, cbor::Bytes(16), "fs.write", cbor::Map{{"path", kFile}}, {}}), fds));
  const auto answer = client.channel().ReceiveWithin(5000);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(DecodeErrorReply(cbor::Decode(answer->bytes).value())->code, ExitCode::kBadData);
  EXPECT_EQ(Must(client.Call("fs.read", {{"path", kFile}})).code, ExitCode::kOk);
}

TEST(CallInput, AWorkerThatSaysWhatItDidNotWriteIsBelievedInNothing) {
  FakeWorld world;
  Client client = world.ConnectAndOpen("local_dev");
  using Change = std::function<void(cbor::Map&)>;
  const cbor::Value other = cbor::Map{{"bytes", 4u}, {"sha256", DigestOf("evil")}};
  const Change changes[] = {
      [&](cbor::Map& d) { d.Set("after", other); },
      [](cbor::Map& d) { d.Set("after", "text"); },
      [](cbor::Map& d) { d.Remove("after"); },
      [](cbor::Map& d) { d.Remove("before"); },
      [](cbor::Map& d) { d.Set("before", cbor::Map{{"existed", true}}); },
      [](cbor::Map& d) { d.Set("before", cbor::Map{{"existed", false}, {"bytes", 3u}}); },
      [](cbor::Map& d) {
        d.Set("before", cbor::Map{{"existed", true}, {"bytes", 3u}, {"sha256", "zz"}});
      },
  };
  for (const Change& change : changes) {
    world.spawn->make_result = [&] { return Written("text", change); };
    const Reply reply = Must(client.Call("fs.write", {{"path", kFile}, {"content", "text"}}));
    EXPECT_EQ(reply.code, ExitCode::kFailed);
    EXPECT_EQ(reply.data, cbor::Value(cbor::Map()));
    EXPECT_EQ(Opened(world, audit::Kind::kOutcome, 5).map()->Find("after"), nullptr);
  }
  // A call that failed may say what it found.
  world.spawn->make_result = [] {
    return Written("text", [](cbor::Map& d) { d.Remove("after"); }, ExitCode::kFailed);
  };
  const Reply failed = Must(client.Call("fs.write", {{"path", kFile}, {"content", "text"}}));
  EXPECT_EQ(failed.code, ExitCode::kFailed);
  EXPECT_NE(Opened(world, audit::Kind::kOutcome, 5).map()->Find("before"), nullptr);
}

}  // namespace
}  // namespace krux::gateway
