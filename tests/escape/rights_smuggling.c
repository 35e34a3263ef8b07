/* Hands a descriptor, and a lie about who it is, to a process of the host through a socket in a
 * granted tree: argv[1] is a stream listener, argv[2] a datagram socket. Rings: seccomp alone (no
 * socket(2), pairs that stay connected). */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/escape/verdict.h"

static ssize_t send_with(int socket_fd, const struct sockaddr_un* to, int kind, const void* data,
                         size_t size) {
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(struct ucred))];
  } control;
  memset(&control, 0, sizeof control);
  struct iovec io = {.iov_base = "x", .iov_len = 1};
  struct msghdr message = {.msg_name = (void*)to,
                           .msg_namelen = to != NULL ? sizeof *to : 0,
                           .msg_iov = &io,
                           .msg_iovlen = 1,
                           .msg_control = control.room,
                           .msg_controllen = CMSG_SPACE(size)};
  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = kind;
  control.header.cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(&control.header), data, size);
  return sendmsg(socket_fd, &message, MSG_NOSIGNAL);
}

static int came_home(int other_end) {
  char byte;
  return recv(other_end, &byte, 1, MSG_DONTWAIT) == 1;
}

int main(int argc, char** argv) {
  struct sockaddr_un to[2] = {{.sun_family = AF_UNIX}, {.sun_family = AF_UNIX}};
  for (int i = 0; i < 2; i++)
    snprintf(to[i].sun_path, sizeof to[i].sun_path, "%s", argument(argc, argv, i + 1));
  const int here = open(".", O_RDONLY | O_DIRECTORY);
  if (here < 0) broken("open .: %s", error_name());
  const struct ucred root = {.pid = 1, .uid = 0, .gid = 0};
  const int types[] = {SOCK_DGRAM, SOCK_STREAM, SOCK_SEQPACKET, SOCK_RAW};
  for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
    int pair[2];
    if (socketpair(AF_UNIX, types[t], 0, pair) != 0) continue;
    for (int i = 0; i < 2; i++) {
      if (send_with(pair[0], &to[i], SCM_RIGHTS, &here, sizeof here) == 1 && !came_home(pair[1]))
        escaped("a descriptor went out from a pair of type %d", types[t]);
      if (connect(pair[0], (struct sockaddr*)&to[i], sizeof to[i]) == 0)
        escaped("a pair of type %d connected again", types[t]);
    }
    if (send_with(pair[0], NULL, SCM_CREDENTIALS, &root, sizeof root) == 1)
      escaped("a pair of type %d took root's credentials", types[t]);
  }
  const int out = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (out < 0) contained("socket: %s", error_name());
  if (send_with(out, &to[1], SCM_RIGHTS, &here, sizeof here) == 1) escaped("a descriptor went out");
  contained("sendmsg: %s", error_name());
}
