// The files of a log on disk, opened without following links.
//
//   Folder folder;
//   std::string why = OpenFolder("/var/lib/krux/audit", &folder);   // or its <log-id> folder
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace krux::audit::verify {

struct SegmentFile {
  uint64_t first_seq = 0;
  std::string name;  // "seg-00000000000000000000.klog"
};

struct Folder {
  std::string path;                   // of the folder with the segments
  std::string log_id;                 // its name, where that is 32 hex digits
  std::vector<SegmentFile> segments;  // by first seq
};

// `path` is the folder of one log, or the folder above when exactly one log is in it. Answers why
// it cannot be read, or "".
std::string OpenFolder(const std::string& path, Folder* folder);

// Bytes [offset, end) of a regular file, `end` being its size now or `offset` + `limit`. Answers
// why it cannot be read, or "".
std::string ReadFile(const std::string& path, uint64_t offset, uint64_t limit,
                     std::vector<uint8_t>* bytes);

}  // namespace krux::audit::verify
