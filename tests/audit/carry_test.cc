// What a restart must not lose: carried from segment to segment, taken over by the next start,
// judged by the verifier; a false one is found, a torn one is not believed.
#include "audit/carry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "audit/frame.h"
#include "audit/hash.h"
#include "tests/audit/log_fixture.h"

namespace krux::audit {
namespace {

using cbor::Map;

const cbor::Bytes kSession = Id(0xaa);  // the one of the fixture's calls

Draft OpenedDraft(const cbor::Bytes& id = kSession, uint64_t exposure = 0) {
  return SessionDraft(
      id, "opened",
      Map{{"work", "/w"}, {"state", Map{{0u, exposure}, {1u, 4u}}}, {"budget", Map{{0u, 100u}}}});
}

Draft WithBudget(Draft draft, uint64_t before, uint64_t after) {
  const bool outcome = draft.kind == Kind::kOutcome;
  draft.body.Set(outcome ? 12u : 19u, Map{{0u, before}});
  draft.body.Set(outcome ? 13u : 20u, Map{{0u, after}});
  return draft;
}

Draft WithLabels(Draft draft, const cbor::Bytes& work, cbor::Array labels) {
  Map inputs = *draft.body.Find(10u)->map();
  inputs.Set("work", work);
  inputs.Set("labels", std::move(labels));
  draft.body.Set(10u, std::move(inputs));
  return draft;
}

std::unique_ptr<Log> Open(const LogOptions& options) {
  auto log = Log::Open(options);
  EXPECT_TRUE(log) << log.error().message;
  return log ? std::move(*log) : nullptr;
}

uint64_t Append(Log& log, const Draft& draft) {
  const std::vector<Appended> done = log.Append(std::span(&draft, 1));
  EXPECT_EQ(done[0].error, "");
  return done[0].seq;
}

cbor::Array Carried(const Log& log) {
  uint64_t left = 0;
  cbor::Array page = log.carry().Page({}, 1 << 20, &left);
  EXPECT_EQ(left, 0u);
  return page;
}

std::string Text(const cbor::Array& page) { return cbor::Diagnostic(cbor::Value(page)); }

const Map* Entry(const cbor::Array& page, const cbor::Bytes& id) {
  for (const cbor::Value& item : page) {
    if ((*item.array())[0] == cbor::Value(id)) return (*item.array())[1].map();
  }
  return nullptr;
}

// Enough calls to fill some segments.
void Fill(Log& log, size_t segments, const TestFolder& folder) {
  const size_t before = folder.Names("seg-").size();
  std::vector<Draft> many(200, DenialDraft(9));
  for (Draft& draft : many) {
    draft.body.Set(8u, Map{});  // of nobody's session
    draft.body.Set(9u, Map{});
  }
  for (int i = 0; i < 1000 && folder.Names("seg-").size() < before + segments; ++i)
    log.Append(many);
  EXPECT_GE(folder.Names("seg-").size(), before + segments);
}

LogOptions Small(const TestFolder& folder, Io* io = &SystemIo()) {
  LogOptions options = folder.Options(io);
  options.segment_bytes = 512 << 10;
  return options;
}

TEST(Carry, AStartTakesOverWhatTheRecordsLeft) {
  TestFolder folder(TestFolder::kMemory);
  std::string before;
  {
    auto log = Open(folder.Options());
    Append(*log, OpenedDraft());
    const uint64_t intent = Append(*log, WithBudget(IntentDraft(1), 100, 99));
    Append(*log, WithBudget(OutcomeDraft(1, intent), 99, 90));
    const cbor::Array page = Carried(*log);
    const Map* entry = Entry(page, kSession);
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(*entry->Find("state"), cbor::Value(Map{{0u, 1u}, {1u, 5u}}));
    EXPECT_EQ(*entry->Find("budget"), cbor::Value(Map{{0u, 90u}}));
    EXPECT_EQ(*entry->Find("since"), cbor::Value(Map{{0u, intent}}));
    before = Text(page);
  }
  auto log = Open(folder.Options());
  EXPECT_EQ(Text(Carried(*log)), before);
  const verify::Report report = folder.Verify();
  EXPECT_EQ(report.exit, verify::kOk) << Describe(report);
}

TEST(Carry, TheLastSegmentAloneIsEnough) {
  TestFolder folder(TestFolder::kMemory);
  std::string before;
  {
    auto log = Open(Small(folder));
    Append(*log, OpenedDraft());
    const uint64_t intent = Append(*log, WithBudget(IntentDraft(1), 100, 99));
    Append(*log, WithLabels(WithBudget(IntentDraft(2), 99, 98), Id(7), {cbor::Bytes{1}}));
    Fill(*log, 3, folder);
    // The intent stands segments before: its outcome is still charged to its session.
    Append(*log, WithBudget(OutcomeDraft(1, intent), 98, 50));
    before = Text(Carried(*log));
    EXPECT_EQ(*Entry(Carried(*log), kSession)->Find("budget"), cbor::Value(Map{{0u, 50u}}));
    EXPECT_EQ(*Entry(Carried(*log), Id(7))->Find("labels"),
              cbor::Value(cbor::Array{cbor::Bytes{1}}));
    EXPECT_TRUE(log->Checkpoint());
  }
  EXPECT_EQ(folder.Verify().exit, verify::kOk) << Describe(folder.Verify());
  auto log = Open(Small(folder));
  // What was open was closed by the start; the rest is the same.
  const auto strip = [](std::string text) {
    const size_t at = text.find("\"open\": [");
    return at == text.npos ? text : text.erase(at, text.find(']', at) + 3 - at);
  };
  EXPECT_EQ(Text(Carried(*log)), strip(before));
  EXPECT_EQ(folder.Verify().exit, verify::kOk) << Describe(folder.Verify());
}

// Killed after every byte of the first write of a new segment, as a power cut leaves it: a part of
// what is carried is never taken for all of it.
TEST(Carry, ATornHeadOfASegmentIsNotBelieved) {
  TestFolder before(TestFolder::kMemory), folder(TestFolder::kMemory);
  std::string expected;
  {
    auto log = Open(before.Options());
    for (uint8_t i = 1; i <= 3; ++i) Append(*log, OpenedDraft(Id(i), i));
    Append(*log, DenialDraft(4));
    expected = Text(Carried(*log));
  }
  // A torn tail makes the next start begin a segment.
  std::vector<uint8_t> torn = ReadBytes(before.SegmentPath(0));
  torn.insert(torn.end(), {0x83, 0x1a, 0, 0});
  WriteBytes(before.SegmentPath(0), torn);
  before.CopyTo(folder);
  uint64_t first = 0;
  {
    auto log = Open(folder.Options());
    EXPECT_EQ(Text(Carried(*log)), expected);
  }
  const std::vector<std::string> names = folder.Names("seg-");
  ASSERT_EQ(names.size(), 2u);
  ASSERT_TRUE(ParseSegmentName(names[1], &first));
  const std::vector<uint8_t> head = ReadBytes(folder.SegmentPath(first));
  for (size_t cut = 0; cut < head.size(); cut += 7) {
    SCOPED_TRACE("cut at byte " + std::to_string(cut));
    before.CopyTo(folder);
    WriteBytes(folder.SegmentPath(first), {head.begin(), head.begin() + static_cast<long>(cut)});
    auto log = Open(folder.Options());
    ASSERT_NE(log, nullptr);
    ASSERT_EQ(Text(Carried(*log)), expected);
    Append(*log, DenialDraft(5));
    EXPECT_TRUE(log->Checkpoint());
    log.reset();
    ASSERT_EQ(folder.Verify().exit, verify::kOk) << Describe(folder.Verify());
  }
}

// Every record and its chain made anew, as somebody with the log's folder could, up to the heads.
void Rewrite(const TestFolder& folder, const std::string& name,
             const std::function<bool(Map*)>& change) {
  const std::string path = folder.log_folder() + "/" + name;
  const std::vector<uint8_t> bytes = ReadBytes(path);
  std::vector<uint8_t> out;
  cbor::Bytes head;
  for (size_t at = 0; at < bytes.size();) {
    krux_frame frame;
    ASSERT_EQ(krux_frame_parse(bytes.data() + at, bytes.size() - at, &frame), KRUX_FRAME_OK);
    auto record = cbor::Decode({frame.record, frame.record_size});
    ASSERT_TRUE(record);
    if (!head.empty()) record->map()->Set(2u, head);
    Map body = *record->map()->Find(7u)->map();
    change(&body);
    record->map()->Set(7u, std::move(body));
    const cbor::Bytes encoded = cbor::Encode(*record);
    head = LeafHash(encoded);
    const cbor::Bytes made = MakeFrame(encoded, {frame.openings, frame.openings_size});
    out.insert(out.end(), made.begin(), made.end());
    at += frame.size;
  }
  WriteBytes(path, out);
}

bool HasFault(const verify::Report& report, const std::string& text) {
  return std::ranges::any_of(report.faults, [&](const verify::Fault& fault) {
    return fault.text.find(text) != std::string::npos;
  });
}

TEST(Carry, AForgedOneIsFoundByTheVerifierAndIsNoStart) {
  TestFolder folder(TestFolder::kMemory);
  {
    auto log = Open(Small(folder));
    Append(*log, OpenedDraft());
    Append(*log, IntentDraft(1));
    Fill(*log, 1, folder);
  }
  ASSERT_EQ(folder.Verify().exit, verify::kOk) << Describe(folder.Verify());
  Rewrite(folder, folder.Names("seg-").back(), [](Map* body) {
    if (body->Find(1u) == nullptr || *body->Find(1u) != cbor::Value("carried")) return false;
    Map details = *body->Find(2u)->map();
    details.Set("state", Map{{0u, 0u}, {1u, 5u}});  // clean again
    body->Set(2u, std::move(details));
    return true;
  });
  const verify::Report report = folder.Verify();
  EXPECT_EQ(report.exit, verify::kTampered);
  EXPECT_TRUE(HasFault(report, "it carries something else")) << Describe(report);
  const auto log = Log::Open(Small(folder));
  EXPECT_FALSE(log);
}

TEST(Carry, WhatGoesTheOtherWayIsFoundByTheVerifier) {
  const Map more{{0u, 3u}, {1u, 9u}}, less{{0u, 1u}, {1u, 9u}};
  struct Case {
    std::string name, fault;
    Draft draft;
  };
  Draft falls = DenialDraft(2), rises = WithBudget(DenialDraft(2), 50, 60);
  falls.body.Set(9u, less);
  rises.body.Set(9u, more);
  const Case cases[] = {
      {"exposure", "the exposure of its session falls", falls},
      {"budget", "the budget of its session rises", rises},
      {"calls", "the state of its session falls",
       SessionDraft(kSession, "changed", Map{{"state", Map{{0u, 3u}, {1u, 8u}}}})},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    TestFolder folder(TestFolder::kMemory);
    {
      auto log = Open(folder.Options());
      Append(*log, OpenedDraft());
      Append(*log,
             SessionDraft(kSession, "changed", Map{{"state", more}, {"budget", Map{{0u, 50u}}}}));
      Append(*log, c.draft);
    }
    const verify::Report report = folder.Verify();
    EXPECT_EQ(report.exit, verify::kTampered);
    EXPECT_TRUE(HasFault(report, c.fault)) << Describe(report);
  }
}

// A stranger who names the session in a refused call says nothing about it.
TEST(Carry, ARecordWithoutAStateLeavesTheSessionAlone) {
  TestFolder folder(TestFolder::kMemory);
  auto log = Open(folder.Options());
  Append(*log, OpenedDraft(kSession, 7));
  const std::string before = Text(Carried(*log));
  Draft strangers = DenialDraft(1);
  strangers.body.Set(8u, Map{});
  strangers.body.Set(9u, Map{});
  Append(*log, strangers);
  EXPECT_EQ(Text(Carried(*log)), before);
}

TEST(Carry, AnEndedSessionIsGone) {
  TestFolder folder(TestFolder::kMemory);
  {
    auto log = Open(folder.Options());
    Append(*log, OpenedDraft());
    Append(*log, SessionDraft(kSession, "ended", Map{{"cause", "operator"}}));
    EXPECT_TRUE(Carried(*log).empty());
  }
  EXPECT_TRUE(Carried(*Open(folder.Options())).empty());
}

TEST(Carry, TooManyLabelsBecomeTheOneThatMeansEverything) {
  TestFolder folder(TestFolder::kMemory);
  auto log = Open(folder.Options());
  uint8_t call = 0;
  for (int i = 0; i < 5; ++i) {
    cbor::Array labels;
    for (int j = 0; j < 256; ++j)
      labels.push_back(cbor::Bytes{static_cast<uint8_t>(i), static_cast<uint8_t>(j)});
    Append(*log, WithLabels(IntentDraft(++call), Id(7), std::move(labels)));
    const size_t known = Entry(Carried(*log), Id(7))->Find("labels")->array()->size();
    EXPECT_EQ(known, i < 4 ? 256u * (static_cast<unsigned>(i) + 1) : 1u);
  }
  EXPECT_EQ(*Entry(Carried(*log), Id(7))->Find("labels"), cbor::Value(cbor::Array{cbor::Bytes()}));
  EXPECT_TRUE(log->Checkpoint());
  log.reset();
  EXPECT_EQ(folder.Verify().exit, verify::kOk) << Describe(folder.Verify());
}

TEST(Carry, WhatCannotBeCarriedIsNotWritten) {
  TestFolder folder(TestFolder::kMemory);
  auto log = Open(folder.Options());
  const Draft bad[] = {
      SessionDraft(kSession, "opened", Map{{"state", "none"}}),
      SessionDraft(kSession, "opened",
                   Map{{"state", Map{}}, {"work", std::string(Carry::kMaxOpenedBytes, 'w')}}),
      WithLabels(IntentDraft(1), Id(7), {"text"}),
      WithLabels(IntentDraft(1), Id(7), {cbor::Bytes(49)}),
      WithLabels(IntentDraft(1), cbor::Bytes(3), {cbor::Bytes{1}}),
  };
  for (const Draft& draft : bad) {
    const std::vector<Appended> done = log->Append(std::span(&draft, 1));
    EXPECT_NE(done[0].error, "");
  }
}

// 4096 sessions: the head of a segment holds them all, and one more is refused.
TEST(Carry, ItsBoundHolds) {
  TestFolder folder(TestFolder::kMemory);
  LogOptions options = folder.Options();
  options.segment_bytes = 8 << 20;
  std::string before;
  {
    auto log = Open(options);
    std::vector<Draft> drafts;
    for (unsigned i = 0; i <= Carry::kMaxSessions; ++i) {
      cbor::Bytes id = Id(1);
      id[0] = static_cast<uint8_t>(i >> 8);
      id[1] = static_cast<uint8_t>(i);
      drafts.push_back(OpenedDraft(id, 1));
    }
    const std::span all(drafts);
    for (const Appended& done : log->Append(all.first(Carry::kMaxSessions)))
      EXPECT_EQ(done.error, "");
    EXPECT_NE(log->Append(all.last(1))[0].error, "");
    Fill(*log, 1, folder);
    before = Text(Carried(*log));
  }
  auto log = Open(options);
  EXPECT_EQ(log->carry().size(), Carry::kMaxSessions);
  EXPECT_EQ(Text(Carried(*log)), before);
  EXPECT_EQ(folder.Verify().exit, verify::kOk) << Describe(folder.Verify());
}

}  // namespace
}  // namespace krux::audit
