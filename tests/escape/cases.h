// The misbehaviour programs of this folder, each with its bait and with how it has to end.
#pragma once

#include <ostream>
#include <vector>

#include "tests/escape/scene.h"

namespace krux::sandbox {

// How the same program, with the same bait, is shown to succeed where no ring is in its way.
enum class Control {
  kNone,    // it would harm the machine, or the plain host stops it too
  kCaller,  // as the caller, in pid, mount and uts namespaces that nothing else is in
  kRoot,    // the same as root
  kOnHost,  // as the caller, among the host's processes: the bait is one of them
};

struct EscapeCase {
  const char* program;
  const char* how;  // the one line says `contained: ` and this, or begins with it
  Control control;
  void (*prepare)(Scene&);  // null: no bait
};
inline void PrintTo(const EscapeCase& row, std::ostream* out) { *out << row.program; }

const std::vector<EscapeCase>& EscapeCases();

}  // namespace krux::sandbox
