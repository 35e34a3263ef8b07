// docs/POLICY.md names every key, and the schema knows exactly those: both against the table that
// the reader reads by. KRUX_WRITE_GOLDEN=1 writes the page's table anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "policy/policy_file.h"
#include "policy/policy_keys.h"
#include "policy/schema.h"

namespace krux::policy {
namespace {

constexpr std::string_view kBegin = "<!-- keys: checked against policy/policy_keys.cc -->\n";
constexpr std::string_view kEnd = "<!-- end of keys -->";

std::string Page() {
  std::ifstream file(KRUX_SOURCE_DIR "/docs/POLICY.md");
  std::stringstream all;
  all << file.rdbuf();
  return all.str();
}

std::string KeyTable() {
  std::string text = "| table | key | what |\n|---|---|---|\n";
  for (const Key& key : Keys()) {
    // The sixteen dimensions stand in the kernel's own table below.
    if (key.table == "levels") {
      if (key.name == DimensionNames()[0])
        text += "| `[levels]` | a dimension | `never`, `low_risk` or `always` |\n";
      continue;
    }
    const std::string table(key.table);
    text += "| " +
            (table.empty()         ? ""
             : table == kRuleTable ? "`[[rule]]`"
                                   : "`[" + table + "]`") +
            " | `" + std::string(key.name) + "` | " + std::string(key.help) + " |\n";
  }
  return text;
}

TEST(PolicyDocTest, TheManualNamesEveryKey) {
  std::string page = Page();
  const size_t begin = page.find(kBegin), end = page.find(kEnd);
  ASSERT_TRUE(begin != page.npos && end != page.npos);
  if (std::getenv("KRUX_WRITE_GOLDEN") != nullptr) {
    page.replace(begin + kBegin.size(), end - begin - kBegin.size(), KeyTable());
    std::ofstream(KRUX_SOURCE_DIR "/docs/POLICY.md") << page;
  }
  page = Page();
  EXPECT_EQ(page.substr(begin + kBegin.size(), page.find(kEnd) - begin - kBegin.size()),
            KeyTable());
}

TEST(PolicyDocTest, TheManualListsEveryProfileAsItIs) {
  const std::string page = Page();
  for (const std::string_view name : ProfileNames()) {
    const size_t at = page.find("\n| `" + std::string(name) + "` | ");
    ASSERT_NE(at, page.npos) << name;
    const Policy policy = *FindProfile(name);
    std::string levels;
    for (int i = 0; i < 6; ++i) {
      const Level level = policy.authority.levels[i];
      levels += std::string(i == 0 ? "" : " ") + (level == Level::kAlways    ? "A"
                                                  : level == Level::kLowRisk ? "L"
                                                                             : "–");
    }
    const std::string line = page.substr(at + 1, page.find('\n', at + 1) - at - 1);
    EXPECT_NE(line.find("| " + levels + " |"), line.npos) << line << "\n" << levels;
  }
}

TEST(PolicyDocTest, TheSchemaHasEveryKeyOnce) {
  const std::string schema = PolicySchema();
  EXPECT_EQ(schema.back(), '\n');
  for (const Key& key : Keys()) {
    EXPECT_NE(schema.find("\"" + std::string(key.name) + "\": {"), schema.npos) << key.name;
    EXPECT_FALSE(key.help.empty());
  }
  for (const std::string_view table : Tables()) {
    EXPECT_NE(schema.find("\"" + std::string(table) + "\": {\"type\""), schema.npos) << table;
    bool used = false;
    for (const Key& key : Keys()) used |= key.table == table;
    EXPECT_TRUE(used) << table;
  }
}

// The reader knows every key of the table: each with a wrong type is an error that names the key,
// never an unknown one, and never read as if it were not there.
TEST(PolicyDocTest, TheReaderReadsEveryKey) {
  for (const Key& key : Keys()) {
    if (key.table == kRuleTable || key.name == "krux" || key.name == "name") continue;
    const std::string text = "krux = 1\nname = \"t\"\n" +
                             (key.table.empty() ? "" : "[" + std::string(key.table) + "]\n") +
                             std::string(key.name) + " = {}\n";
    const Result<Policy> policy = ParsePolicy(text, "t.toml");
    ASSERT_FALSE(policy) << text;
    EXPECT_EQ(policy.error().message.find("unknown key"), std::string::npos) << text;
    EXPECT_NE(policy.error().message.find(key.name), std::string::npos) << policy.error().message;
  }
}

}  // namespace
}  // namespace krux::policy
