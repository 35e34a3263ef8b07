// The layer-off table: for each ring, and each rule of it that can be taken out alone, a program
// that is stopped with it and let through without it. One truth: the tests run these rows, `./dev
// escape` prints them with what was measured, docs/LAYERS.md is written from them and held equal to
// them.
//
//   for (const LayerRow& row : LayerTable()) { Measure(row) … }
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "tests/escape/cases.h"

namespace krux::sandbox {

// Words of the switches below; layer_table.cc knows what each means to the daemons' test builds.
using Switches = std::vector<const char*>;

struct LayerRow {
  const char* layer;  // a name of sandbox::Layer, or what stands beside them
  const char* rule;   // which part of it
  // An escape program, or `worker.NAME`: a worker that somebody has taken over
  // (misbehaving_worker.h).
  const char* program;
  Switches ring;        // what is taken out
  Switches others;      // other rings that stop the same program: out in both runs
  const char* with;     // how the verdict begins while the ring stands
  const char* without;  // … and when it is gone
  // The layer that the receipt check names when the ring alone is missing and nothing is let go on;
  // null: `why` says what refuses instead, or why nothing measures it.
  const char* receipt;
  const char* why = nullptr;
  WorkClass work_class = WorkClass::kExec;
};
inline void PrintTo(const LayerRow& row, std::ostream* out) {
  *out << row.layer << ": " << row.rule;
}

const std::vector<LayerRow>& LayerTable();

// Rings that no program can be let through by their absence on a host like the tests', with the
// reason.
struct Unshown {
  const char* layer;
  const char* rule;
  const char* why;
};
const std::vector<Unshown>& UnshownRings();

// What a run said. `receipt_check`: as shipped, the receipt check stands.
std::string RunWithout(const LayerRow& row, const Switches& switches, bool receipt_check);

// The words of a list for readers: "net namespace, seccomp"; "–" when empty.
std::string Readable(const Switches& switches);

// docs/LAYERS.md between its two marks.
std::string TableAsMarkdown();

}  // namespace krux::sandbox
