// Cutter: lines and words of a text, one after the other, for the kernel's own files (mountinfo,
// status). Not the streams of the standard library: those and their locales would be more than half
// of a tiny static program.
//
//   Cutter rows(mountinfo);
//   while (std::optional<std::string_view> row = rows.Until('\n')) {
//     Cutter words(*row);
//     const std::string_view id = words.Word();   // empty when there is none left
//   }
//
// What comes out points into the text that went in.
#pragma once

#include <optional>
#include <string_view>

namespace krux {

class Cutter {
 public:
  explicit Cutter(std::string_view text) : rest_(text) {}

  // Up to the next `end`, which is dropped, or to the end of the text; nothing when all is used up.
  std::optional<std::string_view> Until(char end) {
    if (rest_.empty()) return std::nullopt;
    const size_t at = rest_.find(end);
    const std::string_view part = rest_.substr(0, at);
    rest_.remove_prefix(at == std::string_view::npos ? rest_.size() : at + 1);
    return part;
  }

  // The next run of anything but blanks, tabs and line ends.
  std::string_view Word() {
    constexpr std::string_view kBlank = " \t\n\r\v\f";
    const size_t begin = rest_.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) return rest_ = {};
    const size_t end = rest_.find_first_of(kBlank, begin);
    const std::string_view word = rest_.substr(begin, end - begin);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end);
    return word;
  }

  // Words up to and with `stop`; false when it never comes.
  bool SkipPast(std::string_view stop) {
    for (std::string_view word = Word(); !word.empty(); word = Word()) {
      if (word == stop) return true;
    }
    return false;
  }

 private:
  std::string_view rest_;
};

}  // namespace krux
