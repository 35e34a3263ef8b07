#include "base/toml.h"

#include <vector>

namespace krux {
namespace {

bool Surprises(std::string_view text) {
  try {
    (void)toml::parse(text);
  } catch (const TomlSurprise&) {
    return true;
  } catch (const toml::parse_error&) {
  }
  return false;
}

// The parser goes from left to right, so the shortest run of lines that surprises it ends in the
// line that does.
size_t SurprisingLine(std::string_view text) {
  std::vector<size_t> ends;
  for (size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1))
    ends.push_back(at + 1);
  ends.push_back(text.size());
  size_t low = 0, high = ends.size() - 1;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (Surprises(text.substr(0, ends[middle]))) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low + 1;
}

}  // namespace

std::string TomlPlace(std::string_view file, const toml::source_region& where) {
  return std::string(file) + ":" + std::to_string(where.begin.line) + ":" +
         std::to_string(where.begin.column) + ": ";
}

Result<toml::table> ParseToml(std::string_view text, std::string_view file) {
  try {
    return toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    return Fail(ExitCode::kConfig, "toml",
                TomlPlace(file, error.source()) + std::string(error.description()));
  } catch (const TomlSurprise&) {
    return Fail(ExitCode::kConfig, "toml",
                std::string(file) + ":" + std::to_string(SurprisingLine(text)) +
                    ":1: this line is not TOML; a name is missing or has a character too many");
  }
}

}  // namespace krux
