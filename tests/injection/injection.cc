#include "base/injection.h"

#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/injection/attempts.h"

namespace krux::injection {
namespace {

std::vector<std::string>& Wanted() {
  static std::vector<std::string> wanted;
  return wanted;
}
std::vector<std::string>& Missing() {
  static std::vector<std::string> missing;
  return missing;
}

}  // namespace

void TakeFlags(int* argc, char** argv) {
  int kept = 0;
  for (int i = 0; i < *argc; ++i) {
    const bool has_value = i + 1 < *argc;
    if (has_value && std::strcmp(argv[i], "--test-inject") == 0) {
      Wanted().emplace_back(argv[++i]);
    } else if (has_value && std::strcmp(argv[i], "--test-leave-out") == 0) {
      Missing().emplace_back(argv[++i]);
    } else {
      argv[kept++] = argv[i];
    }
  }
  argv[kept] = nullptr;
  *argc = kept;
}

void Run() {
  for (const std::string& what : Wanted()) {
    const std::string line = what + " " + std::to_string(Attempt(what)) + "\n";
    [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, line.data(), line.size());
  }
}

bool LeftOut(const char* layer) {
  for (const std::string& missing : Missing()) {
    if (missing == layer) return true;
  }
  return false;
}

}  // namespace krux::injection
