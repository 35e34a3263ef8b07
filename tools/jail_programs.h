// The escape programs that `krux doctor --jail` runs: what each tries, and what it has to be given.
// The programs are tests/escape/*.c; they are installed beside the daemons, in `escape/`.
//
//   for (const JailProgram& program : JailPrograms()) { program.name, program.tries … }
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace krux::tools {

// What lies ready for a program to take, and is named in its arguments.
enum class BaitKind : uint8_t {
  kNone,
  kOutsideFile,   // a file of the caller's outside of WORK
  kRelativeLink,  // a link in WORK to it, and the file
  kAbsoluteLink,
  kRootNames,       // the only names that may stand in the root
  kUnixSockets,     // a stream listener and a datagram socket, both with a path in WORK
  kAbstractSocket,  // a listener with an abstract name
  kTcpPort,         // a listener on the host's loopback
  kUdpPort,
  kHostName,
  kProcess,       // a process of the caller's
  kSharedMemory,  // the key of a segment that anybody may attach
  kFileHandle,    // of the file outside
};

struct JailProgram {
  const char* name;
  BaitKind bait;
  const char* tries;
};

const std::vector<JailProgram>& JailPrograms();

// $KRUX_LIBEXEC_DIR, else the folder of the running program, then `escape`.
Result<std::string> JailProgramsDir();

}  // namespace krux::tools
