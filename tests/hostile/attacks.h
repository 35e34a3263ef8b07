// Attacks on a running gateway by clients of its own user, each a process of its own, and what they
// cost somebody else: a victim who reads one small file after the other.
//
//   Field field{paths, victim_work, attacker_work, seed};
//   Measured calm = KRUX_TRY(Measure(field, 300, nullptr));
//   Measured under = KRUX_TRY(Measure(field, 300, FindAttack("frames")));
//   under.p99_us / calm.p99_us
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "gateway/client/paths.h"

namespace krux::hostile {

struct Field {
  gateway::GatewayPaths paths;
  std::string victim_work;    // holds `file`
  std::string attacker_work;  // another session: holds `file` and `large`
  uint64_t seed = 1;
  uint64_t frames = 10'000;  // for the attack that counts them
};

// What an attack has done, shared with the process that does it.
struct Tally {
  std::atomic<uint64_t> done;      // connections held, frames answered, calls answered, …
  std::atomic<uint64_t> wrong;     // answers that nobody may get
  std::atomic<uint64_t> finished;  // 1: it has nothing more to do
};

struct Attack {
  const char* name;
  const char* what;
  // How many times a fair share is smaller than the whole where the victim is one of many equals.
  double share;
  void (*run)(const Field& field, Tally& tally);  // in a process of its own; may never return
};
std::span<const Attack> Attacks();
const Attack* FindAttack(std::string_view name);

struct Measured {
  std::vector<double> sorted_us;
  uint64_t wrong = 0;         // of the victim's answers and of the attack's
  uint64_t attacks_done = 0;  // Tally::done
  double At(double p) const;
};

// `n` calls of the victim, alone or under `attack`, which has ended when this returns. Where the
// attack counts, it is given the time to finish.
Result<Measured> Measure(const Field& field, size_t n, const Attack* attack);

// VmRSS in KiB and the number of open descriptors of a process; zeros where /proc does not say.
struct Footprint {
  uint64_t rss_kib = 0;
  uint64_t fds = 0;
};
Footprint FootprintOf(pid_t pid);

}  // namespace krux::hostile
