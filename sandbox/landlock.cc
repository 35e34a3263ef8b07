#include "sandbox/landlock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace krux::sandbox {

int ProbeCanary(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd >= 0) {
    close(fd);
    return -EPROTO;
  }
  return errno == EACCES ? 0 : -errno;
}

int ProbeGranted(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return -errno;
  close(fd);
  return 0;
}

int ProbeTcpRefused() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(9);  // discard(9): a port that nothing should answer
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  // Landlock is asked before the network: ECONNREFUSED, ENETUNREACH or success mean no domain.
  const bool connect_refused = connect(fd, name, sizeof address) < 0 && errno == EACCES;
  // Above 1023: below, the kernel's own answer to an unprivileged process is EACCES as well.
  address.sin_port = htons(19999);
  const bool bind_refused = bind(fd, name, sizeof address) < 0 && errno == EACCES;
  close(fd);
  return connect_refused && bind_refused ? 0 : -EPROTO;
}

int ProbeAbstractRefused(const char* name, size_t size) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (size > sizeof address.sun_path - 1) return -ENAMETOOLONG;
  memcpy(address.sun_path + 1, name, size);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + size);
  const bool refused =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), length) < 0 && errno == EPERM;
  close(fd);
  return refused ? 0 : -EPROTO;
}

}  // namespace krux::sandbox
