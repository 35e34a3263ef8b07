// The file capabilities inside the sandbox: fs.read, fs.list, fs.stat.
//
//   Answer answer = FsRead(request, std::span(data_part, capacity));
#pragma once

#include <cstdint>
#include <span>

#include "runtime/request.h"
#include "runtime/worker/answer.h"

namespace krux::runtime {

// Content of a regular file from `offset`, at most `limit` bytes and what `out` holds.
// Data: {"path", "size", "offset", "bytes", "eof"}.
Answer FsRead(const Request& request, std::span<uint8_t> out);

// Names in a directory in bytewise order, one page. Data: {"path", "entries": [{"name", "type",
// "bytes"?}], "offset", "total", "hidden", "next_offset"?}. A name that is not UTF-8 is shown
// escaped, its bytes stand in "bytes". Names outside the read scope and secret ones are counted in
// "hidden" and not shown.
Answer FsList(const Request& request);

// Data: {"path", "type", "size", "mode", "nlink", "mtime", "mtime_nsec"}; `mtime` in seconds.
Answer FsStat(const Request& request);

}  // namespace krux::runtime
