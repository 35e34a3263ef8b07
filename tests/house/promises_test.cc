// A promise without a test is an advertisement: every row of the promises in SECURITY.md names
// tests that exist, and every row that docs/THREAT_MODEL.md points to stands in docs/LAYERS.md.
#include <gtest/gtest.h>

#include <set>

#include "tests/house/tree.h"

namespace krux::house {
namespace {

namespace fs = std::filesystem;

std::string Text(const std::string& path) {
  std::string text;
  for (const std::string& line : Lines(path)) text += line + "\n";
  return text;
}

bool IsPath(const std::string& word) { return word.starts_with("tests/"); }

// `Suite.Test` stands in `file` as TEST, TEST_F or TEST_P.
bool HasTest(const std::string& file, const std::string& word) {
  const size_t dot = word.find('.');
  const std::string text = Text(file);
  for (const char* macro : {"TEST(", "TEST_F(", "TEST_P("}) {
    const std::string head = macro + word.substr(0, dot) + ", " + word.substr(dot + 1);
    for (size_t at = text.find(head); at != std::string::npos; at = text.find(head, at + 1)) {
      if (text[at + head.size()] == ')') return true;
    }
  }
  return false;
}

// What is wrong with the last cell of a promise; empty when it holds.
std::string Fault(const std::string& shown_by) {
  std::string file;
  bool shown = false;
  for (const std::string& word : Quoted(shown_by)) {
    if (IsPath(word)) {
      if (!fs::is_regular_file(Root() / word)) return "`" + word + "` does not exist";
      // An escape program is a test by itself: escape_test.cc runs every one of them.
      shown = shown || word.ends_with(".c");
      file = word;
      continue;
    }
    if (file.empty() || word.find('.') == std::string::npos) return "`" + word + "` has no file";
    if (!HasTest(file, word)) return "`" + word + "` is not in " + file;
    shown = true;
  }
  return shown ? "" : "no test is named";
}

struct Promises {
  int tables = 0;
  std::vector<std::vector<std::string>> rows;
};

Promises ReadPromises() {
  Promises found;
  bool inside = false;
  for (const std::string& line : Lines("SECURITY.md")) {
    if (line.starts_with("<!-- promises:")) {
      inside = true;
      ++found.tables;
    }
    if (line.starts_with("<!-- end of promises")) inside = false;
    const std::vector<std::string> cells = Cells(line);
    if (!inside || cells.size() != 2 || cells[0] == "promise" || cells[0].starts_with("---"))
      continue;
    found.rows.push_back(cells);
  }
  return found;
}

TEST(Promises, EachNamesATestThatExists) {
  const Promises promises = ReadPromises();
  EXPECT_EQ(promises.tables, 2) << "one for the host, one for the call";
  EXPECT_GT(promises.rows.size(), 20u);
  for (const std::vector<std::string>& row : promises.rows) EXPECT_EQ(Fault(row[1]), "") << row[0];
}

TEST(Promises, ATestThatIsNotThereIsNoticed) {
  EXPECT_EQ(Fault("`tests/house/promises_test.cc` `Promises.EachNamesATestThatExists`"), "");
  EXPECT_NE(Fault("`tests/house/promises_test.cc` `Promises.EachNamesATest`"), "");
  EXPECT_NE(Fault("`tests/house/promises_test.cc`"), "") << "a file alone shows nothing";
  EXPECT_NE(Fault("`tests/house/gone_test.cc` `Promises.X`"), "");
  EXPECT_NE(Fault("it is so"), "");
}

// Also what the prose of the front pages points to.
TEST(Promises, EveryTestFileThatADocumentNamesExists) {
  for (const char* page : {"README.md", "SECURITY.md", "docs/THREAT_MODEL.md", "docs/LAYERS.md",
                           "docs/PRIVSEP.md", "docs/ARCHITECTURE.md"}) {
    for (const std::string& word : Quoted(Text(page))) {
      if (!IsPath(word)) continue;
      EXPECT_TRUE(fs::exists(Root() / word)) << page << " names `" << word << "`";
    }
  }
}

TEST(ThreatModel, ItsRowsStandInTheLayerTable) {
  std::set<std::string> rows;
  for (const std::string& line : Lines("docs/LAYERS.md")) {
    const std::vector<std::string> cells = Cells(line);
    if (cells.size() == 7) rows.insert(cells[0] + ": " + cells[1]);
  }
  int named = 0;
  for (const std::string& line : Lines("docs/THREAT_MODEL.md")) {
    const std::vector<std::string> cells = Cells(line);
    if (cells.size() != 3 || cells[2].find(": ") == std::string::npos) continue;
    for (const std::string& word : Quoted(cells[2])) {
      EXPECT_TRUE(rows.contains(word)) << "`" << word << "` is no row of docs/LAYERS.md";
      ++named;
    }
  }
  EXPECT_GT(named, 30);
}

}  // namespace
}  // namespace krux::house
