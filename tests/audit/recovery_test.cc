// A log after a crash: what is cut off is kept and recorded, and what no crash can explain stays
// shut.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "audit/frame.h"
#include "audit/verify/reader.h"
#include "base/digest.h"
#include "tests/audit/log_fixture.h"

namespace krux::audit {
namespace {

struct Grown {
  std::vector<uint8_t> segment;  // of the whole log
  size_t signed_bytes = 0;       // the part that was signed
};

// A log with three signed records and `unsigned_drafts` behind them, as a power cut leaves it.
Grown Crash(const TestFolder& from, const TestFolder& to,
            const std::vector<Draft>& unsigned_drafts) {
  Grown grown;
  auto log = Log::Open(from.Options());
  EXPECT_TRUE(log) << log.error().message;
  const std::vector<Draft> first = {DenialDraft(1), DenialDraft(2)};
  (*log)->Append(first);
  EXPECT_TRUE((*log)->Checkpoint());
  grown.signed_bytes = ReadBytes(from.SegmentPath(0)).size();
  for (const Appended& done : (*log)->Append(unsigned_drafts)) EXPECT_EQ(done.error, "");
  grown.segment = ReadBytes(from.SegmentPath(0));
  from.CopyTo(to);
  return grown;
}

std::vector<uint64_t> Kinds(const TestFolder& folder) {
  verify::LogReader reader(folder.log_dir());
  std::vector<uint64_t> kinds;
  for (verify::RecordView record; reader.Next(&record);) kinds.push_back(record.kind);
  EXPECT_EQ(reader.error(), "");
  return kinds;
}

TEST(Recovery, TheLastFrameCutAtEveryByte) {
  TestFolder before(TestFolder::kMemory), folder(TestFolder::kMemory);
  const Grown grown = Crash(before, folder, {DenialDraft(3)});
  for (size_t cut = grown.signed_bytes; cut < grown.segment.size(); ++cut) {
    SCOPED_TRACE("cut at byte " + std::to_string(cut));
    before.CopyTo(folder);
    const std::vector<uint8_t> bytes(grown.segment.begin(),
                                     grown.segment.begin() + static_cast<long>(cut));
    WriteBytes(folder.SegmentPath(0), bytes);
    const verify::Report torn = folder.Verify();
    ASSERT_EQ(torn.exit, cut == grown.signed_bytes ? verify::kOk : verify::kIncomplete)
        << Describe(torn);
    {
      auto log = Log::Open(folder.Options());
      ASSERT_TRUE(log) << log.error().message;
      const Draft next = DenialDraft(4);
      ASSERT_EQ((*log)->Append({&next, 1})[0].error, "");
      ASSERT_TRUE((*log)->Checkpoint());
    }
    const verify::Report report = folder.Verify();
    ASSERT_EQ(report.exit, verify::kOk) << Describe(report);
    const auto torn_files = folder.Names("torn-");
    if (cut == grown.signed_bytes) {
      ASSERT_EQ(torn_files.size(), 0u);
      continue;
    }
    ASSERT_EQ(torn_files.size(), 1u);
    const std::vector<uint8_t> kept(bytes.begin() + static_cast<long>(grown.signed_bytes),
                                    bytes.end());
    ASSERT_EQ(ReadBytes(folder.log_folder() + "/" + torn_files[0]), kept);
    // segment, denial, denial, then in the new segment: segment, recovered, denial.
    ASSERT_EQ(Kinds(folder), (std::vector<uint64_t>{0, 3, 3, 0, 13, 3}));
  }
}

TEST(Recovery, TheTornBytesAreNamedByTheirHash) {
  TestFolder before, folder;
  const Grown grown = Crash(before, folder, {DenialDraft(3)});
  std::vector<uint8_t> bytes = grown.segment;
  bytes.resize(bytes.size() - 10);
  WriteBytes(folder.SegmentPath(0), bytes);
  {
    auto log = Log::Open(folder.Options());
    ASSERT_TRUE(log) << log.error().message;
  }
  verify::LogReader reader(folder.log_dir());
  verify::RecordView record;
  ASSERT_TRUE(reader.Find(4, &record)) << reader.error();
  const auto value = cbor::Decode(record.record);
  ASSERT_TRUE(value);
  const cbor::Map& body = *value->map()->Find(7u)->map();
  EXPECT_EQ(*body.Find(5u), cbor::Value(uint64_t{grown.signed_bytes}));
  EXPECT_EQ(*body.Find(6u), cbor::Value(uint64_t{bytes.size() - grown.signed_bytes}));
  EXPECT_EQ(*body.Find(7u), cbor::Value(Sha256(std::span(bytes).subspan(grown.signed_bytes))));
  // The torn bytes still lie in the old segment; changing one of them is a change of the log.
  ASSERT_EQ(folder.Verify().exit, verify::kOk);
  std::vector<uint8_t> changed = ReadBytes(folder.SegmentPath(0));
  changed.back() ^= 1;
  WriteBytes(folder.SegmentPath(0), changed);
  EXPECT_EQ(folder.Verify().exit, verify::kTampered);
}

TEST(Recovery, ZerosAndGarbageAtTheEndAreTorn) {
  for (const int fill : {0x00, 0xff, 0x83}) {
    SCOPED_TRACE(fill);
    TestFolder before, folder;
    Grown grown = Crash(before, folder, {DenialDraft(3)});
    // The size was already written, the data of the last sector was not.
    std::fill(grown.segment.end() - 100, grown.segment.end(), static_cast<uint8_t>(fill));
    WriteBytes(folder.SegmentPath(0), grown.segment);
    EXPECT_EQ(folder.Verify().exit, verify::kIncomplete);
    auto log = Log::Open(folder.Options());
    ASSERT_TRUE(log) << log.error().message;
    EXPECT_EQ(folder.Names("torn-").size(), 1u);
    EXPECT_EQ(folder.Verify().exit, verify::kOk) << Describe(folder.Verify());
  }
}

TEST(Recovery, ABadFrameBeforeAValidOneIsNoCrash) {
  TestFolder before, folder;
  Grown grown = Crash(before, folder, {DenialDraft(3), DenialDraft(4)});
  grown.segment[grown.signed_bytes + 40] ^= 0x10;
  WriteBytes(folder.SegmentPath(0), grown.segment);
  auto log = Log::Open(folder.Options());
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, ExitCode::kAudit);
  EXPECT_NE(log.error().message.find("followed by valid ones"), std::string::npos)
      << log.error().message;
  EXPECT_EQ(ReadBytes(folder.SegmentPath(0)), grown.segment) << "a refusal must not change the log";
  EXPECT_EQ(folder.Names("torn-").size(), 0u);
  EXPECT_EQ(folder.Names("seg-").size(), 1u);
}

TEST(Recovery, BelowTheSignedSizeNothingIsTorn) {
  TestFolder before, folder;
  const Grown grown = Crash(before, folder, {});
  for (const size_t missing : {size_t{1}, size_t{50}, grown.signed_bytes / 2, grown.signed_bytes}) {
    SCOPED_TRACE(missing);
    before.CopyTo(folder);
    std::vector<uint8_t> bytes = grown.segment;
    bytes.resize(bytes.size() - missing);
    WriteBytes(folder.SegmentPath(0), bytes);
    auto log = Log::Open(folder.Options());
    ASSERT_FALSE(log);
    EXPECT_EQ(log.error().code, ExitCode::kAudit);
    EXPECT_NE(log.error().message.find("signed"), std::string::npos) << log.error().message;
    EXPECT_EQ(ReadBytes(folder.SegmentPath(0)), bytes);
  }
}

TEST(Recovery, AChangedRecordUnderASignedHeadIsRefused) {
  TestFolder before, folder;
  Grown grown = Crash(before, folder, {});
  // Changes a digit of the last record and makes its checksum anew.
  size_t at = 0;
  krux_frame frame;
  for (size_t next = 0; next < grown.segment.size(); next += frame.size) {
    at = next;
    ASSERT_EQ(krux_frame_parse(grown.segment.data() + at, grown.segment.size() - at, &frame),
              KRUX_FRAME_OK);
  }
  std::vector<uint8_t> record(frame.record, frame.record + frame.record_size);
  const std::string_view agent = "uid:1000";
  auto place = std::ranges::search(record, agent).begin();
  ASSERT_NE(place, record.end());
  place[7] = '1';
  uint8_t head[KRUX_FRAME_HEAD], middle[KRUX_FRAME_MIDDLE];
  krux_frame_heads(record.data(), record.size(), frame.openings, frame.openings_size, head, middle);
  std::copy_n(head, sizeof head, grown.segment.begin() + static_cast<long>(at));
  std::ranges::copy(record, grown.segment.begin() + static_cast<long>(at + sizeof head));
  WriteBytes(folder.SegmentPath(0), grown.segment);
  auto log = Log::Open(folder.Options());
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().message.find("not the one that was signed"), std::string::npos)
      << log.error().message;
}

TEST(Recovery, IntentsWithoutOutcomeAreClosed) {
  TestFolder before, folder;
  Crash(before, folder, {IntentDraft(5), IntentDraft(6), IntentDraft(7), OutcomeDraft(6, 4)});
  {
    auto log = Log::Open(folder.Options());
    ASSERT_TRUE(log) << log.error().message;
    EXPECT_EQ((*log)->open_intents(), 0u);
    const Draft late = OutcomeDraft(5, 3);
    EXPECT_NE((*log)->Append({&late, 1})[0].error, "") << "its fate is recorded as unknown already";
    ASSERT_TRUE((*log)->Checkpoint());
  }
  EXPECT_EQ(Kinds(folder), (std::vector<uint64_t>{0, 3, 3, 1, 1, 1, 2, 13, 13}));
  EXPECT_EQ(folder.Verify().exit, verify::kOk) << Describe(folder.Verify());
  {  // Once is enough.
    auto log = Log::Open(folder.Options());
    ASSERT_TRUE(log) << log.error().message;
  }
  EXPECT_EQ(Kinds(folder).size(), 9u);
}

TEST(Recovery, AnUnfinishedNewSegmentIsPutAside) {
  for (const size_t size : {0u, 1u, 30u}) {
    SCOPED_TRACE(size);
    TestFolder before, folder;
    Grown grown = Crash(before, folder, {DenialDraft(3)});
    grown.segment.resize(size);
    WriteBytes(folder.SegmentPath(4), grown.segment);
    {
      auto log = Log::Open(folder.Options());
      ASSERT_TRUE(log) << log.error().message;
      ASSERT_TRUE((*log)->Checkpoint());
    }
    EXPECT_EQ(folder.Names("seg-").size(), 1u);
    EXPECT_EQ(folder.Names("torn-").size(), size == 0 ? 0u : 1u);
    EXPECT_EQ(folder.Verify().exit, verify::kOk) << Describe(folder.Verify());
  }
}

TEST(Recovery, ATornCheckpointIsCutOff) {
  TestFolder before, folder;
  Crash(before, folder, {DenialDraft(3)});
  const std::string path = folder.log_folder() + "/checkpoints";
  const std::vector<uint8_t> good = ReadBytes(path);
  for (const size_t torn : {1u, 64u, 127u}) {
    SCOPED_TRACE(torn);
    std::vector<uint8_t> bytes = good;
    bytes.insert(bytes.end(), good.begin(), good.begin() + static_cast<long>(torn));
    WriteBytes(path, bytes);
    EXPECT_EQ(folder.Verify().exit, verify::kIncomplete);
    auto log = Log::Open(folder.Options());
    ASSERT_TRUE(log) << log.error().message;
    log->reset();
    EXPECT_EQ(ReadBytes(path).size() % 128, 0u);
    EXPECT_EQ(folder.Verify().exit, verify::kOk) << Describe(folder.Verify());
  }
}

TEST(Recovery, ADamagedCheckpointIsRefused) {
  TestFolder before, folder;
  Crash(before, folder, {});
  const std::string path = folder.log_folder() + "/checkpoints";
  const std::vector<uint8_t> good = ReadBytes(path);
  for (const size_t at : {0u, 5u, 25u, 40u, 100u}) {
    std::vector<uint8_t> bytes = good;
    bytes[bytes.size() - 128 + at] ^= 4;
    WriteBytes(path, bytes);
    auto log = Log::Open(folder.Options());
    ASSERT_FALSE(log) << at;
    EXPECT_EQ(log.error().code, ExitCode::kAudit);
  }
}

TEST(Recovery, AllSegmentsGoneIsRefused) {
  TestFolder before, folder;
  Crash(before, folder, {});
  std::filesystem::remove(folder.SegmentPath(0));
  auto log = Log::Open(folder.Options());
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().message.find("every segment is gone"), std::string::npos)
      << log.error().message;
}

TEST(Recovery, ASegmentOfAnotherLogIsRefused) {
  TestFolder before, folder, other_before, other;
  Crash(before, folder, {});
  Crash(other_before, other, {});
  WriteBytes(folder.SegmentPath(0), ReadBytes(other.SegmentPath(0)));
  auto log = Log::Open(folder.Options());
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().message.find("belongs to another log"), std::string::npos)
      << log.error().message;
}

TEST(Recovery, ASegmentThatIsALinkIsRefused) {
  TestFolder before, folder;
  const Grown grown = Crash(before, folder, {});
  WriteBytes(folder.path() + "/elsewhere", grown.segment);
  std::filesystem::remove(folder.SegmentPath(0));
  std::filesystem::create_symlink(folder.path() + "/elsewhere", folder.SegmentPath(0));
  EXPECT_FALSE(Log::Open(folder.Options()));
  EXPECT_EQ(folder.Verify().exit, verify::kTampered);
}

}  // namespace
}  // namespace krux::audit
