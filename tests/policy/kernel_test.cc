// What holds of the policy kernel beside its decisions, which the model judges (verification/): it
// stands alone, its tables stand in the documents, its encoding misses no field, and nothing wraps
// at 2^64.
#include "policy/kernel/kernel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace krux::policy {
namespace {

constexpr const char* kKernelFiles[] = {"decide.c", "encode.c", "policy.c", "step.c", "kernel.h"};

std::string Kernel(const std::string& file) { return KRUX_SOURCE_DIR "/policy/kernel/" + file; }

std::string OutputOf(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, n);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return output;
}

std::string Text(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// No library, no variable: what is not its argument cannot sway a decision.
TEST(KernelTest, StandsAlone) {
  for (const char* file : {"decide.c", "encode.c", "policy.c", "step.c"}) {
    const std::string object = testing::TempDir() + "krux_kernel_" + file + ".o";
    OutputOf(KRUX_C_COMPILER
             " -std=c11 -ffreestanding -O2 -Werror -Wall -Wextra -Wconversion "
             "-I" KRUX_SOURCE_DIR " -c " +
             Kernel(file) + " -o " + object);
    std::istringstream symbols(OutputOf("nm " + object));
    std::string line;
    while (std::getline(symbols, line)) {
      std::istringstream words(line.substr(line.find_first_not_of(" 0123456789abcdef")));
      std::string type, name;
      words >> type >> name;
      EXPECT_TRUE(type != "U" || name.starts_with("krux_")) << file << " needs " << name;
      EXPECT_EQ(std::string("BbDdCcSsGg").find(type), std::string::npos)
          << file << " keeps " << name;
    }
    std::remove(object.c_str());
  }
}

TEST(KernelTest, IsSmallEnoughToRead) {
  size_t lines = 0;
  for (const char* file : kKernelFiles) {
    const std::string text = Text(Kernel(file));
    ASSERT_FALSE(text.empty()) << file;
    lines += static_cast<size_t>(std::ranges::count(text, '\n'));
  }
  EXPECT_LT(lines, 600u);
}

TEST(KernelTest, ItsTablesStandInTheDocuments) {
  const std::string page = Text(KRUX_SOURCE_DIR "/docs/POLICY.md");
  const std::string begin = "<!-- tables of the kernel: krux_policy_tables md -->\n",
                    end = "<!-- end of the tables -->";
  const size_t from = page.find(begin), to = page.find(end);
  ASSERT_TRUE(from != std::string::npos && to != std::string::npos);
  const std::string shown = page.substr(from + begin.size(), to - from - begin.size());
  EXPECT_EQ(shown, OutputOf(KRUX_POLICY_TABLES " md"));
}

std::vector<uint8_t> Encoded(const krux_state& state) {
  std::vector<uint8_t> bytes(KRUX_STATE_BYTES);
  krux_encode_state(&state, bytes.data());
  return bytes;
}

// Every byte of a state that holds a field: changing it changes the encoding, each in its own way.
TEST(KernelTest, TheEncodingCoversEveryField) {
  std::set<std::vector<uint8_t>> seen = {Encoded(krux_state{})};
  size_t changes = 1;
  const auto change = [&](auto set) {
    krux_state state = {};
    set(state);
    seen.insert(Encoded(state));
    ++changes;
  };
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t value = UINT64_C(1) << bit;
    if (bit < 8) {
      const auto byte = static_cast<uint8_t>(value);
      change([&](krux_state& s) { s.policy.trifecta = byte; });
      change([&](krux_state& s) { s.policy.trusted_action = byte; });
      change([&](krux_state& s) { s.policy.depth = byte; });
      change([&](krux_state& s) { s.exposure = byte; });
      for (int t = 0; t < KRUX_TICKETS; ++t)
        change([&](krux_state& s) { s.tickets[t].kind = byte; });
    }
    if (bit < 16)
      change([&](krux_state& s) { s.policy.obligations = static_cast<uint16_t>(value); });
    if (bit < 32) {
      change([&](krux_state& s) { s.policy.levels = static_cast<uint32_t>(value); });
      change([&](krux_state& s) { s.policy.required_layers = static_cast<uint32_t>(value); });
    }
    change([&](krux_state& s) { s.policy.not_before_ms = value; });
    change([&](krux_state& s) { s.policy.not_after_ms = value; });
    change([&](krux_state& s) { s.calls = value; });
    change([&](krux_state& s) { s.last_nonce = value; });
    for (int i = 0; i < KRUX_BUDGETS; ++i) change([&](krux_state& s) { s.remaining[i] = value; });
    for (int i = 0; i < 2; ++i) change([&](krux_state& s) { s.session[i] = value; });
    for (int i = 0; i < 4; ++i) change([&](krux_state& s) { s.policy_id[i] = value; });
    for (int t = 0; t < KRUX_TICKETS; ++t) {
      change([&](krux_state& s) { s.tickets[t].nonce = value; });
      change([&](krux_state& s) { s.tickets[t].expires_ms = value; });
      for (int i = 0; i < 2; ++i) change([&](krux_state& s) { s.tickets[t].session[i] = value; });
      for (int i = 0; i < 4; ++i) change([&](krux_state& s) { s.tickets[t].policy[i] = value; });
      for (int i = 0; i < 4; ++i) change([&](krux_state& s) { s.tickets[t].digest[i] = value; });
    }
  }
  EXPECT_EQ(seen.size(), changes);
  // Every bit of the encoding is one of those: a field that is not changed above would be missing.
  EXPECT_EQ(changes - 1, size_t{KRUX_STATE_BYTES} * 8);
}

}  // namespace
}  // namespace krux::policy
