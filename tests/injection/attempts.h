// Attempts: what an intruder's code inside a daemon would try, one function each. They run in a
// daemon's test build (base/injection.h) and, as the control, in the test itself.
#pragma once

#include <string>

namespace krux::injection {

// Runs `what`, "NAME" or "NAME:ARGUMENT": 0 where it succeeded, the errno where it was refused, -1
// for a name that nobody knows. Successful attempts undo what they did where they can.
int Attempt(const std::string& what);

}  // namespace krux::injection
