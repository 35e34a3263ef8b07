// Reads every #include "folder/file.h" of the tree against the table of docs/ARCHITECTURE.md, so
// that the page stays true and a forbidden include fails the build's first test.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/house/tree.h"

namespace krux::house {
namespace {

// Folder (or folder/folder) → folders and files it may include.
using Table = std::map<std::string, std::vector<std::string>>;

Table ReadTable() {
  Table table;
  bool inside = false;
  for (const std::string& line : Lines("docs/ARCHITECTURE.md")) {
    if (line == "<!-- layering table: read by tests/house/layering_test.cc -->") inside = true;
    if (line == "<!-- end of layering table -->") inside = false;
    const std::vector<std::string> cells = inside ? Cells(line) : std::vector<std::string>();
    if (cells.size() < 2) continue;
    for (const std::string& folder : Quoted(cells[0])) table[folder] = Quoted(cells[1]);
  }
  return table;
}

bool Covers(const std::string& rule, const std::string& path) {
  return path == rule || (path.starts_with(rule) && path[rule.size()] == '/');
}

// The longest row that holds `path`; empty when none does.
std::string RowOf(const Table& table, const std::string& path) {
  std::string best;
  for (const auto& [folder, allowed] : table) {
    if (Covers(folder, path) && folder.size() > best.size()) best = folder;
  }
  return best;
}

// An include of `target` from `path` is allowed inside one row, or where the row names it. A folder
// that is a row of its own must be named itself: `audit` does not stand for `audit/verify`.
bool Allowed(const Table& table, const std::string& path, const std::string& target) {
  const std::string from = RowOf(table, path);
  const std::string to = RowOf(table, target);
  if (from == to) return true;
  for (const std::string& rule : table.at(from)) {
    if (Covers(rule, target) && rule.size() >= to.size()) return true;
  }
  return false;
}

TEST(Layering, TheTableNamesEveryFolderOfTheHouse) {
  const Table table = ReadTable();
  for (const char* folder : {"base", "policy", "sandbox", "audit", "audit/verify", "runtime",
                             "gateway", "gateway/client", "tools"}) {
    EXPECT_TRUE(table.contains(folder)) << folder;
  }
}

TEST(Layering, TheCheckTellsAForbiddenIncludeFromAnAllowedOne) {
  const Table table = ReadTable();
  EXPECT_TRUE(Allowed(table, "policy/decide.cc", "policy/decide.h"));
  EXPECT_TRUE(Allowed(table, "policy/decide.cc", "base/error.h"));
  EXPECT_TRUE(Allowed(table, "gateway/pipeline.cc", "audit/client.h"));
  EXPECT_FALSE(Allowed(table, "policy/decide.cc", "sandbox/spec.h"));
  EXPECT_FALSE(Allowed(table, "base/error.cc", "policy/decide.h"));
  EXPECT_FALSE(Allowed(table, "gateway/pipeline.cc", "audit/writer.h"));
  EXPECT_FALSE(Allowed(table, "audit/verify/verify.cc", "base/cbor_value.h"));
  EXPECT_FALSE(Allowed(table, "audit/verify/verify.cc", "audit/record.h"));
  EXPECT_FALSE(Allowed(table, "audit/writer.cc", "audit/verify/verify.h"));
}

TEST(Layering, EveryIncludeObeysTheTable) {
  const Table table = ReadTable();
  for (const std::string& path : Sources()) {
    if (path.starts_with("tests/") || path.starts_with("bench/") || path.starts_with("fuzz/") ||
        path.starts_with("verification/"))
      continue;
    ASSERT_FALSE(RowOf(table, path).empty()) << path << " lies in no row of docs/ARCHITECTURE.md";
    int number = 0;
    for (const std::string& line : Lines(path)) {
      ++number;
      if (!line.starts_with("#include \"")) continue;
      const std::string target = line.substr(10, line.find('"', 10) - 10);
      // Generated headers lie outside the tree and belong to the folder that generates them.
      if (!std::filesystem::exists(Root() / target)) {
        EXPECT_NE(target.find('/'), std::string::npos)
            << path << ":" << number << ": includes start at the root: `" << target << "`";
        continue;
      }
      EXPECT_TRUE(Allowed(table, path, target))
          << path << ":" << number << ": `" << RowOf(table, path) << "` may not include `" << target
          << "`";
    }
  }
}

}  // namespace
}  // namespace krux::house
