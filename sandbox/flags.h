// The command line of the tiny daemons: "--name value" pairs written by the supervisor. They link
// libc only, so CLI11 stays out.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace krux::sandbox {

// The value of the n-th `--name`, or null.
inline const char* FlagValue(int argc, char** argv, const char* name, int n = 0) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], name) == 0 && n-- == 0) return argv[i + 1];
  }
  return nullptr;
}

inline int FlagFd(int argc, char** argv, const char* name) {
  const char* value = FlagValue(argc, argv, name);
  return value != nullptr ? std::atoi(value) : -1;
}

inline bool FlagSet(int argc, char** argv, const char* name) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], name) == 0) return true;
  }
  return false;
}

}  // namespace krux::sandbox
