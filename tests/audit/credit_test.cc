// Space and syncs: what is kept for the calls that run, what is taken from the disk, and how many
// waits for it a group of records costs.
#include <gtest/gtest.h>

#include <algorithm>

#include "audit/message.h"
#include "base/channel.h"
#include "tests/audit/log_fixture.h"

namespace krux::audit {
namespace {

// The worst that a sandbox and its program can make of an outcome fits the packet, and with it the
// room that was kept.
TEST(Credit, TheLargestOutcomeFitsWhatIsKeptForIt) {
  Outcome outcome;
  outcome.call_id = Id(1);
  outcome.intent_seq = 1;
  outcome.exit_code = INT64_MIN;
  outcome.detail = INT64_MIN;
  outcome.result = cbor::Map{{"data", std::string(23 * 1024, 'r')}};
  outcome.reason = std::string(100'000, '\x01');
  cbor::Map receipt;
  for (int i = 0; i < 1000; ++i)
    receipt.Set("field" + std::to_string(i), cbor::Array{std::string(100, 'v'), "kernel"});
  outcome.receipt = receipt;
  const size_t by_digest = EncodeAppend(UINT64_MAX, ToDraft(outcome)).size();
  receipt = {};
  for (int i = 0; i < 200; ++i)
    receipt.Set("field" + std::to_string(i), cbor::Array{std::string(95, 'v'), "kernel"});
  outcome.receipt = receipt;
  const size_t in_full = EncodeAppend(UINT64_MAX, ToDraft(outcome)).size();
  EXPECT_GT(in_full, 40'000u) << "the test must come near the bound";
  EXPECT_LT(std::max(by_digest, in_full), kMaxPacket);
}

// As many calls as fit, each closed by the largest outcome, while no new segment can be made: the
// room that an intent got is never anybody else's.
TEST(Credit, EveryOpenCallClosesWithTheLargestOutcomeInTheSegmentThatHoldsItsIntent) {
  const TestFolder folder(TestFolder::kMemory);
  FaultyIo io;
  auto log = Log::Open(folder.Options(&io));
  ASSERT_TRUE(log) << log.error().message;
  io.fail = [](const std::string& call, int) { return call == "create" ? -ENOSPC : 0; };
  const auto append = [&](Draft draft) { return (*log)->Append({&draft, 1})[0]; };
  std::vector<uint64_t> open;
  for (Appended done = append(IntentDraft(1)); done.error.empty(); done = append(IntentDraft(1)))
    open.push_back(done.seq);
  EXPECT_GT(open.size(), 20u);
  while (append(DenialDraft(2)).error.empty()) {
  }
  Outcome outcome;
  outcome.call_id = Id(1);
  outcome.result = cbor::Map{{"data", std::string(23 * 1024, 'r')}};
  outcome.reason = std::string(1024, 'x');
  cbor::Map receipt;
  for (int i = 0; i < 200; ++i)
    receipt.Set("field" + std::to_string(i), cbor::Array{std::string(95, 'v'), "kernel"});
  outcome.receipt = receipt;
  for (const uint64_t seq : open) {
    outcome.intent_seq = seq;
    EXPECT_EQ(append(ToDraft(outcome)).error, "") << "intent " << seq;
  }
  EXPECT_EQ((*log)->open_intents(), 0u);
  ASSERT_TRUE((*log)->Checkpoint());
  EXPECT_EQ(folder.Verify().exit, verify::kOk) << Describe(folder.Verify());
}

// One write and one wait for the disk, however many callers stand behind it.
TEST(GroupCommit, RecordsThatWaitTogetherShareOneSync) {
  for (const size_t callers : {1u, 2u, 64u, 500u}) {
    const TestFolder folder(TestFolder::kMemory);
    FaultyIo io;
    LogOptions options = folder.Options(&io);
    options.checkpoint_every = 100'000;
    auto log = Log::Open(options);
    ASSERT_TRUE(log) << log.error().message;
    const std::vector<Draft> drafts(callers, DenialDraft(1));
    io.calls.clear();
    for (const Appended& done : (*log)->Append(drafts)) ASSERT_EQ(done.error, "");
    EXPECT_EQ(io.Count("fdatasync"), 1) << callers << " callers";
    EXPECT_EQ(io.Count("writev"), 1) << callers << " callers";
  }
}

TEST(Reservation, TakesAtMostHalfOfWhatIsFree) {
  class SmallDisk : public FaultyIo {
   public:
    int FreeBytes(int, uint64_t* out) override {
      *out = 5 << 20;
      return 0;
    }
    int Reserve(int fd, uint64_t size) override {
      asked.push_back(size);
      return FaultyIo::Reserve(fd, size);
    }
    std::vector<uint64_t> asked;
  } io;
  const TestFolder folder(TestFolder::kMemory);
  LogOptions options = folder.Options(&io);
  options.segment_bytes = 64 << 20;
  ASSERT_TRUE(Log::Open(options));
  ASSERT_FALSE(io.asked.empty());
  EXPECT_EQ(io.asked[0], 5u << 19);
}

}  // namespace
}  // namespace krux::audit
