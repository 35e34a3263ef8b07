// The watch over a session's secrets: one confined process beside the mount template of a session
// that runs programs. It finds what is secret in WORK so that the builder hides it under masks, and
// from then on says so when something secret stands there that no mask hides. The sandbox knows no
// patterns: what is secret the entry knows (runtime/worker/secret_watch.h).
//
//   int WatchSecrets(const WatchContext& context);   // serves kFind, kArm and kPing until the end
//
// The process holds two descriptors, may open directories of WORK and nothing else, and all that it
// can do is to report.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/cbor_value.h"
#include "base/error.h"

namespace krux::sandbox {

inline constexpr size_t kMaxMasks = 64;  // of one template; more and no program runs
inline constexpr int kWatchChannelFd = 0;
inline constexpr int kWatchInotifyFd = 1;  // made by the builder: charged to krux-spawnd's uid

struct WatchContext {
  std::span<const uint8_t> secrets;  // TemplateSpec::secrets
  const char* work;                  // WORK's path, inside as on the host
  uint32_t own_uid;                  // how the worker's own files show
};
using WatchEntry = int (*)(const WatchContext& context);

// What the watch is told; native byte order, both ends are one program.
struct WatchCommand {
  enum Kind : uint32_t {
    kFind = 1,  // say what is secret and not masked: all of it, later what has come since
    kArm = 2,   // from now on what is found is a loss
    kPing = 3,  // say kPong `number` once all that happened until now was looked at
  };
  Kind kind = kFind;
  uint32_t unused = 0;
  uint64_t number = 0;
  // By these a mask is known: of the file and the directory that lie over what is secret.
  uint64_t mask_device = 0, mask_file = 0, mask_directory = 0;
};

// What it says.
struct WatchFound {  // one path to hide
  cbor::Bytes path;  // in WORK, without a slash at its start
  uint64_t device = 0, inode = 0;
  bool directory = false;
};
struct WatchEnd {};    // of the paths to one kFind
struct WatchRefused {  // instead: no program may run
  ExitCode code = ExitCode::kSandbox;
  std::string message;
};
struct WatchPong {
  uint64_t number = 0;
};
struct WatchLost {      // the last thing that it says
  std::string message;  // a sentence for people
};
using WatchReport = std::variant<WatchFound, WatchEnd, WatchRefused, WatchPong, WatchLost>;

cbor::Bytes EncodeReport(const WatchReport& report);
Result<WatchReport> DecodeReport(std::span<const uint8_t> bytes);

// The names of `path`, in order; kBadData where one of them is empty, `.` or `..`.
Result<std::vector<std::string>> NamesOf(std::string_view path);

}  // namespace krux::sandbox
