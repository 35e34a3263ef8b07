// What this kernel and this machine's configuration can give, layer by layer, without building a
// sandbox. Reads /proc and /sys and asks harmless questions; changes nothing.
//
//   for (const LayerCheck& check : CheckLayers()) { check.name, check.present, check.fix … }
#pragma once

#include <string>
#include <vector>

namespace krux::tools {

struct LayerCheck {
  std::string name;    // as in policies and --allow-degraded; for extras a name of its own
  bool layer = true;   // a layer that policies require; false: a fact beside them
  bool needed = true;  // without it krux does not run as it should; false: there is a fallback
  bool present = false;
  std::string found;  // what was seen, one line
  std::string fix;    // the command or the step that changes it; empty when present
};

// In the order of KRUX_LAYERS, then extras.
std::vector<LayerCheck> CheckLayers();

// The cgroup check alone, for `krux doctor --needs-degraded`.
LayerCheck CheckCgroup();

}  // namespace krux::tools
