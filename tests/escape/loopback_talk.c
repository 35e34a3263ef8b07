/* Talks to itself over its own loopback: to a network namespace that is the call's own a device may
 * come, and then this is what would work.
 * Rings: seccomp (no socket(2)), net namespace (its loopback is down), nftables (drops all). */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/escape/verdict.h"

int main(void) {
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof here;
  const int in = socket(AF_INET, SOCK_DGRAM, 0);
  if (in < 0) contained("socket: %s", error_name());
  const int out = socket(AF_INET, SOCK_DGRAM, 0);
  if (bind(in, (struct sockaddr*)&here, size) != 0) contained("bind: %s", error_name());
  if (getsockname(in, (struct sockaddr*)&here, &size) != 0) broken("getsockname: %s", error_name());
  if (sendto(out, "x", 1, 0, (struct sockaddr*)&here, size) != 1)
    contained("sendto: %s", error_name());
  struct pollfd wait = {.fd = in, .events = POLLIN};
  if (poll(&wait, 1, 500) != 1) contained("recv: nothing came");
  escaped("a datagram came through");
}
