// Hostile clients around a real gateway: everybody else gets correct answers, no daemon dies, and
// when the hostile ones are gone nothing of them is left. How long answers take is krux_bench's
// matter (`./dev bench load`): here it only has to end.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>

#include "gateway/client/client.h"
#include "tests/hostile/attacks.h"
#include "tests/tools/krux_process.h"

namespace krux::hostile {
namespace {

constexpr const char* kDaemons[] = {"kruxd", "krux-auditd", "krux-spawnd", "krux-mountd"};
constexpr double kFarTooSlow = 100;  // times the calm p99: not a measure, an alarm

bool Soak() {
  const char* soak = std::getenv("KRUX_SOAK");  // NOLINT(concurrency-mt-unsafe)
  return soak != nullptr && *soak == '1';
}

class Hostile : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    gateway_ = std::make_unique<tools::PrivateGateway>();
    for (const char* folder : {"victim", "attacker"}) {
      const std::string path = gateway_->work() + "/" + folder;
      std::filesystem::create_directory(path);
      std::ofstream(path + "/file") << std::string(4096, 'x');
      std::ofstream(path + "/large") << std::string(4 << 20, 'y');
    }
    ASSERT_EQ(gateway_->Start().exit, 0);
    setenv("KRUX_STATE_DIR", gateway_->state().c_str(), 1);
    setenv("KRUX_RUNTIME_DIR", (gateway_->root() + "/run").c_str(), 1);
    field_.paths = gateway::FindGatewayPaths().value();
    field_.victim_work = gateway_->work() + "/victim";
    field_.attacker_work = gateway_->work() + "/attacker";
    field_.seed = 20'260'101;
    field_.frames = Soak() ? 100'000 : 8'000;
    for (const char* daemon : kDaemons) {
      pids_[daemon] = std::string(daemon) == "kruxd" ? gateway_->Kruxd() : gateway_->Daemon(daemon);
    }
    calm_ = Calls();
  }
  static void TearDownTestSuite() { gateway_.reset(); }

  static Measured Calls(const Attack* attack = nullptr) {
    const bool one_of_many = attack != nullptr && attack->share > 1;
    const auto measured = Measure(field_, Soak() ? 600 : one_of_many ? 15 : 50, attack);
    if (!measured) {
      ADD_FAILURE() << measured.error().message;
      return {};
    }
    return *measured;
  }

  static std::map<std::string, Footprint> Footprints() {
    std::map<std::string, Footprint> all;
    for (const auto& [name, pid] : pids_) all[name] = FootprintOf(pid);
    return all;
  }

  // As many descriptors as before, within a time in which what was cut off ends.
  static bool SettledTo(const std::map<std::string, Footprint>& before) {
    for (int waited = 0; waited < 20'000; waited += 50) {
      bool same = true;
      for (const auto& [name, now] : Footprints()) same &= now.fds <= before.at(name).fds;
      if (same) return true;
      poll(nullptr, 0, 50);
    }
    return false;
  }

  static void Withstands(const char* name) {
    const Attack* attack = FindAttack(name);
    ASSERT_NE(attack, nullptr);
    Calls(attack);  // what a first attack makes the daemons allocate stays theirs
    ASSERT_TRUE(SettledTo(Footprints()));
    const auto before = Footprints();
    const Measured under = Calls(attack);
    EXPECT_EQ(under.wrong, 0u) << "seed " << field_.seed;
    EXPECT_GT(under.attacks_done, 0u);
    EXPECT_TRUE(SettledTo(before)) << "descriptors of the attack are left";
    const auto after = Footprints();
    for (const auto& [daemon, pid] : pids_) {
      EXPECT_LE(after.at(daemon).fds, before.at(daemon).fds) << daemon;
      EXPECT_LE(after.at(daemon).rss_kib, before.at(daemon).rss_kib * 5 / 4 + 2048) << daemon;
      EXPECT_GT(after.at(daemon).rss_kib, 0u) << daemon << " is gone";
    }
    const double ratio = under.At(0.99) / calm_.At(0.99);
    EXPECT_LT(ratio, kFarTooSlow * attack->share);
    std::printf(
        "%-9s %7lu done, the victim's p50 %6.0f us, p99 %6.0f us: %5.1f times calm; "
        "kruxd %lu -> %lu KiB\n",
        name, static_cast<unsigned long>(under.attacks_done), under.At(0.5), under.At(0.99), ratio,
        static_cast<unsigned long>(before.at("kruxd").rss_kib),
        static_cast<unsigned long>(after.at("kruxd").rss_kib));
  }

  static std::unique_ptr<tools::PrivateGateway> gateway_;
  static Field field_;
  static Measured calm_;
  static std::map<std::string, pid_t> pids_;
};
std::unique_ptr<tools::PrivateGateway> Hostile::gateway_;
Field Hostile::field_;
Measured Hostile::calm_;
std::map<std::string, pid_t> Hostile::pids_;

TEST_F(Hostile, AThousandIdleConnections) { Withstands("idle"); }
TEST_F(Hostile, RandomAndMutatedFrames) { Withstands("frames"); }
TEST_F(Hostile, ClientsGoneInTheMiddleOfACall) { Withstands("hangups"); }
TEST_F(Hostile, ClientsThatNeverRead) { Withstands("slow"); }
TEST_F(Hostile, OpenersWithoutAFolder) { Withstands("openers"); }
TEST_F(Hostile, ClientsThatAreRefused) { Withstands("refusals"); }
TEST_F(Hostile, SixtyFourClientsOfAnotherSession) { Withstands("clients"); }
TEST_F(Hostile, SixtyFourClientsOfTheSameSession) { Withstands("equals"); }

TEST_F(Hostile, TheLogHoldsAfterIt) {
  Withstands("hangups");
  const tools::Ran stopped = gateway_->Krux({"gateway", "stop"});
  EXPECT_EQ(stopped.exit, 0) << stopped.err;
  const tools::Ran verified = gateway_->Krux({"audit", "verify"});
  EXPECT_EQ(verified.exit, 0) << verified.out << verified.err;
}

}  // namespace
}  // namespace krux::hostile
