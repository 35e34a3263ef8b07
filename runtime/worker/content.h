// Content: the bulk argument of a call, wherever it came from: in the request, where it is small,
// or in the sealed memfd that came with the call.
//
//   Content content = KRUX_TRY(Content::Of(request, "content", context));
//   for (uint64_t at = 0; at < content.size(); at += got.size())
//     std::span<const uint8_t> got = KRUX_TRY(content.Read(at, buffer));
#pragma once

#include <cstdint>
#include <span>

#include "base/error.h"
#include "runtime/request.h"
#include "sandbox/worker_entry.h"

namespace krux::runtime {

class Content {
 public:
  // kInternal when the request names content that did not come. Borrows from both.
  static Result<Content> Of(const Request& request, const char* argument,
                            const sandbox::WorkerContext& context);

  uint64_t size() const { return size_; }
  // Bytes at `offset`, at most buffer.size() of them and at least one below size(). They lie in
  // `buffer` or in the request.
  Result<std::span<const uint8_t>> Read(uint64_t offset, std::span<uint8_t> buffer) const;

 private:
  std::span<const uint8_t> inline_;
  int fd_ = -1;  // -1: inline
  uint64_t size_ = 0;
};

}  // namespace krux::runtime
