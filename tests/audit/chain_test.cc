// The log as it is written when nothing goes wrong, and what it refuses to write.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "audit/hash.h"
#include "audit/verify/reader.h"
#include "base/digest.h"
#include "tests/audit/log_fixture.h"

namespace krux::audit {
namespace {

uint64_t AppendOne(Log& log, Draft draft) {
  const std::vector<Appended> done = log.Append({&draft, 1});
  EXPECT_EQ(done[0].error, "");
  return done[0].seq;
}

std::string Refusal(Log& log, Draft draft) { return log.Append({&draft, 1})[0].error; }

std::vector<verify::RecordView> AllRecords(const TestFolder& folder) {
  verify::LogReader reader(folder.log_dir());
  std::vector<verify::RecordView> records;
  for (verify::RecordView record; reader.Next(&record);) records.push_back(record);
  EXPECT_EQ(reader.error(), "");
  return records;
}

TEST(Chain, EveryRecordNamesTheLeafHashOfTheOneBefore) {
  TestFolder folder;
  auto log = Log::Open(folder.Options());
  ASSERT_TRUE(log) << log.error().message;
  const uint64_t intent = AppendOne(**log, IntentDraft(1));
  AppendOne(**log, OutcomeDraft(1, intent));
  AppendOne(**log, DenialDraft(2));

  const auto records = AllRecords(folder);
  ASSERT_EQ(records.size(), 4u);
  cbor::Bytes prev(32);
  for (uint64_t seq = 0; seq < records.size(); ++seq) {
    const auto value = cbor::Decode(records[seq].record);
    ASSERT_TRUE(value) << value.error().message;
    EXPECT_EQ(*value->map()->Find(0u), cbor::Value(1u));
    EXPECT_EQ(*value->map()->Find(1u), cbor::Value(seq));
    EXPECT_EQ(*value->map()->Find(2u), cbor::Value(prev));
    cbor::Bytes leaf(1, 0);
    leaf.insert(leaf.end(), records[seq].record.begin(), records[seq].record.end());
    prev = Sha256(leaf);
  }
  EXPECT_EQ(records[0].kind, 0u);
  EXPECT_EQ(records[1].kind, 1u);
  EXPECT_EQ(records[2].kind, 2u);
  EXPECT_EQ(records[3].kind, 3u);
}

TEST(Chain, AStoppedAndSignedLogVerifies) {
  TestFolder folder;
  {
    auto log = Log::Open(folder.Options());
    ASSERT_TRUE(log) << log.error().message;
    for (uint8_t call = 0; call < 20; ++call) {
      const uint64_t intent = AppendOne(**log, IntentDraft(call));
      AppendOne(**log, OutcomeDraft(call, intent));
    }
    ASSERT_TRUE((*log)->Checkpoint());
  }
  const verify::Report report = folder.Verify();
  EXPECT_EQ(report.exit, verify::kOk) << Describe(report);
  EXPECT_EQ(report.records, 41u);
  EXPECT_EQ(report.signed_size, 41u);
}

TEST(Chain, AGroupIsOneWriteAndOneSync) {
  TestFolder folder;
  FaultyIo io;
  auto log = Log::Open(folder.Options(&io));
  ASSERT_TRUE(log) << log.error().message;
  io.calls.clear();
  std::vector<Draft> drafts;
  for (uint8_t call = 0; call < 20; ++call) drafts.push_back(DenialDraft(call));
  const auto done = (*log)->Append(drafts);
  for (const Appended& one : done) EXPECT_EQ(one.error, "");
  EXPECT_EQ(io.Count("writev"), 1);
  EXPECT_EQ(io.Count("fdatasync"), 1);
}

TEST(Chain, GoesOnInTheSameSegmentAfterACleanStop) {
  TestFolder folder;
  for (int run = 0; run < 5; ++run) {
    auto log = Log::Open(folder.Options());
    ASSERT_TRUE(log) << log.error().message;
    AppendOne(**log, DenialDraft(1));
    ASSERT_TRUE((*log)->Checkpoint());
  }
  EXPECT_EQ(folder.Names("seg-").size(), 1u);
  const verify::Report report = folder.Verify();
  EXPECT_EQ(report.exit, verify::kOk) << Describe(report);
  EXPECT_EQ(report.records, 6u);
}

TEST(Chain, SignsAfterEveryNthRecordByItself) {
  TestFolder folder;
  LogOptions options = folder.Options();
  options.checkpoint_every = 8;
  auto log = Log::Open(std::move(options));
  ASSERT_TRUE(log) << log.error().message;
  EXPECT_EQ((*log)->signed_size(), 1u);
  for (uint8_t i = 0; i < 20; ++i) AppendOne(**log, DenialDraft(i));
  EXPECT_EQ((*log)->signed_size(), 17u);
  EXPECT_EQ(folder.Verify().exit, verify::kIncomplete);
}

TEST(Chain, RotatesAndCarriesOpenIntentsOver) {
  TestFolder folder;
  LogOptions options = folder.Options();
  options.segment_bytes = 256 * 1024;
  std::vector<uint64_t> intents;
  {
    auto log = Log::Open(options);
    ASSERT_TRUE(log) << log.error().message;
    const uint64_t early = AppendOne(**log, IntentDraft(200));
    for (int i = 0; i < 600; ++i) AppendOne(**log, DenialDraft(static_cast<uint8_t>(i)));
    AppendOne(**log, OutcomeDraft(200, early));
    AppendOne(**log, IntentDraft(201));
    ASSERT_TRUE((*log)->Checkpoint());
  }
  EXPECT_GE(folder.Names("seg-").size(), 2u);
  verify::Report report = folder.Verify();
  EXPECT_EQ(report.exit, verify::kOk) << Describe(report);
  {  // The last segment alone says what is open.
    auto log = Log::Open(options);
    ASSERT_TRUE(log) << log.error().message;
    EXPECT_EQ((*log)->open_intents(), 0u);
    ASSERT_TRUE((*log)->Checkpoint());
  }
  const auto records = AllRecords(folder);
  EXPECT_EQ(records.back().kind, 13u) << "the intent without outcome was not closed at the restart";
  report = folder.Verify();
  EXPECT_EQ(report.exit, verify::kOk) << Describe(report);
}

TEST(Chain, KeepsRoomForTheOutcomeOfEveryIntentItAdmits) {
  TestFolder folder;
  LogOptions options = folder.Options();
  options.segment_bytes = 512 * 1024;
  auto log = Log::Open(options);
  ASSERT_TRUE(log) << log.error().message;
  std::vector<uint64_t> intents;
  std::string refusal;
  for (uint8_t call = 0; call < 50 && refusal.empty(); ++call) {
    Draft draft = IntentDraft(call);
    const Appended done = (*log)->Append({&draft, 1})[0];
    refusal = done.error;
    if (refusal.empty()) intents.push_back(done.seq);
  }
  EXPECT_NE(refusal.find("too many calls are open"), std::string::npos) << refusal;
  ASSERT_GE(intents.size(), 3u);
  for (uint8_t call = 0; call < intents.size(); ++call) {
    AppendOne(**log, OutcomeDraft(call, intents[call]));
  }
  EXPECT_EQ(folder.Names("seg-").size(), 1u) << "a refusal must not make a segment";
  AppendOne(**log, IntentDraft(99));
}

TEST(Chain, AnOutcomeClosesOneOpenIntentOfItsCall) {
  TestFolder folder;
  auto log = Log::Open(folder.Options());
  ASSERT_TRUE(log) << log.error().message;
  const uint64_t intent = AppendOne(**log, IntentDraft(1));
  EXPECT_NE(Refusal(**log, OutcomeDraft(2, intent)), "") << "of another call";
  EXPECT_NE(Refusal(**log, OutcomeDraft(1, intent + 1)), "") << "of no intent";
  AppendOne(**log, OutcomeDraft(1, intent));
  EXPECT_NE(Refusal(**log, OutcomeDraft(1, intent)), "") << "a second outcome";
  const uint64_t denial = AppendOne(**log, DenialDraft(3));
  EXPECT_NE(Refusal(**log, OutcomeDraft(3, denial)), "") << "of a denial";
}

TEST(Chain, ARefusedDraftLeavesItsNeighboursAlone) {
  TestFolder folder;
  auto log = Log::Open(folder.Options());
  ASSERT_TRUE(log) << log.error().message;
  const std::vector<Draft> drafts = {DenialDraft(1), OutcomeDraft(9, 77), DenialDraft(2)};
  const auto done = (*log)->Append(drafts);
  EXPECT_EQ(done[0].seq, 1u);
  EXPECT_EQ(done[0].error, "");
  EXPECT_NE(done[1].error, "");
  EXPECT_EQ(done[2].seq, 2u);
  EXPECT_EQ(done[2].error, "");
}

TEST(Chain, RefusesBodiesThatAreNotOfTheFormat) {
  TestFolder folder;
  auto log = Log::Open(folder.Options());
  ASSERT_TRUE(log) << log.error().message;
  const auto refuses = [&](const char* what, const std::function<void(Draft&)>& change) {
    Draft draft = IntentDraft(1);
    change(draft);
    EXPECT_NE(Refusal(**log, draft), "") << what;
  };
  refuses("missing key", [](Draft& d) { d.body.Remove(7u); });
  refuses("unknown key", [](Draft& d) { d.body.Set(99u, 1u); });
  refuses("text key", [](Draft& d) { d.body.Set("x", 1u); });
  refuses("short id", [](Draft& d) { d.body.Set(0u, cbor::Bytes(15)); });
  refuses("long text", [](Draft& d) { d.body.Set(2u, std::string(5000, 'a')); });
  refuses("decision of another kind", [](Draft& d) { d.body.Set(5u, 1u); });
  refuses("lattice with text", [](Draft& d) { d.body.Set(8u, cbor::Map{{"a", 1u}}); });
  refuses("no openings", [](Draft& d) { d.openings = nullptr; });
  refuses("an opening of nothing",
          [](Draft& d) { d.openings.map()->Set(0u, cbor::Array{cbor::Bytes(32), 1u}); });
  refuses("an opening of something else", [](Draft& d) {
    const cbor::Bytes salt = *(*d.openings.map()->Find(4u)->array())[0].bytes();
    d.openings.map()->Set(4u, cbor::Array{salt, cbor::Map{{"path", "/etc/shadow"}}});
  });
  refuses("more than 60 KiB", [](Draft& d) {
    cbor::Map inputs;
    for (unsigned i = 0; i < 20; ++i) inputs.Set("k" + std::to_string(i), std::string(3500, 'x'));
    d.body.Set(10u, inputs);
  });
  refuses("reserved kind", [](Draft& d) { d = {Kind::kSeal, cbor::Map{{0u, 1u}}, nullptr}; });
  EXPECT_EQ((*log)->size(), 1u);
}

TEST(Chain, CommittedValuesStandOnlyInTheOpenings) {
  TestFolder folder;
  auto log = Log::Open(folder.Options());
  ASSERT_TRUE(log) << log.error().message;
  AppendOne(**log, IntentDraft(1, "a-very-private-name"));
  const auto records = AllRecords(folder);
  const auto contains = [](const std::vector<uint8_t>& in, std::string_view text) {
    return std::string_view(reinterpret_cast<const char*>(in.data()), in.size()).find(text) !=
           std::string_view::npos;
  };
  EXPECT_FALSE(contains(records[1].record, "a-very-private-name"));
  EXPECT_TRUE(contains(records[1].openings, "a-very-private-name"));
}

TEST(Chain, ALargeArgumentIsRecordedByDigest) {
  TestFolder folder;
  auto log = Log::Open(folder.Options());
  ASSERT_TRUE(log) << log.error().message;
  AppendOne(**log, IntentDraft(1, std::string(50'000, 'p')));
  const auto records = AllRecords(folder);
  EXPECT_LT(records[1].openings.size(), 200u);
  ASSERT_TRUE((*log)->Checkpoint());
  EXPECT_EQ(folder.Verify().exit, verify::kOk);
}

TEST(Chain, FindsARecordBySeqAcrossSegments) {
  TestFolder folder;
  LogOptions options = folder.Options();
  options.segment_bytes = 256 * 1024;
  auto log = Log::Open(options);
  ASSERT_TRUE(log) << log.error().message;
  for (int i = 0; i < 700; ++i) AppendOne(**log, DenialDraft(static_cast<uint8_t>(i)));
  verify::LogReader reader(folder.log_dir());
  verify::RecordView record;
  for (const uint64_t seq : {0u, 1u, 350u, 699u}) {
    ASSERT_TRUE(reader.Find(seq, &record)) << reader.error();
    EXPECT_EQ(record.seq, seq);
  }
  EXPECT_FALSE(reader.Find(100'000, &record));
  EXPECT_EQ(reader.error(), "");
}

TEST(Chain, TailSeesWhatIsAppendedLater) {
  TestFolder folder;
  auto log = Log::Open(folder.Options());
  ASSERT_TRUE(log) << log.error().message;
  verify::LogReader reader(folder.log_dir());
  verify::RecordView record;
  ASSERT_TRUE(reader.Next(&record));
  EXPECT_FALSE(reader.Next(&record));
  AppendOne(**log, DenialDraft(1));
  ASSERT_TRUE(reader.Next(&record)) << reader.error();
  EXPECT_EQ(record.kind, 3u);
}

TEST(Chain, StoresPoliciesByHashAndNoticesChanges) {
  TestFolder folder;
  auto log = Log::Open(folder.Options());
  ASSERT_TRUE(log) << log.error().message;
  const std::string text = "[levels]\nread_files = \"always\"\n";
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  ASSERT_TRUE((*log)->StorePolicy(bytes));
  ASSERT_TRUE((*log)->StorePolicy(bytes)) << "the same text twice is no error";
  const std::string path = folder.log_dir() + "/policies/" + ToHex(Sha256(bytes));
  EXPECT_EQ(ReadBytes(path), std::vector<uint8_t>(bytes.begin(), bytes.end()));
  WriteBytes(path, {'x'});
  EXPECT_FALSE((*log)->StorePolicy(bytes));
}

TEST(Opening, OnlyOneProcessHasTheLog) {
  TestFolder folder;
  auto first = Log::Open(folder.Options());
  ASSERT_TRUE(first) << first.error().message;
  auto second = Log::Open(folder.Options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ExitCode::kAudit);
  EXPECT_NE(second.error().message.find("another krux-auditd"), std::string::npos);
}

TEST(Opening, KeyAndLogBelongTogether) {
  const auto refused = [](const std::function<void(const TestFolder&)>& change, const char* part) {
    TestFolder folder;
    {
      ASSERT_TRUE(Log::Open(folder.Options()));
    }
    change(folder);
    auto log = Log::Open(folder.Options());
    ASSERT_FALSE(log) << part;
    EXPECT_EQ(log.error().code, ExitCode::kAudit);
    EXPECT_NE(log.error().message.find(part), std::string::npos) << log.error().message;
  };
  refused([](const TestFolder& f) { unlink((f.log_dir() + "/audit.key").c_str()); }, "is missing");
  refused([](const TestFolder& f) { WriteBytes(f.log_dir() + "/audit.key", {'x'}); },
          "not an Ed25519");
  refused(
      [](const TestFolder& f) {
        TestFolder other;
        ASSERT_TRUE(Log::Open(other.Options()));
        WriteBytes(f.public_key(), ReadBytes(other.public_key()));
      },
      "not the public key of this log");
  refused(
      [](const TestFolder& f) {
        TestFolder other;
        ASSERT_TRUE(Log::Open(other.Options()));
        WriteBytes(f.log_dir() + "/audit.key", ReadBytes(other.log_dir() + "/audit.key"));
      },
      "not signed by this log's key");
  refused(
      [](const TestFolder& f) { rename(f.log_folder().c_str(), (f.path() + "/moved").c_str()); },
      "the log is gone");
  refused(
      [](const TestFolder& f) {
        mkdir((f.log_dir() + "/0123456789abcdef0123456789abcdef").c_str(), 0700);
      },
      "more than one log");
}

TEST(Opening, ThePublicKeyFillsAnEmptyFile) {
  TestFolder folder;
  WriteBytes(folder.public_key(), {});
  {
    auto log = Log::Open(folder.Options());
    ASSERT_TRUE(log) << log.error().message;
  }
  EXPECT_EQ(folder.Verify().exit, verify::kOk);
}

TEST(Opening, AFolderThatOthersCanWriteIsRefused) {
  TestFolder folder;
  mkdir(folder.log_dir().c_str(), 0700);
  chmod(folder.log_dir().c_str(), 0777);
  auto log = Log::Open(folder.Options());
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().message.find("writable by nobody else"), std::string::npos);
}

TEST(Opening, SecretsOfTheLogArePrivate) {
  TestFolder folder;
  auto log = Log::Open(folder.Options());
  ASSERT_TRUE(log) << log.error().message;
  struct stat st;
  ASSERT_EQ(stat((folder.log_dir() + "/audit.key").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  ASSERT_EQ(stat(folder.log_dir().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700u);
}

}  // namespace
}  // namespace krux::audit
