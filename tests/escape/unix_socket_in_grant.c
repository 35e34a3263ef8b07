/* Talks to a listener of the host whose socket lies inside a granted tree: argv[1] is a stream
 * listener, argv[2] a bound datagram socket. Network namespaces do not cover sockets with a path.
 * Rings: seccomp alone (no socket(2); socketpair(2) only of types that stay connected). */
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/escape/verdict.h"

static struct sockaddr_un address(const char* path) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof a.sun_path) broken("path is too long for a socket");
  strcpy(a.sun_path, path);
  return a;
}

/* True if what was sent came out at the pair's own other end: a SEQPACKET socket ignores the name.
 */
static int came_home(int other_end) {
  char byte;
  return recv(other_end, &byte, 1, MSG_DONTWAIT) == 1;
}

/* A pair's end still has connect(2), and a datagram end may name another receiver each time. */
static void from_pair(int type, const char* name, const struct sockaddr_un* to) {
  int pair[2];
  if (socketpair(AF_UNIX, type, 0, pair) != 0) return;
  const struct sockaddr* there = (const struct sockaddr*)to;
  struct iovec io = {.iov_base = "x", .iov_len = 1};
  struct msghdr message = {
      .msg_name = (void*)there, .msg_namelen = sizeof *to, .msg_iov = &io, .msg_iovlen = 1};
  if (sendto(pair[0], "x", 1, MSG_NOSIGNAL, there, sizeof *to) == 1 && !came_home(pair[1])) {
    escaped("sendto from a %s pair", name);
  }
  if (sendmsg(pair[0], &message, MSG_NOSIGNAL) == 1 && !came_home(pair[1])) {
    escaped("sendmsg from a %s pair", name);
  }
  if (connect(pair[0], there, sizeof *to) == 0) escaped("connect of a %s pair", name);
  /* Once its other end is closed it might count as free again. */
  close(pair[1]);
  if (connect(pair[0], there, sizeof *to) == 0) escaped("connect of a widowed %s pair", name);
  close(pair[0]);
}

int main(int argc, char** argv) {
  const struct sockaddr_un stream = address(argument(argc, argv, 1));
  const struct sockaddr_un datagram = address(argument(argc, argv, 2));
  if (access(stream.sun_path, F_OK) != 0)
    broken("the socket is not in the grant: %s", error_name());
  from_pair(SOCK_DGRAM, "DGRAM", &datagram);
  from_pair(SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, "DGRAM", &datagram);
  from_pair(SOCK_RAW, "RAW", &datagram);
  from_pair(SOCK_STREAM, "STREAM", &stream);
  from_pair(SOCK_SEQPACKET, "SEQPACKET", &stream);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) contained("socket: %s", error_name());
  if (connect(fd, (const struct sockaddr*)&stream, sizeof stream) == 0)
    escaped("connected to %s", stream.sun_path);
  contained("connect: %s", error_name());
}
