/* Opens every family of socket that reaches the kernel or a wire without a port: raw IP, packet,
 * netlink, vsock, AF_ALG, bluetooth.
 * Rings: seccomp (no socket(2) at all), caps (raw and packet), net namespace. */
#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/escape/verdict.h"

int main(void) {
  const struct {
    int domain, type, protocol;
    const char* name;
  } tries[] = {{AF_INET, SOCK_RAW, IPPROTO_ICMP, "raw IP"},
               {AF_INET, SOCK_DGRAM, IPPROTO_ICMP, "ping"},
               {AF_PACKET, SOCK_RAW, ETH_P_ALL, "packet"},
               {AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, "netlink route"},
               {AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT, "netlink uevent"},
               {AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, "netlink netfilter"},
               {40 /* AF_VSOCK */, SOCK_STREAM, 0, "vsock"},
               {38 /* AF_ALG */, SOCK_SEQPACKET, 0, "kernel crypto"},
               {31 /* AF_BLUETOOTH */, SOCK_RAW, 1, "bluetooth"}};
  for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
    if (socket(tries[i].domain, tries[i].type, tries[i].protocol) >= 0)
      escaped("a %s socket", tries[i].name);
    if (errno != EPERM) escaped("socket(2) reached the %s family: %s", tries[i].name, error_name());
  }
  int pair[2];
  if (socketpair(AF_TIPC, SOCK_STREAM, 0, pair) == 0) escaped("a TIPC pair");
  contained("socket: EPERM");
}
