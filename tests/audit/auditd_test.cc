// krux-auditd as a process at the other end of a channel: what it acknowledges is on disk, what it
// is sent cannot hurt it, and what it cannot write it says.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <random>

#include "audit/client.h"
#include "audit/message.h"
#include "audit/verify/reader.h"
#include "base/digest.h"
#include "tests/audit/log_fixture.h"

namespace krux::audit {
namespace {

constexpr int kPatienceMs = 10'000;

// One krux-auditd on the log of `folder`, and kruxd's end of its channel.
class Daemon {
 public:
  explicit Daemon(const TestFolder& folder, std::vector<std::string> extra = {}) {
    auto pair = Channel::Pair();
    EXPECT_TRUE(pair);
    ours_ = std::move(pair->first);
    int lifeline[2];
    int errors[2];
    EXPECT_EQ(pipe2(lifeline, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(errors, O_CLOEXEC), 0);
    lifeline_ = UniqueFd(lifeline[1]);
    errors_ = UniqueFd(errors[0]);
    const UniqueFd lifeline_end(lifeline[0]), errors_end(errors[1]);
    std::vector<std::string> words = {KRUX_AUDITD,       "--channel-fd", "10",
                                      "--lifeline-fd",   "11",           "--log-dir",
                                      folder.log_dir(),  "--pub",        folder.public_key(),
                                      "--segment-bytes", "1048576"};
    words.insert(words.end(), extra.begin(), extra.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pair->second.fd(), 10);
    posix_spawn_file_actions_adddup2(&actions, lifeline_end.get(), 11);
    posix_spawn_file_actions_adddup2(&actions, errors_end.get(), 2);
    EXPECT_EQ(posix_spawn(&pid_, KRUX_AUDITD, &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Daemon() {
    if (pid_ <= 0) return;
    Signal(SIGKILL);
    Wait();
  }
  Channel TakeChannel() { return std::move(ours_); }
  void CutLifeline() { lifeline_.reset(); }
  void Signal(int signal) { kill(pid_, signal); }
  // The exit status, 128 + signal where it was killed.
  int Wait() {
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::string Errors() {
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = read(errors_.get(), buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<size_t>(n));
    return text;
  }

 private:
  Channel ours_;
  UniqueFd lifeline_;
  UniqueFd errors_;
  pid_t pid_ = -1;
};

// The next ack, waiting for it; an ack with error "gone: …" where there will be none.
Ack NextAck(AuditClient& client) {
  for (;;) {
    auto ack = client.Next();
    if (!ack) return {0, 0, "gone: " + ack.error().message};
    if (*ack) return **ack;
    pollfd p{client.fd(), static_cast<short>(client.WantsWrite() ? POLLIN | POLLOUT : POLLIN), 0};
    if (poll(&p, 1, kPatienceMs) <= 0) return {0, 0, "gone: no ack in time"};
  }
}

TEST(Auditd, AnAckMeansTheRecordIsOnDisk) {
  TestFolder folder;
  Daemon daemon(folder);
  AuditClient client(daemon.TakeChannel());
  ASSERT_TRUE(client.Append(70, IntentDraft(1)));
  const Ack intent = NextAck(client);
  EXPECT_EQ(intent.tag, 70u);
  EXPECT_EQ(intent.error, "");
  EXPECT_EQ(intent.seq, 1u);
  verify::LogReader reader(folder.log_dir());
  verify::RecordView record;
  ASSERT_TRUE(reader.Find(1, &record)) << reader.error();
  EXPECT_EQ(record.kind, 1u);
  ASSERT_TRUE(client.Append(71, OutcomeDraft(1, intent.seq)));
  EXPECT_EQ(NextAck(client).seq, 2u);
  ASSERT_TRUE(client.Checkpoint(72));
  const Ack checkpoint = NextAck(client);
  EXPECT_EQ(checkpoint.tag, 72u);
  EXPECT_EQ(checkpoint.seq, 3u) << "the signed size";
  EXPECT_EQ(folder.Verify().exit, verify::kOk) << Describe(folder.Verify());
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  EXPECT_EQ(folder.Verify().exit, verify::kOk);
}

TEST(Auditd, EveryWayToStopSignsWhatIsThere) {
  const auto stops = [](const char* how,
                        const std::function<void(Daemon&, std::unique_ptr<AuditClient>&)>& stop) {
    TestFolder folder;
    Daemon daemon(folder, {"--idle-ms", "600000"});
    auto client = std::make_unique<AuditClient>(daemon.TakeChannel());
    ASSERT_TRUE(client->Append(1, DenialDraft(1)));
    ASSERT_EQ(NextAck(*client).error, "") << how;
    EXPECT_EQ(folder.Verify().exit, verify::kIncomplete) << how;
    stop(daemon, client);
    EXPECT_EQ(daemon.Wait(), 0) << how;
    EXPECT_EQ(folder.Verify().exit, verify::kOk) << how;
  };
  stops("SIGTERM", [](Daemon& d, auto&) { d.Signal(SIGTERM); });
  stops("lifeline", [](Daemon& d, auto&) { d.CutLifeline(); });
  stops("channel", [](Daemon&, auto& client) { client.reset(); });
}

// unix(7): a peer that ends with something unread resets the connection, and the reset is told
// before what it had sent. An outcome that kruxd sent with its last breath must not be lost to
// that.
TEST(Auditd, WhatAKilledKruxdHadSentIsWrittenThoughItsAcksWereNeverRead) {
  TestFolder folder;
  Daemon daemon(folder);
  {
    AuditClient client(daemon.TakeChannel());
    ASSERT_TRUE(client.Append(1, IntentDraft(1)));
    pollfd unread{client.fd(), POLLIN, 0};
    ASSERT_EQ(poll(&unread, 1, kPatienceMs), 1);  // the ack is there, and stays unread
    daemon.Signal(SIGSTOP);
    ASSERT_TRUE(client.Append(2, OutcomeDraft(1, 1)));
    ASSERT_TRUE(client.Append(3, DenialDraft(2)));
  }
  daemon.Signal(SIGCONT);
  EXPECT_EQ(daemon.Wait(), 0) << daemon.Errors();
  verify::LogReader reader(folder.log_dir());
  std::vector<uint64_t> kinds;
  for (verify::RecordView record; reader.Next(&record);) kinds.push_back(record.kind);
  EXPECT_EQ(kinds, (std::vector<uint64_t>{0, 1, 2, 3}));
  EXPECT_EQ(folder.Verify().exit, verify::kOk) << Describe(folder.Verify());
}

TEST(Auditd, SignsByItselfWhenItIsIdle) {
  TestFolder folder;
  Daemon daemon(folder);
  AuditClient client(daemon.TakeChannel());
  ASSERT_TRUE(client.Append(1, DenialDraft(1)));
  ASSERT_EQ(NextAck(client).error, "");
  const verify::Report report =
      verify::VerifyLog(folder.log_dir(), {.public_key = folder.public_key(), .live = true});
  EXPECT_EQ(report.exit, verify::kOk) << Describe(report);
  EXPECT_EQ(report.signed_size, 2u);
}

TEST(Auditd, ManyAtOnceAreAcknowledgedInOrder) {
  TestFolder folder;
  Daemon daemon(folder);
  AuditClient client(daemon.TakeChannel());
  for (uint64_t tag = 1; tag <= 500; ++tag) {
    ASSERT_TRUE(client.Append(tag, DenialDraft(static_cast<uint8_t>(tag))));
  }
  for (uint64_t tag = 1; tag <= 500; ++tag) {
    const Ack ack = NextAck(client);
    ASSERT_EQ(ack.error, "");
    ASSERT_EQ(ack.tag, tag);
    ASSERT_EQ(ack.seq, tag);
  }
}

TEST(Auditd, PoliciesLieBesideTheLog) {
  TestFolder folder;
  Daemon daemon(folder);
  AuditClient client(daemon.TakeChannel());
  const std::vector<uint8_t> text = {'a', '=', '1', '\n'};
  ASSERT_TRUE(client.StorePolicy(5, text));
  EXPECT_EQ(NextAck(client).error, "");
  EXPECT_EQ(ReadBytes(folder.log_dir() + "/policies/" + ToHex(Sha256(text))), text);
}

TEST(Auditd, AStoppedDaemonNeverBlocksTheClient) {
  TestFolder folder;
  Daemon daemon(folder);
  AuditClient client(daemon.TakeChannel());
  ASSERT_TRUE(client.Append(1, DenialDraft(1)));
  ASSERT_EQ(NextAck(client).error, "");
  daemon.Signal(SIGSTOP);
  uint64_t sent = 0;
  Result<void> result;
  while (sent < 100'000 && (result = client.Append(100 + sent, DenialDraft(2)))) ++sent;
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ExitCode::kBusy);
  EXPECT_GE(sent, AuditClient::kMaxQueued);
  daemon.Signal(SIGCONT);
  for (uint64_t i = 0; i < sent; ++i) {
    const Ack ack = NextAck(client);
    ASSERT_EQ(ack.error, "");
    ASSERT_EQ(ack.tag, 100 + i);
  }
}

cbor::Value Append(cbor::Value kind, cbor::Value body, cbor::Value openings) {
  return cbor::Map{{"type", "append"},
                   {"tag", 9u},
                   {"kind", std::move(kind)},
                   {"body", std::move(body)},
                   {"openings", std::move(openings)}};
}

TEST(Auditd, HostilePacketsAreAnsweredAndHurtNothing) {
  TestFolder folder;
  Daemon daemon(folder);
  const Channel channel = daemon.TakeChannel();
  std::vector<cbor::Bytes> packets = {
      {0x00},
      {0xff},
      {0xa0},
      {0xbf, 0xff},
      {0xfb, 0, 0, 0, 0, 0, 0, 0, 0},
      {0x9b, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
      cbor::Bytes(60'000, 0x81),
      cbor::Bytes(60'000, 0xff),
      cbor::Bytes(64 * 1024, 0x00),
      cbor::Encode(cbor::Map{{"type", "append"}}),
      cbor::Encode(cbor::Map{{"type", "shutdown"}, {"tag", 1u}}),
      cbor::Encode(cbor::Map{{"type", "checkpoint"}, {"tag", 1u}, {"also", 1u}}),
      cbor::Encode(
          cbor::Map{{"type", "policy"}, {"tag", 1u}, {"text", cbor::Bytes(61 * 1024, 'x')}}),
      cbor::Encode(Append(0u, cbor::Map(), nullptr)),                     // krux-auditd's own kind
      cbor::Encode(Append(13u, cbor::Map{{0u, 0u}, {1u, 1u}}, nullptr)),  // krux-auditd's own kind
      cbor::Encode(Append(16u, cbor::Map{{0u, 0u}}, nullptr)),            // reserved
      cbor::Encode(Append(18u, cbor::Map(), nullptr)),
      cbor::Encode(Append("1", cbor::Map(), nullptr)),
      cbor::Encode(Append(1u, nullptr, nullptr)),
      cbor::Encode(Append(1u, cbor::Map(), nullptr)),
      cbor::Encode(Append(10u, cbor::Map{{0u, "x"}, {1u, cbor::Map()}}, cbor::Map())),
      cbor::Encode(
          Append(2u, OutcomeDraft(1, 5).body, OutcomeDraft(1, 5).openings)),  // of no intent
  };
  for (const cbor::Bytes& packet : packets) {
    ASSERT_TRUE(channel.Send(packet));
    const auto answer = channel.ReceiveWithin(kPatienceMs);
    ASSERT_TRUE(answer) << answer.error().message;
    const auto ack = DecodeAck(answer->bytes);
    ASSERT_TRUE(ack) << ack.error().message;
    EXPECT_NE(ack->error, "");
  }
  // Descriptors are none of its business.
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_TRUE(channel.Send(EncodeCheckpoint(3), std::span(&null, 1)));
  close(null);
  auto answer = channel.ReceiveWithin(kPatienceMs);
  ASSERT_TRUE(answer);
  EXPECT_NE(DecodeAck(answer->bytes)->error, "");

  ASSERT_TRUE(channel.Send(EncodeAppend(4, DenialDraft(1))));
  answer = channel.ReceiveWithin(kPatienceMs);
  ASSERT_TRUE(answer);
  EXPECT_EQ(DecodeAck(answer->bytes)->error, "");
  EXPECT_EQ(DecodeAck(answer->bytes)->seq, 1u) << "something of the above was written";
}

TEST(Auditd, ThreeThousandBrokenPackets) {
  TestFolder folder;
  Daemon daemon(folder);
  const Channel channel = daemon.TakeChannel();
  std::mt19937 random(7);
  const std::vector<cbor::Bytes> seeds = {EncodeAppend(1, IntentDraft(1)),
                                          EncodeAppend(2, OutcomeDraft(1, 1)), EncodeCheckpoint(3),
                                          EncodePolicy(4, cbor::Bytes(10, 'p'))};
  for (int i = 0; i < 3000; ++i) {
    cbor::Bytes packet = seeds[random() % seeds.size()];
    for (auto n = 1 + random() % 4; n > 0; --n)
      packet[random() % packet.size()] = static_cast<uint8_t>(random());
    if (random() % 4 == 0) packet.resize(1 + random() % packet.size());
    ASSERT_TRUE(channel.Send(packet));
    const auto answer = channel.ReceiveWithin(kPatienceMs);
    ASSERT_TRUE(answer && DecodeAck(answer->bytes)) << "packet " << i;
  }
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  // Whatever got through was a good record.
  EXPECT_EQ(folder.Verify().exit, verify::kOk) << Describe(folder.Verify());
}

TEST(Auditd, ALogThatWasCutIsAnErrorInTheAck) {
  TestFolder folder;
  Daemon daemon(folder);
  AuditClient client(daemon.TakeChannel());
  ASSERT_TRUE(client.Append(1, DenialDraft(1)));
  ASSERT_EQ(NextAck(client).error, "");
  const std::string path = folder.SegmentPath(0);
  std::vector<uint8_t> bytes = ReadBytes(path);
  bytes.pop_back();
  WriteBytes(path, bytes);
  for (uint64_t tag = 2; tag < 5; ++tag) {
    ASSERT_TRUE(client.Append(tag, DenialDraft(2)));
    const Ack ack = NextAck(client);
    EXPECT_EQ(ack.tag, tag);
    EXPECT_NE(ack.error, "");
    EXPECT_EQ(ack.error.find("gone"), std::string::npos) << "it died: " << ack.error;
  }
}

TEST(Auditd, RefusesToStartWithOneSentence) {
  TestFolder folder;
  {
    Daemon first(folder);
    AuditClient client(first.TakeChannel());
    ASSERT_TRUE(client.Append(1, DenialDraft(1)));
    ASSERT_EQ(NextAck(client).error, "");
    Daemon second(folder);
    EXPECT_EQ(second.Wait(), 74);
    EXPECT_NE(second.Errors().find("another krux-auditd has the log"), std::string::npos);
    first.Signal(SIGTERM);
    EXPECT_EQ(first.Wait(), 0);
  }
  std::vector<uint8_t> bytes = ReadBytes(folder.SegmentPath(0));
  bytes[50] ^= 1;
  WriteBytes(folder.SegmentPath(0), bytes);
  Daemon daemon(folder);
  EXPECT_EQ(daemon.Wait(), 74);
  const std::string text = daemon.Errors();
  EXPECT_NE(text.find("krux audit verify"), std::string::npos) << text;
  EXPECT_EQ(std::ranges::count(text, '\n'), 1) << text;
}

TEST(Auditd, KilledAtAnyMomentItLosesNothingItAcknowledged) {
  TestFolder folder;
  std::mt19937 random(11);
  uint64_t last_acknowledged = 0;
  for (int run = 0; run < 12; ++run) {
    Daemon daemon(folder);
    AuditClient client(daemon.TakeChannel());
    const auto kill_after = static_cast<unsigned>(random() % 40);
    for (unsigned i = 0;; ++i) {
      const Result<void> sent = client.Append(i + 1, DenialDraft(static_cast<uint8_t>(i)));
      if (i >= kill_after) break;
      if (!sent || i % 3 != 0) continue;
      const Ack ack = NextAck(client);
      ASSERT_EQ(ack.error, "");
      last_acknowledged = ack.seq;
    }
    daemon.Signal(SIGKILL);
    EXPECT_EQ(daemon.Wait(), 128 + SIGKILL);
    verify::LogReader reader(folder.log_dir());
    verify::RecordView record;
    ASSERT_TRUE(reader.Find(last_acknowledged, &record)) << reader.error();
  }
  Daemon daemon(folder);
  AuditClient client(daemon.TakeChannel());
  ASSERT_TRUE(client.Checkpoint(1));
  ASSERT_EQ(NextAck(client).error, "");
  EXPECT_EQ(folder.Verify().exit, verify::kOk) << Describe(folder.Verify());
}

}  // namespace
}  // namespace krux::audit
