#include "gateway/worker_result.h"

#include <algorithm>
#include <utility>

#include "base/digest.h"

namespace krux::gateway {
namespace {

constexpr size_t kMaxMessage = 1024;
constexpr uint64_t kPageBytes = 4096;

// A worker speaks for its own capability, not for policy, log or sandbox.
bool WorkerMayClaim(uint64_t code) {
  for (const ExitCode allowed : {ExitCode::kOk, ExitCode::kFailed, ExitCode::kBadData,
                                 ExitCode::kNotFound, ExitCode::kDenied, ExitCode::kTimeout}) {
    if (static_cast<uint64_t>(ToInt(allowed)) == code) return true;
  }
  return false;
}

Result<void> ReadMeta(const sandbox::ResultHeader& header, WorkerResult& result) {
  cbor::Bytes bytes(header.meta_bytes);
  KRUX_TRY(result.memfd.Read(sandbox::kResultMetaOffset, bytes));
  const cbor::Value value = KRUX_TRY(cbor::Decode(bytes));
  cbor::MapReader reader(value, "result");
  const uint64_t code = reader.Uint("code", 255);
  result.data = reader.Submap("data");
  result.message = reader.Text("message", kMaxMessage);
  result.truncated = reader.Boolean("truncated");
  result.limit = static_cast<sandbox::Limit>(
      reader.Uint("limit", static_cast<uint64_t>(sandbox::Limit::kTmpFiles)));
  KRUX_TRY(reader.Finish());
  if (!WorkerMayClaim(code)) {
    return Fail(ExitCode::kBadData, "result",
                "the worker claims exit code " + std::to_string(code));
  }
  result.code = static_cast<ExitCode>(code);
  result.data_sha256 = Sha256(cbor::Encode(result.data));
  return {};
}

Result<cbor::Bytes> HashData(const SealedMemfd& memfd, uint64_t bytes) {
  Sha256Stream stream;
  cbor::Bytes chunk(std::min<uint64_t>(bytes, 256 * 1024));
  for (uint64_t at = 0; at < bytes; at += chunk.size()) {
    const std::span<uint8_t> part(chunk.data(), std::min<uint64_t>(chunk.size(), bytes - at));
    KRUX_TRY(memfd.Read(sandbox::kResultDataOffset + at, part));
    stream.Update(part);
  }
  return stream.Finish();
}

}  // namespace

void NameLimit(WorkerResult& result, sandbox::Limit limit) {
  if (result.data.map() == nullptr) result.data = cbor::Map();
  result.data.map()->Set("limit", Name(limit));
  result.data_sha256 = Sha256(cbor::Encode(result.data));
}

Result<WorkerResult> ReadWorkerResult(UniqueFd fd, uint64_t max_data) {
  if (!fd.valid()) return Fail(ExitCode::kBadData, "result", "there is no result descriptor");
  WorkerResult result;
  // spawnd made the memfd: data part at its cap, rounded up to a page at most.
  result.memfd = KRUX_TRY(
      SealedMemfd::Accept(std::move(fd), sandbox::kResultDataOffset + max_data + kPageBytes));
  sandbox::ResultHeader header{};
  KRUX_TRY(result.memfd.Read(0, std::span(reinterpret_cast<uint8_t*>(&header), sizeof(header))));
  if (header.magic == 0)
    return Fail(ExitCode::kBadData, "result", "the worker ended without an answer");
  if (header.magic != sandbox::kResultMagic || header.meta_bytes > sandbox::kResultMetaMax ||
      header.data_bytes > max_data || result.memfd.size() < sandbox::kResultDataOffset ||
      header.data_bytes > result.memfd.size() - sandbox::kResultDataOffset) {
    return Fail(ExitCode::kBadData, "result", "the worker's answer has a malformed header");
  }
  if (auto meta = ReadMeta(header, result); !meta) {
    return Fail(ExitCode::kBadData, "result",
                "the worker's answer is malformed: " + meta.error().message);
  }
  result.bytes = header.data_bytes;
  result.bytes_sha256 = KRUX_TRY(HashData(result.memfd, result.bytes));
  return result;
}

}  // namespace krux::gateway
