// Spec: the complete description of one sandbox. Nothing about a worker is decided anywhere else.
// kruxd writes it, its digest stands in the intent record, spawnd obeys it, the receipt is compared
// with it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/cbor_value.h"
#include "base/error.h"

namespace krux::sandbox {

// The layers a policy can require. X(enumerator, bit, name in policy files, receipts and
// --allow-degraded)
#define KRUX_LAYERS(X)               \
  X(kUser, 0, "user")                \
  X(kMount, 1, "mount")              \
  X(kPid, 2, "pid")                  \
  X(kNet, 3, "net")                  \
  X(kUts, 4, "uts")                  \
  X(kIpc, 5, "ipc")                  \
  X(kCgroupNs, 6, "cgroupns")        \
  X(kCgroup, 7, "cgroup")            \
  X(kSeccomp, 8, "seccomp")          \
  X(kLandlock, 9, "landlock")        \
  X(kNftables, 10, "nftables")       \
  X(kCaps, 11, "caps")               \
  X(kNoNewPrivs, 12, "no_new_privs") \
  X(kFds, 13, "fds")                 \
  X(kRlimits, 14, "rlimits")

enum class Layer : uint8_t {
#define X(enumerator, bit, name) enumerator = bit,
  KRUX_LAYERS(X)
#undef X
};
using LayerMask = uint32_t;
constexpr LayerMask Bit(Layer layer) { return 1u << static_cast<unsigned>(layer); }
inline constexpr LayerMask kAllLayers = (1u << 15) - 1;
const char* Name(Layer layer);
// Layer called `name`, or an error of code kConfig that lists the names.
Result<Layer> LayerFromName(std::string_view name);

// What runs inside decides the seccomp filter and the template.
enum class WorkClass : uint8_t {
  kFs = 0,     // built-in file capabilities that read: no exec, no socket(2) at all
  kExec = 1,   // programs: own /proc, /dev, /tmp, the program trees
  kWrite = 2,  // built-in file capabilities that write; otherwise as kFs
};
inline constexpr size_t kWorkClasses = 3;

// What may come with a call as one sealed memfd, e.g. the content of a file.
inline constexpr uint64_t kMaxInputBytes = 16ull << 20;

// A tree of the session's template that this call may use; `path` is the path inside, which equals
// the path on the host. Paths are absolute and canonical.
struct PathRule {
  std::string path;
  bool read = false;
  bool write = false;
  bool exec = false;
};

struct Limits {
  uint64_t memory_bytes = 512ull << 20;  // memory.max, and RLIMIT_AS where the cgroup is degraded
  uint64_t pids = 64;                    // pids.max, and RLIMIT_NPROC where degraded
  uint64_t cpu_quota_us = 100'000;       // cpu.max quota per 100 ms period; 100'000 = one core
  uint64_t io_bytes = 256ull << 20;      // io.max, per second and direction, of WORK's disk
  uint64_t cpu_seconds = 120;            // RLIMIT_CPU
  uint64_t file_bytes = 1ull << 30;      // RLIMIT_FSIZE
  uint64_t open_files = 256;             // RLIMIT_NOFILE
  uint64_t wall_ms = 30'000;             // from Go to the kill
  uint64_t result_bytes = 16ull << 20;   // data part of the result memfd
};

struct Spec {
  cbor::Bytes call_id;      // 16 bytes
  cbor::Bytes session_id;   // 16 bytes
  uint64_t generation = 0;  // policy generation of the template
  WorkClass work_class = WorkClass::kFs;
  std::vector<PathRule> landlock;  // per call: at most what the template holds
  Limits limits;
  LayerMask required = kAllLayers;  // these must be measured to hold
  LayerMask degraded = 0;           // operator's choice: these may be missing
  cbor::Bytes request;              // handed to the worker unread: runtime/worker/request.h
  bool has_input = false;           // a sealed memfd comes with Spawn
  uint64_t input_bytes = 0;         // its size, at most kMaxInputBytes
};

cbor::Value ToValue(const Spec& spec);
Result<Spec> SpecFromValue(const cbor::Value& value);

inline constexpr size_t kMaxSecretsBytes = 40 * 1024;  // leaves room for the rest of one packet

// A session's template, built once: the mount tree that every call of the session starts from.
struct TemplateSpec {
  cbor::Bytes session_id;  // 16 bytes
  uint64_t generation = 0;
  WorkClass work_class = WorkClass::kFs;
  bool work_writable = false;
  bool work_exec = false;
  // Read-only program trees and files from mountd's root-owned list (exec class only), e.g. "/usr".
  std::vector<std::string> program_trees;
  // What in WORK programs must not see: handed to the watch unread (sandbox/watch.h). Empty:
  // nothing, and nothing is watched.
  cbor::Bytes secrets;
  uint64_t tmp_bytes = 64ull << 20;  // size of the exec template's /tmp
  uint64_t tmp_inodes = 16'384;
};

cbor::Value ToValue(const TemplateSpec& spec);
Result<TemplateSpec> TemplateSpecFromValue(const cbor::Value& value);

}  // namespace krux::sandbox
