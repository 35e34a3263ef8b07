// DumpNft and NftMatches: what a network namespace really holds. Runs in krux-spawnd, never in the
// child.
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <functional>

#include "sandbox/nftables.h"
#include "sandbox/nftables/netlink_reader.h"

namespace krux::sandbox {
namespace {

constexpr size_t kMaxBytes = 64 * 1024;  // of all answers together
constexpr int kTimeoutMs = 1000;
constexpr uint32_t kFirstSequence = 0x6b727578;  // far from a batch's own, which starts at 1

struct Dump {
  std::vector<std::string> tables;
  std::vector<cbor::Map> chains;
  std::vector<std::string> expressions;
  uint64_t packets = 0;
};

std::unexpected<Error> Malformed() {
  return Fail(ExitCode::kSandbox, "nftables",
              "the kernel's answer is malformed; `krux doctor` tries the layer alone");
}

const char* FamilyName(uint8_t family) {
  switch (family) {
    case NFPROTO_INET:
      return "inet";
    case NFPROTO_IPV4:
      return "ip";
    case NFPROTO_IPV6:
      return "ip6";
    case NFPROTO_ARP:
      return "arp";
    case NFPROTO_BRIDGE:
      return "bridge";
    case NFPROTO_NETDEV:
      return "netdev";
    default:
      return "unknown";
  }
}

const char* HookName(uint32_t hook) {
  constexpr const char* kNames[] = {"prerouting", "input", "forward", "output", "postrouting"};
  return hook < std::size(kNames) ? kNames[hook] : "unknown";
}

Result<void> ReadTable(uint8_t family, Attributes attributes, Dump* dump) {
  std::string name;
  while (const Attribute* a = attributes.Next()) {
    if (a->type == NFTA_TABLE_NAME) name = a->Text();
  }
  if (attributes.malformed() || name.empty()) return Malformed();
  dump->tables.push_back(std::string(FamilyName(family)) + " " + name);
  return {};
}

// "none" for a chain that no hook calls.
const char* ReadHook(const Attribute& nested) {
  Attributes attributes(nested);
  const char* name = "unknown";
  while (const Attribute* a = attributes.Next()) {
    if (a->type == NFTA_HOOK_HOOKNUM && a->Big32()) name = HookName(*a->Big32());
  }
  return name;
}

Result<void> ReadChain(uint8_t, Attributes attributes, Dump* dump) {
  std::string name, hook = "none", policy = "none";
  while (const Attribute* a = attributes.Next()) {
    if (a->type == NFTA_CHAIN_NAME) name = a->Text();
    if (a->type == NFTA_CHAIN_HOOK) hook = ReadHook(*a);
    if (a->type == NFTA_CHAIN_POLICY) policy = a->Big32() == uint32_t{NF_DROP} ? "drop" : "accept";
  }
  if (attributes.malformed() || name.empty()) return Malformed();
  dump->chains.push_back({{"name", name}, {"hook", hook}, {"policy", policy}});
  return {};
}

uint64_t CounterPackets(const Attribute& data) {
  Attributes attributes(data);
  while (const Attribute* a = attributes.Next()) {
    if (a->type == NFTA_COUNTER_PACKETS) return a->Big64().value_or(0);
  }
  return 0;
}

// One expression of a rule: its name, and what a counter has counted.
std::string ReadExpression(const Attribute& element, uint64_t* packets) {
  Attributes attributes(element);
  std::string name;
  uint64_t counted = 0;
  while (const Attribute* a = attributes.Next()) {
    if (a->type == NFTA_EXPR_NAME) name = a->Text();
    if (a->type == NFTA_EXPR_DATA) counted = CounterPackets(*a);
  }
  if (attributes.malformed() || name.empty()) return {};
  if (name == "counter") *packets += counted;
  return name;
}

Result<void> ReadRule(uint8_t, Attributes attributes, Dump* dump) {
  std::string chain, names;
  while (const Attribute* a = attributes.Next()) {
    if (a->type == NFTA_RULE_CHAIN) chain = a->Text();
    if (a->type != NFTA_RULE_EXPRESSIONS) continue;
    Attributes list(*a);
    while (const Attribute* element = list.Next()) {
      const std::string name = ReadExpression(*element, &dump->packets);
      if (name.empty()) return Malformed();
      names += " " + name;
    }
    if (list.malformed()) return Malformed();
  }
  if (attributes.malformed() || chain.empty()) return Malformed();
  dump->expressions.push_back(chain + names);
  return {};
}

using ReadMessage = Result<void> (*)(uint8_t family, Attributes attributes, Dump* dump);

struct Request {
  uint16_t get, answer;
  ReadMessage read;
};
constexpr Request kRequests[] = {
    {NFT_MSG_GETTABLE, NFT_MSG_NEWTABLE, ReadTable},
    {NFT_MSG_GETCHAIN, NFT_MSG_NEWCHAIN, ReadChain},
    {NFT_MSG_GETRULE, NFT_MSG_NEWRULE, ReadRule},
};

class Session {
 public:
  explicit Session(int fd) : fd_(fd), deadline_(NowMs() + kTimeoutMs) {}

  Result<void> Ask(const Request& request, Dump* dump) {
    sequence_++;
    KRUX_TRY(Send(request.get));
    for (bool done = false; !done;) {
      const size_t size = KRUX_TRY(Receive());
      done = KRUX_TRY(Messages(size, request, dump));
    }
    return {};
  }

 private:
  static int64_t NowMs() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
  }

  Result<void> Send(uint16_t type) const {
    struct {
      nlmsghdr head;
      nfgenmsg family;
    } message = {};
    message.head.nlmsg_len = sizeof message;
    message.head.nlmsg_type = static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type);
    message.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.head.nlmsg_seq = sequence_;
    message.family.version = NFNETLINK_V0;  // family AF_UNSPEC: the tables of all families
    sockaddr_nl kernel = {};
    kernel.nl_family = AF_NETLINK;
    if (sendto(fd_, &message, sizeof message, MSG_DONTWAIT,
               reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0) {
      return SysError(ExitCode::kSandbox, "nftables", errno, "the dump could not be asked for");
    }
    return {};
  }

  // One datagram of the kernel.
  Result<size_t> Receive() {
    for (;;) {
      const int64_t left = deadline_ - NowMs();
      pollfd wait = {fd_, POLLIN, 0};
      const int ready = left > 0 ? poll(&wait, 1, static_cast<int>(left)) : 0;
      if (ready < 0 && errno == EINTR) continue;
      if (ready <= 0) {
        return Fail(ExitCode::kSandbox, "nftables", "the kernel did not answer the dump in time");
      }
      sockaddr_nl from = {};
      socklen_t from_size = sizeof from;
      const ssize_t size = recvfrom(fd_, buffer_, sizeof buffer_, MSG_DONTWAIT | MSG_TRUNC,
                                    reinterpret_cast<sockaddr*>(&from), &from_size);
      if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (size < 0) return SysError(ExitCode::kSandbox, "nftables", errno);
      // Other processes of the namespace can send to this socket's port id; the kernel's is 0.
      if (from.nl_pid != 0) continue;
      received_ += static_cast<size_t>(size);
      if (static_cast<size_t>(size) > sizeof buffer_ || received_ > kMaxBytes) return Malformed();
      return static_cast<size_t>(size);
    }
  }

  // True when the dump is complete.
  Result<bool> Messages(size_t size, const Request& request, Dump* dump) {
    const uint8_t* data = buffer_;
    while (size >= sizeof(nlmsghdr)) {
      nlmsghdr head;
      std::memcpy(&head, data, sizeof head);
      if (head.nlmsg_len < sizeof head || head.nlmsg_len > size) return Malformed();
      if (head.nlmsg_seq == sequence_ && KRUX_TRY(Message(head, data, request, dump))) return true;
      const size_t step = std::min<size_t>(NLMSG_ALIGN(head.nlmsg_len), size);
      data += step;
      size -= step;
    }
    return false;
  }

  Result<bool> Message(const nlmsghdr& head, const uint8_t* data, const Request& request,
                       Dump* dump) {
    if (head.nlmsg_type == NLMSG_DONE) return true;
    if (head.nlmsg_type == NLMSG_ERROR) {
      int32_t error = 0;
      if (head.nlmsg_len >= sizeof head + sizeof error) {
        std::memcpy(&error, data + sizeof head, sizeof error);
      }
      return SysError(ExitCode::kSandbox, "nftables", -error, "the dump was refused");
    }
    // Somebody changed the tables while they were read: what came is no state that ever was.
    if ((head.nlmsg_flags & NLM_F_DUMP_INTR) != 0) return Malformed();
    nfgenmsg family;
    if (head.nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | request.answer)) return Malformed();
    if (head.nlmsg_len < sizeof head + sizeof family) return Malformed();
    std::memcpy(&family, data + sizeof head, sizeof family);
    const size_t start = sizeof head + sizeof family;
    KRUX_TRY(
        request.read(family.nfgen_family, Attributes(data + start, head.nlmsg_len - start), dump));
    return false;
  }

  int fd_;
  int64_t deadline_;
  uint32_t sequence_ = kFirstSequence;
  size_t received_ = 0;
  alignas(nlmsghdr) uint8_t buffer_[16 * 1024];
};

cbor::Value Texts(std::vector<std::string> texts) {
  std::ranges::sort(texts);
  cbor::Array array;
  for (std::string& text : texts) array.emplace_back(std::move(text));
  return array;
}

cbor::Map MapOf(Dump dump) {
  std::ranges::sort(dump.chains, {}, [](const cbor::Map& m) { return *m.Find("name")->text(); });
  cbor::Array chains;
  for (cbor::Map& chain : dump.chains) chains.emplace_back(std::move(chain));
  return {{"tables", Texts(std::move(dump.tables))},
          {"chains", std::move(chains)},
          {"rules", uint64_t{dump.expressions.size()}},
          {"expressions", Texts(std::move(dump.expressions))}};
}

// What generate_main.cc makes, written down a second time.
cbor::Map Expected() {
  Dump dump;
  dump.tables = {"inet krux"};
  for (const char* hook : {"input", "forward", "output"}) {
    dump.chains.push_back({{"name", hook}, {"hook", hook}, {"policy", "drop"}});
    dump.expressions.push_back(std::string(hook) + " counter");
  }
  return MapOf(std::move(dump));
}

}  // namespace

Result<cbor::Value> DumpNft(int fd) {
  Session session(fd);
  Dump dump;
  for (const Request& request : kRequests) KRUX_TRY(session.Ask(request, &dump));
  const uint64_t packets = dump.packets;
  cbor::Map map = MapOf(std::move(dump));
  map.Set("packets", packets);
  return cbor::Value(std::move(map));
}

bool NftMatches(const cbor::Value& dump) {
  cbor::Map expected = Expected();
  const cbor::Value* packets = dump.map() != nullptr ? dump.map()->Find("packets") : nullptr;
  if (packets == nullptr || packets->uint() == nullptr) return false;
  expected.Set("packets", *packets);
  return dump == cbor::Value(std::move(expected));
}

}  // namespace krux::sandbox
