// RunUnconfined: a misbehaviour program without any ring, to show that it can do what it tries.
#pragma once

#include <string>

#include "tests/escape/cases.h"

namespace krux::sandbox {

// Runs the scene's program for at most ten seconds and answers its line. But for kOnHost it runs in
// mount, pid and uts namespaces of its own, so that what it succeeds in goes away with it.
std::string RunUnconfined(const Scene& scene, Control control);

}  // namespace krux::sandbox
