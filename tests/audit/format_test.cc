// The format as others read it: a segment is a CBOR sequence for libcbor, a checkpoint verifies
// with openssl(1), a checksum is the CRC-32C of the standards.
#include <cbor.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <memory>
#include <random>

#include "audit/crc32c.h"
#include "audit/frame.h"
#include "audit/verify/crypto.h"
#include "audit/verify/frame.h"
#include "base/cbor.h"
#include "tests/audit/log_fixture.h"

namespace krux::audit {
namespace {

struct Unref {
  void operator()(cbor_item_t* item) const { cbor_decref(&item); }
};
using Item = std::unique_ptr<cbor_item_t, Unref>;

Item Load(const uint8_t* bytes, size_t size, size_t* used) {
  cbor_load_result result;
  Item item(cbor_load(bytes, size, &result));
  EXPECT_EQ(result.error.code, CBOR_ERR_NONE);
  *used = result.read;
  return item;
}

void MakeLog(const TestFolder& folder) {
  auto log = Log::Open(folder.Options());
  ASSERT_TRUE(log) << log.error().message;
  Draft draft = IntentDraft(1);
  (*log)->Append({&draft, 1});
  draft = OutcomeDraft(1, 1);
  ASSERT_EQ((*log)->Append({&draft, 1})[0].error, "");
  ASSERT_TRUE((*log)->Checkpoint());
}

TEST(Format, LibcborReadsASegmentAsASequence) {
  TestFolder folder;
  MakeLog(folder);
  const std::vector<uint8_t> bytes = ReadBytes(folder.SegmentPath(0));
  uint64_t seq = 0;
  for (size_t at = 0, used = 0; at < bytes.size(); at += used, ++seq) {
    const Item frame = Load(bytes.data() + at, bytes.size() - at, &used);
    ASSERT_TRUE(frame && cbor_isa_array(frame.get()) && cbor_array_size(frame.get()) == 3);
    cbor_item_t** parts = cbor_array_handle(frame.get());
    ASSERT_TRUE(cbor_isa_uint(parts[0]) && cbor_isa_bytestring(parts[1]));
    size_t record_used = 0;
    const Item record =
        Load(cbor_bytestring_handle(parts[1]), cbor_bytestring_length(parts[1]), &record_used);
    ASSERT_EQ(record_used, cbor_bytestring_length(parts[1]));
    ASSERT_TRUE(cbor_isa_map(record.get()));
    const cbor_pair* pairs = cbor_map_handle(record.get());
    ASSERT_EQ(cbor_map_size(record.get()), 8u);
    for (size_t key = 0; key < 8; ++key) EXPECT_EQ(cbor_get_int(pairs[key].key), key);
    EXPECT_EQ(cbor_get_int(pairs[0].value), 1u);
    EXPECT_EQ(cbor_get_int(pairs[1].value), seq);
    EXPECT_EQ(cbor_get_int(pairs[6].value), seq);  // segment, intent, outcome
    EXPECT_TRUE(cbor_isa_map(pairs[7].value));
    EXPECT_EQ(cbor_isa_bytestring(parts[2]), seq > 0) << "only calls have something to open";
  }
  EXPECT_EQ(seq, 3u);
}

TEST(Format, OpensslVerifiesACheckpoint) {
  if (std::system("command -v openssl >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "openssl(1) is not installed";
  TestFolder folder;
  MakeLog(folder);
  const std::vector<uint8_t> entry = ReadBytes(folder.log_folder() + "/checkpoints");
  ASSERT_EQ(entry.size() % 128, 0u);
  const std::string context("krux-checkpoint-v1\0", 19);
  std::vector<uint8_t> message;
  message.reserve(128);
  message.insert(message.end(), context.begin(), context.end());
  message.insert(message.end(), entry.end() - 128, entry.end() - 66);
  WriteBytes(folder.path() + "/message", message);
  WriteBytes(folder.path() + "/signature", {entry.end() - 64, entry.end()});
  const auto verify = [&] {
    return std::system(("openssl pkeyutl -verify -pubin -inkey " + folder.public_key() +
                        " -rawin -in " + folder.path() + "/message -sigfile " + folder.path() +
                        "/signature >/dev/null 2>&1")
                           .c_str());
  };
  EXPECT_EQ(verify(), 0);
  message.back() ^= 1;
  WriteBytes(folder.path() + "/message", message);
  EXPECT_NE(verify(), 0);
}

// RFC 3720 appendix B.4.
TEST(Format, BothChecksumsAreCrc32c) {
  std::vector<uint8_t> ascending(32);
  for (uint8_t i = 0; i < 32; ++i) ascending[i] = i;
  const std::string digits = "123456789";
  const std::vector<std::pair<std::vector<uint8_t>, uint32_t>> vectors = {
      {std::vector<uint8_t>(32, 0x00), 0x8a9136aa},
      {std::vector<uint8_t>(32, 0xff), 0x62a8ab43},
      {ascending, 0x46dd794e},
      {{digits.begin(), digits.end()}, 0xe3069283},
      {{}, 0}};
  for (const auto& [bytes, expected] : vectors) {
    EXPECT_EQ(krux_crc32c(0, bytes.data(), bytes.size()), expected);
    EXPECT_EQ(verify::Crc32c(bytes, {}), expected);
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
      const uint32_t first = krux_crc32c(0, bytes.data(), cut);
      EXPECT_EQ(krux_crc32c(first, bytes.data() + cut, bytes.size() - cut), expected);
      EXPECT_EQ(verify::Crc32c(std::span(bytes).first(cut), std::span(bytes).subspan(cut)),
                expected);
    }
  }
}

// Writer and verifier were written apart; on every damaged frame they must agree.
TEST(Format, BothFrameReadersAgree) {
  TestFolder folder;
  MakeLog(folder);
  const std::vector<uint8_t> good = ReadBytes(folder.SegmentPath(0));
  const auto agree = [](const std::vector<uint8_t>& bytes) {
    krux_frame frame;
    const bool ours = krux_frame_parse(bytes.data(), bytes.size(), &frame) == KRUX_FRAME_OK;
    const verify::Frame theirs = verify::ParseFrame(bytes);
    return ours == (theirs.state == verify::Frame::kGood) && (!ours || frame.size == theirs.size);
  };
  for (size_t at = 0; at < good.size(); ++at) {
    std::vector<uint8_t> bytes = good;
    bytes[at] ^= static_cast<uint8_t>(1 << (at % 8));
    ASSERT_TRUE(agree(bytes)) << at;
    ASSERT_TRUE(agree({good.begin() + static_cast<long>(at), good.end()})) << at;
  }
}

// The two CBOR judges were written apart as well.
TEST(Format, BothCborJudgesAgree) {
  std::mt19937 random(5);
  const std::vector<cbor::Bytes> seeds = {
      cbor::Encode(IntentDraft(1).body), cbor::Encode(OutcomeDraft(1, 1).body),
      cbor::Encode(IntentDraft(1).openings),
      cbor::Encode(
          cbor::Array{-1, "\u00e9\u6c34", nullptr, true, cbor::Map{{1u, cbor::Bytes(30)}}})};
  for (int i = 0; i < 100'000; ++i) {
    cbor::Bytes bytes = seeds[random() % seeds.size()];
    for (auto n = 1 + random() % 3; n > 0; --n)
      bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
    const bool ours =
        krux_cbor_validate(bytes.data(), bytes.size(), verify::kMaxDepth) == KRUX_CBOR_OK;
    ASSERT_EQ(ours, verify::StrictFault(bytes) == nullptr) << verify::Hex(bytes);
  }
  for (uint32_t n = 0; n < 1u << 24; n += 3) {
    const uint8_t bytes[] = {static_cast<uint8_t>(n), static_cast<uint8_t>(n >> 8),
                             static_cast<uint8_t>(n >> 16)};
    ASSERT_EQ(krux_cbor_validate(bytes, 3, 16) == KRUX_CBOR_OK,
              verify::StrictFault(bytes) == nullptr)
        << n;
  }
}

// Writer and verifier each know how many endings there are, and what usage may be null.
TEST(Format, EveryEndingAndEveryUsage) {
  TestFolder folder;
  auto log = Log::Open(folder.Options());
  ASSERT_TRUE(log) << log.error().message;
  uint8_t call = 0;
  const auto append = [&](const Outcome& filled) {
    Draft intent = IntentDraft(++call);
    const auto began = (*log)->Append({&intent, 1});
    Outcome outcome = filled;
    outcome.call_id = *intent.body.Find(0u)->bytes();
    outcome.intent_seq = began[0].seq;
    Draft draft = ToDraft(outcome);
    EXPECT_EQ((*log)->Append({&draft, 1})[0].error, "");
  };
  for (int status = 0; status <= static_cast<int>(Status::kOutput); ++status) {
    Outcome outcome;
    outcome.status = static_cast<Status>(status);
    EXPECT_EQ(std::string(Name(outcome.status)) == "unknown", outcome.status == Status::kUnknown);
    append(outcome);
  }
  Outcome outcome;
  outcome.read_bytes = 4096;
  outcome.written_bytes = uint64_t{1} << 40;
  for (const int64_t files : {int64_t{0}, int64_t{-1}, int64_t{1'000'000}, INT64_MIN, INT64_MAX}) {
    outcome.files = files;
    append(outcome);
  }
  ASSERT_TRUE((*log)->Checkpoint());
  EXPECT_EQ(folder.Verify().exit, 0) << Describe(folder.Verify());
}

TEST(Format, KruxVerifySaysItInItsExitCode) {
  TestFolder folder;
  MakeLog(folder);
  const std::string program = std::string(KRUX_VERIFY) + " ";
  const auto run = [](const std::string& command) {
    const int status = std::system((command + " >/dev/null 2>&1").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  EXPECT_EQ(run(program + folder.log_dir()), 0) << "the key beside the log folder is the default";
  EXPECT_EQ(run(program + "--json --key " + folder.public_key() + " " + folder.log_folder()), 0);
  EXPECT_EQ(run(program + "--key /nonexistent " + folder.log_dir()), 3);
  EXPECT_EQ(run(program), 64);
  std::vector<uint8_t> bytes = ReadBytes(folder.SegmentPath(0));
  bytes.push_back(0x83);
  WriteBytes(folder.SegmentPath(0), bytes);
  EXPECT_EQ(run(program + folder.log_dir()), 2);
  bytes[99] ^= 1;
  WriteBytes(folder.SegmentPath(0), bytes);
  EXPECT_EQ(run(program + folder.log_dir()), 1);
}

}  // namespace
}  // namespace krux::audit
