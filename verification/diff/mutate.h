// Small wrongs in C sources, each at one place: what a comparison must notice.
//
//   for (const Mutation& m : MutationsOf("step.c", text)) Write(m.Apply(text));
//
// Enumerated in the order of the text, the same on every machine: turned relations and operators,
// constants one off, other enumerators and fields, statements and conditions left out, arguments
// swapped; in tables.def the columns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace krux::diff {

struct Mutation {
  std::string file;
  std::string function;  // in which it stands
  size_t offset = 0;
  size_t length = 0;
  std::string replacement;
  int line = 0;
  std::string before;  // the lines it touches, in one line
  std::string after;

  std::string Apply(std::string_view text) const;
  // Survives edits elsewhere in the file: file, function, both texts.
  std::string Key() const;
};

std::vector<Mutation> MutationsOf(const std::string& file, std::string_view text);

}  // namespace krux::diff
