#include "bench/load.h"

#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "tests/hostile/attacks.h"

namespace krux::bench {
namespace {

constexpr uint64_t kFrames = 100'000;
constexpr int kSettleMs = 2'000;  // what an attack that was cut off still has in flight

void MakeWork(const std::string& path) {
  std::filesystem::create_directory(path);
  std::ofstream(path + "/file") << std::string(4096, 'x');
  std::ofstream(path + "/large") << std::string(4 << 20, 'y');
}

hostile::Measured Joined(hostile::Measured a, const hostile::Measured& b) {
  a.sorted_us.insert(a.sorted_us.end(), b.sorted_us.begin(), b.sorted_us.end());
  std::ranges::sort(a.sorted_us);
  a.wrong += b.wrong;
  return a;
}

}  // namespace

Result<void> MeasureLoad(const gateway::GatewayPaths& paths, const std::string& scratch,
                         size_t calls) {
  hostile::Field field{paths, scratch + "/victim", scratch + "/attacker", std::random_device{}(),
                       kFrames};
  MakeWork(field.victim_work);
  MakeWork(field.attacker_work);
  KRUX_TRY(hostile::Measure(field, 20, nullptr));
  fmt::print("{} calls of the victim a row, seed {}; calm: as many, half before, half after\n",
             calls, field.seed);
  fmt::print("{:<64}{:>9}{:>9}{:>9}{:>9}{:>8}{:>8}{:>8}\n", "", "calm p50", "p99", "p50", "p99",
             "share", "ratio", "wrong");
  for (const hostile::Attack& attack : hostile::Attacks()) {
    const hostile::Measured before = KRUX_TRY(hostile::Measure(field, calls / 2, nullptr));
    const hostile::Measured under = KRUX_TRY(hostile::Measure(field, calls, &attack));
    poll(nullptr, 0, kSettleMs);
    const hostile::Measured calm =
        Joined(before, KRUX_TRY(hostile::Measure(field, calls / 2, nullptr)));
    fmt::print("{:<64}{:>9.0f}{:>9.0f}{:>9.0f}{:>9.0f}{:>8.0f}{:>8.2f}{:>8}\n", attack.what,
               calm.At(0.5), calm.At(0.99), under.At(0.5), under.At(0.99), attack.share,
               under.At(0.99) / calm.At(0.99) / attack.share, under.wrong + calm.wrong);
  }
  fmt::print("µs; the ratio is p99 under the attack to calm p99, divided by the share\n");
  return {};
}

}  // namespace krux::bench
