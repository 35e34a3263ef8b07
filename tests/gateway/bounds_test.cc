// docs/PROTOCOL.md and gateway/bounds.h name the same bounds with the same defaults.
#include "gateway/bounds.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>

namespace krux::gateway {
namespace {

// "| `name` | value | …" between the two comments of `table`.
std::map<std::string, uint64_t> Documented(const std::string& table) {
  std::ifstream document(KRUX_SOURCE_DIR "/docs/PROTOCOL.md");
  EXPECT_TRUE(document.is_open());
  std::map<std::string, uint64_t> rows;
  bool inside = false;
  for (std::string line; std::getline(document, line);) {
    if (line.starts_with("<!-- " + table)) inside = true;
    if (line.starts_with("<!-- end of " + table)) inside = false;
    if (!inside || !line.starts_with("| `")) continue;
    const size_t end = line.find('`', 3);
    EXPECT_TRUE(rows.emplace(line.substr(3, end - 3), std::stoull(line.substr(end + 4))).second)
        << line;
  }
  return rows;
}

TEST(Bounds, TheDocumentHasTheTableOfTheCode) {
  std::map<std::string, uint64_t> rows = Documented("bounds table");
#define X(name, value, least, most)                 \
  EXPECT_EQ(rows[#name], uint64_t{value}) << #name; \
  rows.erase(#name);
  KRUX_BOUNDS(X)
#undef X
  for (const auto& [name, value] : rows) ADD_FAILURE() << name << " is no bound";
}

TEST(Deadlines, TheDocumentHasTheTableOfTheCode) {
  std::map<std::string, uint64_t> rows = Documented("deadline table");
#define X(name, value)                              \
  EXPECT_EQ(rows[#name], uint64_t{value}) << #name; \
  rows.erase(#name);
  KRUX_DEADLINES(X)
#undef X
  for (const auto& [name, value] : rows) ADD_FAILURE() << name << " is no deadline";
}

TEST(Bounds, EveryDefaultLiesWithinWhatMayBeConfigured) {
#define X(name, value, least, most)                   \
  EXPECT_LE(uint64_t{least}, Bounds{}.name) << #name; \
  EXPECT_LE(Bounds{}.name, uint64_t{most}) << #name;
  KRUX_BOUNDS(X)
#undef X
}

}  // namespace
}  // namespace krux::gateway
