// krux-verify against everybody who may have touched a log: rot, a cut, an editor who makes every
// checksum and link anew, and somebody who knows the format.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "audit/frame.h"
#include "audit/hash.h"
#include "audit/segment.h"
#include "audit/verify/reader.h"
#include "tests/audit/log_fixture.h"

namespace krux::audit {
namespace {

namespace fs = std::filesystem;
using verify::kCannot;
using verify::kIncomplete;
using verify::kOk;
using verify::kTampered;

// A stopped log, every record of it signed: segment, intent, outcome, denial.
void MakeSmallLog(const TestFolder& folder) {
  auto log = Log::Open(folder.Options());
  ASSERT_TRUE(log) << log.error().message;
  Draft draft = IntentDraft(1);
  const uint64_t intent = (*log)->Append({&draft, 1})[0].seq;
  draft = OutcomeDraft(1, intent);
  ASSERT_EQ((*log)->Append({&draft, 1})[0].error, "");
  draft = DenialDraft(2);
  ASSERT_EQ((*log)->Append({&draft, 1})[0].error, "");
  ASSERT_TRUE((*log)->Checkpoint());
}

// A log of `records` denials and a segment record, rotated where `segment_bytes` says, all signed
// with one checkpoint every `every` records.
void MakeLog(const TestFolder& folder, int records, uint64_t segment_bytes = 2 << 20,
             uint64_t every = 256) {
  LogOptions options = folder.Options();
  options.segment_bytes = segment_bytes;
  options.checkpoint_every = every;
  auto log = Log::Open(options);
  ASSERT_TRUE(log) << log.error().message;
  std::vector<Draft> drafts;
  for (int i = 0; i < records; ++i) drafts.push_back(DenialDraft(static_cast<uint8_t>(i)));
  for (const Appended& done : (*log)->Append(drafts)) ASSERT_EQ(done.error, "");
  ASSERT_TRUE((*log)->Checkpoint());
}

struct Part {
  cbor::Bytes record;
  cbor::Bytes openings;
  size_t size = 0;
};

std::vector<Part> Split(const std::vector<uint8_t>& segment) {
  std::vector<Part> parts;
  krux_frame frame;
  for (size_t at = 0; at < segment.size(); at += frame.size) {
    EXPECT_EQ(krux_frame_parse(segment.data() + at, segment.size() - at, &frame), KRUX_FRAME_OK);
    Part part;
    part.record.assign(frame.record, frame.record + frame.record_size);
    if (frame.openings != nullptr)
      part.openings.assign(frame.openings, frame.openings + frame.openings_size);
    part.size = frame.size;
    parts.push_back(std::move(part));
  }
  return parts;
}

std::vector<uint8_t> Join(const std::vector<Part>& parts) {
  std::vector<uint8_t> segment;
  for (const Part& part : parts) {
    const cbor::Bytes frame = MakeFrame(part.record, part.openings);
    segment.insert(segment.end(), frame.begin(), frame.end());
  }
  return segment;
}

cbor::Map RecordOf(const Part& part) { return *cbor::Decode(part.record)->map(); }

// What an editor who knows the format does after a change: every `prev` anew.
void Relink(std::vector<Part>* parts) {
  for (size_t i = 1; i < parts->size(); ++i) {
    cbor::Map record = RecordOf((*parts)[i]);
    record.Set(2u, LeafHash((*parts)[i - 1].record));
    (*parts)[i].record = cbor::Encode(record);
  }
}

bool Names(const verify::Report& report, uint64_t seq) {
  return std::ranges::any_of(report.faults, [&](const verify::Fault& f) {
    return f.cls == kTampered && f.seq == std::optional<uint64_t>(seq);
  });
}

// The seq of the record whose frame holds byte `at`.
uint64_t SeqAt(const std::vector<Part>& parts, size_t at) {
  uint64_t seq = 0;
  for (size_t end = parts[0].size; at >= end; end += parts[++seq].size) {
  }
  return seq;
}

TEST(Verify, EverySingleBitOfASegmentFlipped) {
  TestFolder folder(TestFolder::kMemory);
  MakeSmallLog(folder);
  const std::string path = folder.SegmentPath(0);
  const std::vector<uint8_t> good = ReadBytes(path);
  const std::vector<Part> parts = Split(good);
  ASSERT_EQ(folder.Verify().exit, kOk) << Describe(folder.Verify());
  WriteBytes(path, good);
  const UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(fd.valid());
  for (size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      const uint8_t flipped = good[at] ^ static_cast<uint8_t>(1 << bit);
      ASSERT_EQ(pwrite(fd.get(), &flipped, 1, static_cast<off_t>(at)), 1);
      const verify::Report report = folder.Verify();
      const uint64_t seq = SeqAt(parts, at);
      ASSERT_EQ(report.exit, kTampered)
          << "byte " << at << " bit " << bit << ": " << Describe(report);
      ASSERT_TRUE(Names(report, seq))
          << "byte " << at << " of record " << seq << ": " << Describe(report);
      // The rest is still judged: nobody else is accused, and the length of the log is known.
      for (const verify::Fault& fault : report.faults) {
        ASSERT_TRUE(!fault.seq || *fault.seq == seq || fault.cls != kTampered) << Describe(report);
      }
    }
    ASSERT_EQ(pwrite(fd.get(), &good[at], 1, static_cast<off_t>(at)), 1);
  }
  EXPECT_EQ(folder.Verify().exit, kOk);
}

TEST(Verify, EverySingleBitOfTheCheckpointsFlipped) {
  TestFolder folder(TestFolder::kMemory);
  MakeSmallLog(folder);
  const std::string path = folder.log_folder() + "/checkpoints";
  const std::vector<uint8_t> good = ReadBytes(path);
  ASSERT_EQ(good.size(), 2 * 128u);
  for (size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<uint8_t> bad = good;
      bad[at] ^= static_cast<uint8_t>(1 << bit);
      WriteBytes(path, bad);
      const verify::Report report = folder.Verify();
      ASSERT_EQ(report.exit, kTampered)
          << "byte " << at << " bit " << bit << ": " << Describe(report);
      ASSERT_EQ(report.faults[0].file, "checkpoints");
    }
  }
}

TEST(Verify, EveryCutOfTheSegment) {
  TestFolder folder(TestFolder::kMemory);
  MakeSmallLog(folder);
  const std::string path = folder.SegmentPath(0);
  const std::vector<uint8_t> good = ReadBytes(path);
  for (size_t size = 0; size < good.size(); ++size) {
    WriteBytes(path, {good.begin(), good.begin() + static_cast<long>(size)});
    const verify::Report report = folder.Verify();
    ASSERT_EQ(report.exit, kTampered) << "cut to " << size << " bytes: " << Describe(report);
    ASSERT_TRUE(Names(report, SeqAt(Split(good), size)))
        << "cut to " << size << ": " << Describe(report);
  }
}

TEST(Verify, EveryTornWriteAboveTheSignedSize) {
  TestFolder folder(TestFolder::kMemory);
  MakeSmallLog(folder);
  const std::string path = folder.SegmentPath(0);
  const std::vector<uint8_t> good = ReadBytes(path);
  std::vector<Part> parts = Split(good);
  cbor::Map next = RecordOf(parts[3]);
  next.Set(1u, 4u);
  next.Set(2u, LeafHash(parts[3].record));
  const cbor::Bytes frame = MakeFrame(cbor::Encode(next), parts[3].openings);
  for (size_t size = 1; size <= frame.size(); ++size) {
    std::vector<uint8_t> bytes = good;
    bytes.insert(bytes.end(), frame.begin(), frame.begin() + static_cast<long>(size));
    WriteBytes(path, bytes);
    const verify::Report report = folder.Verify();
    ASSERT_EQ(report.exit, kIncomplete) << size << ": " << Describe(report);
    ASSERT_EQ(report.signed_size, 4u);
    ASSERT_EQ(report.records, size == frame.size() ? 5u : 4u);
  }
}

TEST(Verify, ACutOfTheCheckpointsLeavesRecordsUnsigned) {
  TestFolder folder;
  MakeSmallLog(folder);
  const std::string path = folder.log_folder() + "/checkpoints";
  const std::vector<uint8_t> good = ReadBytes(path);
  for (size_t size = 128; size < good.size(); ++size) {
    WriteBytes(path, {good.begin(), good.begin() + static_cast<long>(size)});
    const verify::Report report = folder.Verify();
    ASSERT_EQ(report.exit, kIncomplete) << size << ": " << Describe(report);
    ASSERT_EQ(report.signed_size, 1u);
  }
}

TEST(Verify, NothingSignedOrNoKeyIsNeverOk) {
  TestFolder folder;
  MakeSmallLog(folder);
  EXPECT_EQ(verify::VerifyLog(folder.log_dir(), {.public_key = folder.path() + "/none"}).exit,
            kCannot);
  EXPECT_EQ(verify::VerifyLog(folder.log_dir(), {.public_key = ""}).exit, kCannot);
  WriteBytes(folder.path() + "/junk", {'j'});
  EXPECT_EQ(verify::VerifyLog(folder.log_dir(), {.public_key = folder.path() + "/junk"}).exit,
            kCannot);
  WriteBytes(folder.log_folder() + "/checkpoints", {});
  EXPECT_EQ(folder.Verify().exit, kCannot);
  fs::remove(folder.log_folder() + "/checkpoints");
  EXPECT_EQ(folder.Verify().exit, kCannot);
  EXPECT_EQ(verify::VerifyLog(folder.path() + "/nowhere", {.public_key = folder.public_key()}).exit,
            kCannot);
}

TEST(Verify, AKeyOfSomebodyElse) {
  TestFolder folder, other;
  MakeSmallLog(folder);
  MakeSmallLog(other);
  const verify::Report report =
      verify::VerifyLog(folder.log_dir(), {.public_key = other.public_key()});
  EXPECT_EQ(report.exit, kTampered) << Describe(report);
  EXPECT_EQ(report.signed_size, 0u);
}

TEST(Verify, AChangedRecordWithItsChecksumMadeAnew) {
  TestFolder folder;
  MakeSmallLog(folder);
  const std::vector<Part> good = Split(ReadBytes(folder.SegmentPath(0)));
  for (size_t seq = 1; seq < good.size(); ++seq) {
    std::vector<Part> parts = good;
    cbor::Map record = RecordOf(parts[seq]);
    record.Set(3u, 1u);  // another time
    parts[seq].record = cbor::Encode(record);
    WriteBytes(folder.SegmentPath(0), Join(parts));
    const verify::Report report = folder.Verify();
    EXPECT_EQ(report.exit, kTampered) << Describe(report);
    const bool last = seq + 1 == good.size();
    EXPECT_TRUE(last ? !report.faults.empty() : Names(report, seq)) << Describe(report);
  }
}

TEST(Verify, AChangedRecordWithEveryChecksumAndLinkMadeAnew) {
  TestFolder folder;
  MakeSmallLog(folder);
  const std::vector<Part> good = Split(ReadBytes(folder.SegmentPath(0)));
  for (size_t seq = 0; seq < good.size(); ++seq) {
    std::vector<Part> parts = good;
    cbor::Map record = RecordOf(parts[seq]);
    record.Set(3u, 1u);
    parts[seq].record = cbor::Encode(record);
    Relink(&parts);
    WriteBytes(folder.SegmentPath(0), Join(parts));
    const verify::Report report = folder.Verify();
    EXPECT_EQ(report.exit, kTampered) << Describe(report);
    EXPECT_EQ(report.records, good.size());
  }
  WriteBytes(folder.SegmentPath(0), Join(good));
  EXPECT_EQ(folder.Verify().exit, kOk) << "the editor above must be able to leave a log alone";
}

TEST(Verify, ADenialTurnedIntoAnAllowance) {
  TestFolder folder;
  MakeSmallLog(folder);
  std::vector<Part> parts = Split(ReadBytes(folder.SegmentPath(0)));
  cbor::Map record = RecordOf(parts[3]);
  cbor::Map body = *record.Find(7u)->map();
  body.Set(5u, 0u);
  record.Set(6u, 1u);
  record.Set(7u, body);
  parts[3].record = cbor::Encode(record);
  WriteBytes(folder.SegmentPath(0), Join(parts));
  EXPECT_EQ(folder.Verify().exit, kTampered);
}

TEST(Verify, RecordsRemovedSwappedRepeatedInserted) {
  TestFolder folder;
  MakeLog(folder, 12);
  const std::vector<Part> good = Split(ReadBytes(folder.SegmentPath(0)));
  const auto check = [&](const char* what, std::vector<Part> parts, uint64_t seq) {
    WriteBytes(folder.SegmentPath(0), Join(parts));
    const verify::Report report = folder.Verify();
    EXPECT_EQ(report.exit, kTampered) << what << ": " << Describe(report);
    EXPECT_TRUE(Names(report, seq)) << what << ": " << Describe(report);
  };
  auto parts = good;
  parts.erase(parts.begin() + 5);
  check("removed", parts, 5);
  parts = good;
  std::swap(parts[5], parts[6]);
  check("swapped", parts, 5);
  parts = good;
  parts.insert(parts.begin() + 5, parts[4]);
  check("repeated", parts, 4);
  parts = good;
  cbor::Map forged = RecordOf(parts[7]);
  forged.Set(3u, 99u);
  parts.insert(parts.begin() + 7, Part{cbor::Encode(forged), parts[7].openings, 0});
  check("inserted", parts, 7);
}

TEST(Verify, SegmentsRemovedOrFromAnotherLog) {
  TestFolder folder, other;
  MakeLog(folder, 1500, 256 * 1024);
  MakeLog(other, 1500, 256 * 1024);
  ASSERT_EQ(folder.Verify().exit, kOk) << Describe(folder.Verify());
  const auto names = folder.Names("seg-");
  ASSERT_GE(names.size(), 3u);
  const std::string middle = folder.log_folder() + "/" + names[1];
  const std::vector<uint8_t> good = ReadBytes(middle);
  uint64_t middle_seq = 0;
  ASSERT_TRUE(ParseSegmentName(names[1], &middle_seq));

  WriteBytes(middle, ReadBytes(other.log_folder() + "/" + names[1]));
  verify::Report report = folder.Verify();
  EXPECT_EQ(report.exit, kTampered);
  EXPECT_TRUE(Names(report, middle_seq)) << Describe(report);

  WriteBytes(middle, {good.begin(), good.begin() + static_cast<long>(good.size() / 2)});
  EXPECT_EQ(folder.Verify().exit, kTampered);

  fs::remove(middle);
  report = folder.Verify();
  EXPECT_EQ(report.exit, kTampered);
  EXPECT_TRUE(Names(report, middle_seq)) << Describe(report);

  WriteBytes(middle, good);
  EXPECT_EQ(folder.Verify().exit, kOk);
  WriteBytes(folder.log_folder() + "/" + names.back(), {});
  fs::remove(folder.log_folder() + "/" + names.back());
  EXPECT_EQ(folder.Verify().exit, kTampered) << "the newest segment is gone";
}

TEST(Verify, BytesBehindASegmentThatIsNotTheLast) {
  TestFolder folder;
  MakeLog(folder, 600, 256 * 1024);
  const std::string path = folder.SegmentPath(0);
  std::vector<uint8_t> bytes = ReadBytes(path);
  bytes.push_back(0x83);
  WriteBytes(path, bytes);
  EXPECT_EQ(folder.Verify().exit, kTampered) << Describe(folder.Verify());
}

TEST(Verify, FindsEveryFaultAndGoesOn) {
  TestFolder folder;
  MakeLog(folder, 40);
  std::vector<uint8_t> bytes = ReadBytes(folder.SegmentPath(0));
  const std::vector<Part> parts = Split(bytes);
  for (const uint64_t seq : {3u, 17u, 33u}) {
    size_t at = 0;
    for (uint64_t i = 0; i < seq; ++i) at += parts[i].size;
    bytes[at + 60] ^= 1;
  }
  WriteBytes(folder.SegmentPath(0), bytes);
  const verify::Report report = folder.Verify();
  EXPECT_EQ(report.exit, kTampered);
  EXPECT_EQ(report.faults.size(), 3u) << Describe(report);
  for (const uint64_t seq : {3u, 17u, 33u}) EXPECT_TRUE(Names(report, seq)) << Describe(report);
  EXPECT_EQ(report.records, 41u);
}

TEST(Verify, OpeningsCannotBeChangedOrTakenAway) {
  TestFolder folder;
  MakeSmallLog(folder);
  const std::vector<Part> good = Split(ReadBytes(folder.SegmentPath(0)));
  const auto check = [&](const char* what, cbor::Bytes openings) {
    std::vector<Part> parts = good;
    parts[1].openings = std::move(openings);
    WriteBytes(folder.SegmentPath(0), Join(parts));
    const verify::Report report = folder.Verify();
    EXPECT_EQ(report.exit, kTampered) << what;
    EXPECT_TRUE(Names(report, 1)) << what << ": " << Describe(report);
  };
  check("null without a redaction", {});
  cbor::Map openings = *cbor::Decode(good[1].openings)->map();
  cbor::Array pair = *openings.Find(4u)->array();
  check("another value", cbor::Encode(cbor::Map{{4u, cbor::Array{pair[0], "other"}}}));
  check("another salt", cbor::Encode(cbor::Map{{4u, cbor::Array{cbor::Bytes(32), pair[1]}}}));
  openings.Set(5u, cbor::Array{pair[0], 1u});
  check("one too many", cbor::Encode(openings));
  check("not deterministic", {0xa1, 0x18, 0x04, 0xf6});
}

TEST(Verify, RecordsThatAreNotOfTheFormat) {
  TestFolder folder;
  MakeSmallLog(folder);
  const std::vector<Part> good = Split(ReadBytes(folder.SegmentPath(0)));
  const auto check = [&](const char* what, cbor::Bytes record) {
    std::vector<Part> parts = good;
    parts[2].record = std::move(record);
    WriteBytes(folder.SegmentPath(0), Join(parts));
    const verify::Report report = folder.Verify();
    EXPECT_EQ(report.exit, kTampered) << what;
    EXPECT_TRUE(Names(report, 2)) << what << ": " << Describe(report);
  };
  cbor::Map record = RecordOf(good[2]);
  record.Set(0u, 2u);
  check("another format", cbor::Encode(record));
  record = RecordOf(good[2]);
  record.Set(6u, 18u);
  check("unknown kind", cbor::Encode(record));
  record = RecordOf(good[2]);
  record.Set(9u, 0u);
  check("unknown key", cbor::Encode(record));
  const auto body = [&](uint64_t key, cbor::Value value) {
    cbor::Map changed = RecordOf(good[2]);
    cbor::Map inner = *changed.Find(7u)->map();
    inner.Set(key, std::move(value));
    changed.Set(7u, std::move(inner));
    return cbor::Encode(changed);
  };
  check("an ending that does not exist", body(2, 11u));
  check("usage of five", body(7, cbor::Array{1u, 1u, 1u, nullptr, nullptr}));
  check("files that are text", body(7, cbor::Array{1u, 1u, 1u, nullptr, nullptr, "7"}));
  cbor::Bytes bytes = good[2].record;
  bytes.push_back(0);
  check("bytes behind", bytes);
  bytes = good[2].record;
  bytes.erase(bytes.begin() + 1, bytes.begin() + 3);  // key 0 and its value
  check("a key less", bytes);
  bytes = good[2].record;
  bytes[2] = 0x18;  // format 1 as 18 01: two bytes for a number that needs one
  bytes.insert(bytes.begin() + 3, 0x01);
  check("not the shortest form", bytes);
  check("empty", {});
  check("a deep nest", cbor::Bytes(50'000, 0x81));
  check("a huge count", {0xbb, 0, 0, 0, 1, 0, 0, 0, 0});
}

TEST(Verify, TheExpectedHeadMustBeInTheLog) {
  TestFolder folder;
  MakeSmallLog(folder);
  const std::string head = folder.Verify().head;
  const auto run = [&](const std::string& expected) {
    return verify::VerifyLog(folder.log_dir(),
                             {.public_key = folder.public_key(), .expected_head = expected})
        .exit;
  };
  EXPECT_EQ(run(head), kOk);
  {
    auto log = Log::Open(folder.Options());
    ASSERT_TRUE(log);
    Draft draft = DenialDraft(5);
    (*log)->Append({&draft, 1});
    ASSERT_TRUE((*log)->Checkpoint());
  }
  EXPECT_EQ(run(head), kOk) << "an older head stays in a longer log";
  EXPECT_EQ(run(std::string(64, 'a')), kTampered);
  EXPECT_EQ(run("short"), kCannot);
}

// Cut back to an older signed state, checkpoints included: only a head kept elsewhere shows it.
TEST(Verify, ARollbackNeedsTheExpectedHead) {
  TestFolder folder, before;
  MakeLog(folder, 5);
  folder.CopyTo(before);
  {
    auto log = Log::Open(folder.Options());
    ASSERT_TRUE(log);
    Draft draft = DenialDraft(5);
    (*log)->Append({&draft, 1});
    ASSERT_TRUE((*log)->Checkpoint());
  }
  const std::string head = folder.Verify().head;
  before.CopyTo(folder);
  EXPECT_EQ(folder.Verify().exit, kOk);
  EXPECT_EQ(verify::VerifyLog(folder.log_dir(),
                              {.public_key = folder.public_key(), .expected_head = head})
                .exit,
            kTampered);
}

TEST(Verify, ARedactionIsAccountedForByItsRecord) {
  TestFolder folder;
  MakeSmallLog(folder);
  std::vector<Part> parts = Split(ReadBytes(folder.SegmentPath(0)));
  // No program writes redactions yet; the format knows them.
  cbor::Map record = RecordOf(parts[3]);
  record.Set(1u, 4u);
  record.Set(2u, LeafHash(parts[3].record));
  record.Set(6u, 11u);
  record.Set(7u,
             cbor::Map{{0u, 1u}, {1u, cbor::Array{4u}}, {2u, "uid:0"}, {3u, "asked by its owner"}});
  parts.push_back({cbor::Encode(record), {}, 0});
  parts[1].openings.clear();
  WriteBytes(folder.SegmentPath(0), Join(parts));
  const verify::Report report = folder.Verify();
  EXPECT_EQ(report.exit, kIncomplete) << "only the new record is unsigned: " << Describe(report);
}

TEST(Verify, FilesThatAreNoFiles) {
  TestFolder folder;
  MakeSmallLog(folder);
  const std::string path = folder.SegmentPath(0);
  WriteBytes(path, ReadBytes(path));
  fs::remove(path);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(folder.Verify().exit, kTampered) << "and it does not hang";
}

}  // namespace
}  // namespace krux::audit
