// Sizes and names: a file that outgrows 600 lines or is named after nothing has lost its one
// purpose.
#include <gtest/gtest.h>

#include "tests/house/tree.h"

namespace krux::house {
namespace {

constexpr size_t kMaxLines = 600;

// The words of a file name: "base/unix_socket.cc" → {"unix", "socket"}.
std::vector<std::string> Words(const std::string& path) {
  std::vector<std::string> words(1);
  for (const char c : std::filesystem::path(path).stem().string()) {
    if (c == '_' || c == '-') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

bool NamedAfterNothing(const std::string& path) {
  static const char* const kWords[] = {"util",   "utils",   "common", "manager",
                                       "helper", "helpers", "misc"};
  for (const std::string& word : Words(path)) {
    for (const char* forbidden : kWords) {
      if (word == forbidden) return true;
    }
  }
  return false;
}

TEST(Files, NoneIsNamedAfterNothing) {
  EXPECT_TRUE(NamedAfterNothing("base/string_util.h"));
  EXPECT_FALSE(NamedAfterNothing("base/utility_function.h"));
  for (const std::string& path : Sources()) {
    EXPECT_FALSE(NamedAfterNothing(path)) << path << ": name it after what it is";
  }
}

TEST(Files, NoneIsLongerThanItsLimit) {
  for (const std::string& path : Sources()) {
    EXPECT_LE(Lines(path).size(), kMaxLines) << path << ": find the seam";
  }
}

TEST(Files, EveryHeaderOpensWithWhatItIs) {
  for (const std::string& path : Sources()) {
    if (!path.ends_with(".h")) continue;
    const std::vector<std::string> lines = Lines(path);
    ASSERT_FALSE(lines.empty()) << path;
    EXPECT_TRUE(lines.front().starts_with("//") || lines.front().starts_with("/* "))
        << path << ": the first line says what the header is";
  }
}

TEST(Files, OneFileEachKnowsAHeavyLibrary) {
  for (const std::string& path : Sources()) {
    for (const std::string& line : Lines(path)) {
      if (line.find("#include <nlohmann/") == 0) {
        EXPECT_EQ(path, "tools/json.cc") << "JSON is read and written behind tools/json.h alone";
      }
      if (line.find("#include <CLI/") == 0) {
        EXPECT_EQ(path, "tools/main.cc") << "one file pays for parsing the command line";
      }
      if (line.find("#include <toml++/") == 0)
        EXPECT_EQ(path, "base/toml.h") << "its macros must be the same everywhere";
    }
  }
}

}  // namespace
}  // namespace krux::house
