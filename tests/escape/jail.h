// A scene's program as a call: the request that runs it, and what it said.
#pragma once

#include <string>

#include "sandbox/client.h"
#include "tests/escape/scene.h"

namespace krux::sandbox {

// proc.exec of the scene's command in its WORK.
cbor::Bytes ExecRequest(const Spec& spec, const Scene& scene);
// The program's verdict: its stdout, or how the call ended where it could not speak.
std::string Verdict(const Event& event);

}  // namespace krux::sandbox
