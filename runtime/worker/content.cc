#include "runtime/worker/content.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace krux::runtime {

Result<Content> Content::Of(const Request& request, const char* argument,
                            const sandbox::WorkerContext& context) {
  const cbor::Value* value = request.args.Find(argument);
  Content content;
  if (value != nullptr && value->bytes() != nullptr) {
    content.inline_ = *value->bytes();
    content.size_ = content.inline_.size();
    return content;
  }
  if (value == nullptr || value->map() == nullptr || context.input_fd < 0)
    return Fail(ExitCode::kInternal, "content", "the content of this call did not come");
  content.fd_ = context.input_fd;
  content.size_ = context.input_bytes;
  return content;
}

Result<std::span<const uint8_t>> Content::Read(uint64_t offset, std::span<uint8_t> buffer) const {
  const uint64_t most = std::min<uint64_t>(size_ - offset, buffer.size());
  if (fd_ < 0) return inline_.subspan(offset, most);
  for (;;) {
    const ssize_t got = pread(fd_, buffer.data(), most, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SysError(ExitCode::kInternal, "read the content", errno);
    // Sealed against shrinking, so the size that was checked is there.
    if (got == 0) return Fail(ExitCode::kInternal, "content", "the content is cut short");
    return std::span<const uint8_t>(buffer.data(), static_cast<size_t>(got));
  }
}

}  // namespace krux::runtime
