/* Connects to a TCP listener on the host's loopback, port argv[1], over IPv4 and IPv6.
 * Rings: seccomp (no socket(2)), net namespace (its own loopback), Landlock, nftables. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  const uint16_t port = htons((uint16_t)atoi(argument(argc, argv, 1)));
  struct sockaddr_in v4 = {
      .sin_family = AF_INET, .sin_port = port, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct sockaddr_in6 v6 = {
      .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  const int a = socket(AF_INET, SOCK_STREAM, 0);
  const char* how = error_name();
  if (a >= 0 && connect(a, (struct sockaddr*)&v4, sizeof v4) == 0) escaped("connected over IPv4");
  const int b = socket(AF_INET6, SOCK_STREAM, 0);
  if (b >= 0 && connect(b, (struct sockaddr*)&v6, sizeof v6) == 0) escaped("connected over IPv6");
  if (a >= 0 || b >= 0) contained("connect: %s", error_name());
  contained("socket: %s", how);
}
