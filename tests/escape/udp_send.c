/* Sends a datagram to the host's loopback, port argv[1], and to a name server outside.
 * Rings: seccomp (no socket(2)), net namespace (no interface but its own), nftables. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)atoi(argument(argc, argv, 1))),
                           .sin_addr = {htonl(INADDR_LOOPBACK)}};
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) contained("socket: %s", error_name());
  if (sendto(fd, "x", 1, 0, (struct sockaddr*)&to, sizeof to) == 1) escaped("sent a datagram");
  contained("sendto: %s", error_name());
}
