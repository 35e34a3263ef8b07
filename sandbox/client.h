// SpawnClient: the only way to ask krux-spawnd for a sandbox. Used by kruxd, by `krux doctor` and
// by the tests. Asynchronous: requests are packets on one Channel, answers come as Events in order
// of completion.
//
//   KRUX_TRY(client.OpenWork(tag, std::move(work_socket)));      // → WorkOpened
//   KRUX_TRY(client.BuildTemplate(tag, template_spec, work_id)); // → TemplateBuilt
//   KRUX_TRY(client.Spawn(spec));                                // → Ready: confined, measured,
//   waiting KRUX_TRY(client.Go(spec.call_id));                           // the barrier: the worker
//   acts …                                                            // → Done
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "base/channel.h"
#include "sandbox/receipt.h"
#include "sandbox/spec.h"

namespace krux::sandbox {

// A WORK directory that mountd checked and identified.
struct WorkOpened {
  uint64_t tag = 0;
  uint64_t work_id =
      0;             // names the directory in BuildTemplate; stable for (uid, device, inode, mount)
  std::string path;  // host path as mountd resolved it
  uid_t uid = 0;     // of the client, from the socketpair it made
  gid_t gid = 0;
  uint64_t device = 0;
  uint64_t inode = 0;
};

struct TemplateBuilt {
  uint64_t tag = 0;
  std::string idmap;  // "swap", "none" or "child" (02-sandbox mount row), recorded in receipts
};

// The worker exists, every layer is on, the receipt equals the Spec; nothing of the call has run.
struct Ready {
  cbor::Bytes call_id;
  Receipt receipt;
  UniqueFd pidfd;
};

// The worker is gone, its cgroup killed. `result` is sealed (SHRINK, GROW, WRITE).
struct Done {
  cbor::Bytes call_id;
  enum class End : uint8_t { kExited, kSignaled, kTimeout, kOom, kCancelled, kSecretLost };
  End end = End::kExited;
  int status = 0;             // of the worker: exit status or signal number
  bool pids_refused = false;  // the cgroup refused a process to it (pids.events)
  uint64_t cpu_us = 0, wall_us = 0, max_rss_kib = 0;
  uint64_t read_bytes = 0, written_bytes = 0;  // ExitReport
  // By how many inodes the file system of a writable WORK grew while the call ran. Others use it
  // too, so this is an upper or lower bound of nothing: a hint.
  std::optional<int64_t> work_files;
  std::string note;  // of kSecretLost: what came in sight, a sentence
  UniqueFd result;   // layout: sandbox/result.h
};

// Something secret stood in WORK and no mask hid it, or nobody can say any more. Every call that
// had begun ends (Done of kSecretLost), every other one fails; the template is gone.
struct MasksLost {
  uint64_t tag = 0;  // of the BuildTemplate
  cbor::Bytes session_id;
  uint64_t calls = 0;  // that had begun
  std::string why;     // a sentence
};

// A request that failed. For Spawn: nothing of the call has run. `layer` is set when a layer could
// not be established or did not measure as specified; error.code is then kSandbox.
//
// A Spawn that failed with `error.stage` kStaleTemplate needs its template built again; then it may
// be repeated.
inline constexpr const char* kStaleTemplate = "masks";
struct Failed {
  uint64_t tag = 0;     // of OpenWork or BuildTemplate
  cbor::Bytes call_id;  // of Spawn
  Error error;
  std::string layer;
  Receipt receipt;  // what had been measured so far
};

using Event = std::variant<WorkOpened, TemplateBuilt, Ready, Done, Failed, MasksLost>;

class SpawnClient {
 public:
  explicit SpawnClient(Channel channel);
  // `work_socket`: one end of the socketpair that the client made and queued its WORK fd in.
  Result<void> OpenWork(uint64_t tag, UniqueFd work_socket);
  Result<void> BuildTemplate(uint64_t tag, const TemplateSpec& spec, uint64_t work_id);
  // Sessions end: the templates of this session and generation ≤ `generation` are dropped.
  Result<void> DropTemplates(const cbor::Bytes& session_id, uint64_t generation);
  // `input`: the sealed memfd of a Spec with has_input, else -1. It is copied, never closed.
  Result<void> Spawn(const Spec& spec, int input = -1);
  Result<void> Go(const cbor::Bytes& call_id);
  Result<void> Cancel(const cbor::Bytes& call_id);

  // Reads one packet; blocking unless the channel was set non-blocking. nullopt when nothing is
  // there; an error of code kUnreachable when spawnd is gone.
  Result<std::optional<Event>> Next();
  int fd() const { return channel_.fd(); }

 private:
  Channel channel_;
};

}  // namespace krux::sandbox
