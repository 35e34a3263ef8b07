#include "gateway/stop_point.h"

#ifdef KRUX_STOP_POINTS
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <string>

#include "base/unique_fd.h"

namespace krux::gateway {
namespace {

struct Armed {
  std::string point;  // empty: none, or it has been reached
  UniqueFd reached;
  UniqueFd go;
};

Armed& TheOne() {
  static Armed armed;
  return armed;
}

std::string Folder() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  const std::string program(path, length > 0 ? static_cast<size_t>(length) : 0);
  return program.substr(0, program.rfind('/') + 1);
}

}  // namespace

void ReadStopPoint() {
  const std::string folder = Folder();
  const UniqueFd file(open((folder + "stop-at").c_str(), O_RDONLY | O_CLOEXEC));
  char name[64];
  const ssize_t length = file.valid() ? read(file.get(), name, sizeof(name)) : 0;
  if (length <= 0) return;
  Armed& armed = TheOne();
  armed.reached = UniqueFd(open((folder + "reached").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  armed.go = UniqueFd(open((folder + "go").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!armed.reached.valid() || !armed.go.valid()) return;
  fcntl(armed.go.get(), F_SETFL, 0);  // from here on a read waits
  armed.point.assign(name, static_cast<size_t>(length));
}

void StopPoint(const char* name) {
  Armed& armed = TheOne();
  if (armed.point != name) return;
  armed.point.clear();
  char byte = '.';
  if (write(armed.reached.get(), &byte, 1) != 1) return;
  while (read(armed.go.get(), &byte, 1) < 0 && errno == EINTR) {
  }
}

bool IsLeftOut(const char* rule) { return TheOne().point == std::string("without ") + rule; }

}  // namespace krux::gateway
#endif
