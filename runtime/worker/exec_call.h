// proc.exec inside the sandbox: the worker becomes the init of its pid namespace. It starts the
// program as its child, reaps everything, collects what the program prints and reports how it
// ended. A program that is pid 1 itself would ignore SIGTERM and leave zombies, pid_namespaces(7).
//
//   Answer answer = ProcExec(request, std::span(data_part, capacity), nullptr);
//
// The program gets stdin = /dev/null, or a sealed copy of `input`; stdout and stderr = pipes, no
// other descriptor, default signal dispositions, an empty signal mask, its own session and a fixed
// environment. Its children end with the sandbox. The data part is stdout followed by stderr; data
// is {"exit" or "signal", "stdout_bytes", "stderr_bytes"}. A program that prints more than there is
// room for is ended (runtime/worker/init_stub.h); what fits is returned.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/request.h"
#include "runtime/worker/answer.h"
#include "runtime/worker/content.h"

namespace krux::runtime {

Answer ProcExec(const Request& request, std::span<uint8_t> out, const Content* input);

}  // namespace krux::runtime
