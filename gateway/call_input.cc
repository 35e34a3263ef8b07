#include "gateway/call_input.h"

#include <algorithm>
#include <string>

#include "base/digest.h"
#include "base/sealed_memfd.h"

namespace krux::gateway {
namespace {

constexpr uint64_t kChunk = 256 * 1024;

}  // namespace

Result<runtime::Input> ReadInput(UniqueFd& fd) {
  auto memfd = SealedMemfd::Accept(std::move(fd), sandbox::kMaxInputBytes);
  if (!memfd) {
    return Fail(ExitCode::kBadData, "bind",
                "the descriptor of the call: " + memfd.error().message +
                    "; send a memfd sealed SHRINK, GROW and WRITE of at most " +
                    std::to_string(sandbox::kMaxInputBytes >> 20) + " MiB");
  }
  Sha256Stream stream;
  cbor::Bytes chunk(std::min(memfd->size(), kChunk));
  for (uint64_t at = 0; at < memfd->size(); at += chunk.size()) {
    const std::span<uint8_t> part(chunk.data(), std::min(chunk.size(), memfd->size() - at));
    KRUX_TRY(memfd->Read(at, part));
    stream.Update(part);
  }
  runtime::Input input{memfd->size(), stream.Finish()};
  fd = memfd->TakeFd();
  return input;
}

}  // namespace krux::gateway
