// The source tree as the house tests see it: paths relative to the root, and the lines of a file.
//
//   for (const std::string& path : house::Sources()) { house::Lines(path); }
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace krux::house {

inline std::filesystem::path Root() { return KRUX_SOURCE_DIR; }

// Every C and C++ file of the project, sorted, relative to the root. Build directories are no part.
inline std::vector<std::string> Sources() {
  static const char* const kFolders[] = {"base",  "policy",  "sandbox", "vault",
                                         "audit", "runtime", "gateway", "tools",
                                         "tests", "fuzz",    "bench",   "verification"};
  std::vector<std::string> found;
  for (const char* folder : kFolders) {
    if (!std::filesystem::exists(Root() / folder)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(Root() / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".cc" && extension != ".h" && extension != ".c") continue;
      found.push_back(entry.path().lexically_relative(Root()).string());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

inline std::vector<std::string> Lines(const std::string& path) {
  std::ifstream file(Root() / path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// The cells of one row of a Markdown table, trimmed; empty for a line that is none.
inline std::vector<std::string> Cells(const std::string& line) {
  std::vector<std::string> cells;
  if (line.empty() || line.front() != '|') return cells;
  size_t begin = 1;
  for (size_t end; (end = line.find('|', begin)) != std::string::npos; begin = end + 1) {
    std::string cell = line.substr(begin, end - begin);
    cell.erase(0, cell.find_first_not_of(' '));
    cell.erase(cell.find_last_not_of(' ') + 1);
    cells.push_back(std::move(cell));
  }
  return cells;
}

// The words in backticks of `text`, in order.
inline std::vector<std::string> Quoted(const std::string& text) {
  std::vector<std::string> words;
  for (size_t begin = text.find('`'); begin != std::string::npos; begin = text.find('`', begin)) {
    const size_t end = text.find('`', begin + 1);
    if (end == std::string::npos) break;
    words.push_back(text.substr(begin + 1, end - begin - 1));
    begin = end + 1;
  }
  return words;
}

}  // namespace krux::house
