// A private krux-mountd and krux-spawnd for one test: as root with ids and a cgroup of their own,
// or rootless as an unprivileged uid.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/pidfd.h"
#include "sandbox/client.h"

namespace krux::sandbox {

struct HarnessOptions {
  bool rootless = false;
  bool hooks = false;                     // the builds that honour --test-…
  std::vector<std::string> spawnd_flags;  // e.g. {"--test-skip", "landlock"}
  std::vector<std::string> mountd_flags;  // e.g. {"--test-without", "nosuid"}
  std::vector<std::string> protected_dirs;
  int spawnd_stdout = -1;       // where krux-spawnd's test build reports what it was told to try
  uint32_t client_uid = 64110;  // root mode; rootless is always the one unprivileged uid
};

class SpawndHarness {
 public:
  static constexpr uint32_t kSpawnId = 64101;
  static constexpr uint32_t kWorkerId = 64102;
  static constexpr uint32_t kRootlessId = 64103;
  static constexpr uint32_t kClientId =
      64110;  // who calls in root mode, unless options say otherwise

  static Result<std::unique_ptr<SpawndHarness>> Start(const HarnessOptions& options);
  ~SpawndHarness();

  SpawnClient& client() { return *client_; }
  // The next event; an error after `deadline_ms`.
  Result<Event> Wait(int deadline_ms = 20'000);
  // Opens `dir` the way a client of uid `client_uid()` does and waits for WorkOpened.
  Result<WorkOpened> OpenWork(const std::string& dir);
  // Opens WORK, builds the template and answers a Spec of that session, ready to be changed and
  // spawned.
  Result<Spec> Prepare(const std::string& dir, WorkClass work_class, bool writable,
                       cbor::Bytes secrets = {});
  // Spawn, and for a Ready also Go, and waits for the end.
  Result<Event> RunToEnd(const Spec& spec, Receipt* receipt = nullptr, int deadline_ms = 20'000);
  // Only this host's lack, nothing else, is let be missing.
  LayerMask Degraded() const { return degraded_; }
  pid_t mountd_pid() const { return mountd_pid_; }
  pid_t spawnd_pid() const { return spawnd_pid_; }

 private:
  SpawndHarness() = default;
  std::unique_ptr<SpawnClient> client_;
  Pidfd mountd_, spawnd_;
  pid_t mountd_pid_ = -1, spawnd_pid_ = -1;
  UniqueFd lifeline_;
  std::string cgroup_;
  LayerMask degraded_ = 0;
  uint64_t tag_ = 0;
  uint32_t client_uid_ = 0;
};

// A fresh 16-byte id.
cbor::Bytes FreshId();
// A directory below /var/tmp that goes with its object; owned by `uid`.
class ScratchDir {
 public:
  explicit ScratchDir(uint32_t uid = 0);
  ~ScratchDir();
  const std::string& path() const { return path_; }
  void Write(const std::string& name, const std::string& text, unsigned mode = 0644) const;

 private:
  std::string path_;
  uint32_t uid_;
};

// Data part of a Done's result; empty when the header is not the worker's.
std::string ResultData(const Done& done);
// Meta part of a Done's result.
cbor::Value ResultMeta(const Done& done);

}  // namespace krux::sandbox
