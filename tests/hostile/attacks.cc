#include "tests/hostile/attacks.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

#include <random>
#include <thread>

#include "gateway/client/client.h"

namespace krux::hostile {
namespace {

using gateway::Client;
using gateway::Encode;

Result<Client> Enter(const Field& field, const std::string& work) {
  Client client = KRUX_TRY(Client::Connect(field.paths));
  const gateway::WorkDir dir = KRUX_TRY(gateway::ChooseWork(work));
  KRUX_TRY(client.Open(dir));
  return client;
}

cbor::Bytes CallFrame(uint64_t id, const cbor::Bytes& session, const std::string& path) {
  return Encode(gateway::CallRequest{id, session, "fs.read", cbor::Map{{"path", path}}, {}});
}

cbor::Bytes SessionOf(Client& client, const std::string& work) {
  const auto dir = gateway::ChooseWork(work);
  if (!dir) return cbor::Bytes(16);
  const auto opened = client.Open(*dir);
  return opened ? opened->session : cbor::Bytes(16);
}

template <typename F>
void Threads(int count, F body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([body, i] { body(i); });
  for (std::thread& thread : threads) thread.join();
}

// Half of them say hello; the others are thrown out in time and come again.
void Idle(const Field& field, Tally& tally) {
  std::vector<Channel> held;
  std::vector<Client> polite;
  while (held.size() < 500 || polite.size() < 500) {
    auto channel = Channel::Connect(field.paths.gateway_socket);
    if (channel && held.size() < 500) held.push_back(std::move(*channel));
    auto client = Client::Connect(field.paths);
    if (client && polite.size() < 500) polite.push_back(std::move(*client));
    tally.done = held.size() + polite.size();
  }
  for (;;) {
    for (Channel& channel : held) {
      const auto said = channel.ReceiveWithin(0, 0);
      if (!said || !said->eof) continue;
      if (auto again = Channel::Connect(field.paths.gateway_socket)) channel = std::move(*again);
    }
    poll(nullptr, 0, 200);
  }
}

class Frames {
 public:
  Frames(uint64_t seed, const cbor::Bytes& session, const std::string& path) : random_(seed) {
    seeds_ = {Encode(gateway::HelloRequest{}),
              Encode(gateway::OpenRequest{.profile = "read_only"}),
              CallFrame(7, session, path),
              Encode(gateway::CallRequest{8, session, "proc.exec",
                                          cbor::Map{{"argv", cbor::Array{"id"}}}, "read_only"}),
              Encode(gateway::StatusRequest{}),
              Encode(gateway::CheckpointRequest{}),
              Encode(gateway::StopRequest{})};
  }
  // A valid frame with bits flipped, cut, lengthened, or with another frame's tail; or noise.
  cbor::Bytes Next() {
    cbor::Bytes frame = seeds_[Below(seeds_.size())];
    switch (Below(5)) {
      case 0:
        for (size_t flips = 1 + Below(4); flips > 0; --flips)
          frame[Below(frame.size())] ^= static_cast<uint8_t>(1u << Below(8));
        return frame;
      case 1:
        frame.resize(1 + Below(frame.size()));
        return frame;
      case 2:
        frame.insert(frame.begin() + static_cast<std::ptrdiff_t>(Below(frame.size())),
                     static_cast<uint8_t>(random_()));
        return frame;
      case 3: {
        const cbor::Bytes& other = seeds_[Below(seeds_.size())];
        frame.resize(1 + Below(frame.size()));
        frame.insert(frame.end(), other.begin() + static_cast<std::ptrdiff_t>(Below(other.size())),
                     other.end());
        return frame;
      }
      default:
        frame.resize(1 + Below(Below(50) == 0 ? kMaxPacket : 300));
        for (uint8_t& byte : frame) byte = static_cast<uint8_t>(random_());
        return frame;
    }
  }

 private:
  size_t Below(size_t n) { return static_cast<size_t>(random_() % n); }
  std::mt19937_64 random_;
  std::vector<cbor::Bytes> seeds_;
};

// Random and mutated frames on four connections; each gets exactly one answer.
void RandomFrames(const Field& field, Tally& tally) {
  constexpr int kConnections = 4;
  Threads(kConnections, [&](int i) {
    auto client = Enter(field, field.attacker_work);
    if (!client) {
      ++tally.wrong;
      return;
    }
    const cbor::Bytes session = SessionOf(*client, field.attacker_work);
    Frames frames(field.seed + static_cast<uint64_t>(i), session, field.attacker_work + "/file");
    for (uint64_t n = 0; n < field.frames / kConnections; ++n) {
      if (!client->channel().Send(frames.Next())) break;
      const auto answer = client->channel().ReceiveWithin(30'000, 1);
      if (!answer || answer->eof) break;
      ++tally.done;
    }
  });
  if (tally.done != field.frames / kConnections * kConnections) ++tally.wrong;
  tally.finished = 1;
}

// Sixteen clients that hang up at every moment of a call, again and again.
void HangUps(const Field& field, Tally& tally) {
  Threads(16, [&](int i) {
    std::mt19937_64 random(field.seed + static_cast<uint64_t>(i));
    for (;;) {
      auto client = Enter(field, field.attacker_work);
      if (!client) continue;
      const cbor::Bytes session = SessionOf(*client, field.attacker_work);
      const uint64_t calls = 1 + random() % 3;
      for (uint64_t id = 1; id <= calls; ++id) {
        (void)client->channel().Send(CallFrame(id, session, field.attacker_work + "/file"));
      }
      if (random() % 2 == 0) poll(nullptr, 0, static_cast<int>(random() % 15));
      ++tally.done;
    }
  });
}

// Sixteen clients that ask for large results and never read one.
void SlowReaders(const Field& field, Tally& tally) {
  Threads(16, [&](int) {
    auto client = Enter(field, field.attacker_work);
    if (!client) return;
    const cbor::Bytes session = SessionOf(*client, field.attacker_work);
    for (uint64_t id = 1;; ++id) {
      if (!client->channel().Send(CallFrame(id, session, field.attacker_work + "/large")) &&
          errno != EAGAIN)
        return;
      ++tally.done;  // blocks when the gateway reads it no more
    }
  });
}

// An `open` whose socketpair holds nothing, the wrong thing, or is none.
void Openers(const Field& field, Tally& tally) {
  Threads(16, [&](int i) {
    std::mt19937_64 random(field.seed + static_cast<uint64_t>(i));
    auto client = Client::Connect(field.paths);
    const cbor::Bytes open = Encode(gateway::OpenRequest{});
    for (;;) {
      const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
      auto pair = Channel::Pair();
      if (!client || !pair) return;
      const uint8_t mark = 'w';
      const int null_fd[] = {null.get()};
      if (random() % 2 == 0) (void)pair->first.Send(std::span(&mark, 1), null_fd);
      const int end[] = {random() % 4 == 0 ? null.get() : pair->second.fd()};
      if (!client->channel().Send(open, end)) return;
      const auto answer = client->channel().ReceiveWithin(30'000, 0);
      if (!answer || answer->eof) return;
      const auto value = cbor::Decode(answer->bytes);
      if (!value || *gateway::MessageTypeOf(*value) != "error") ++tally.wrong;
      ++tally.done;
    }
  });
}

// Sixteen clients whose every call is refused and so recorded.
void Refusals(const Field& field, Tally& tally) {
  Threads(16, [&](int) {
    auto client = Enter(field, field.attacker_work);
    while (client) {
      const auto reply = client->Call("fs.read", {{"path", "/etc/shadow"}});
      if (!reply) return;
      if (reply->code != ExitCode::kDenied && reply->code != ExitCode::kBusy) ++tally.wrong;
      ++tally.done;
    }
  });
}

void Callers(const Field& field, Tally& tally, const std::string& work) {
  Threads(64, [&](int) {
    auto client = Enter(field, work);
    if (!client) ++tally.wrong;
    while (client) {
      const auto reply = client->Call("fs.read", {{"path", work + "/file"}});
      if (!reply) {
        ++tally.wrong;
        return;
      }
      if (reply->code != ExitCode::kOk && reply->code != ExitCode::kBusy) ++tally.wrong;
      if (reply->code == ExitCode::kOk) ++tally.done;
    }
  });
}

void CallersElsewhere(const Field& field, Tally& tally) {
  Callers(field, tally, field.attacker_work);
}
void CallersBeside(const Field& field, Tally& tally) { Callers(field, tally, field.victim_work); }

constexpr Attack kAttacks[] = {
    {"idle", "1,000 connections that do nothing, half of them without hello", 1, Idle},
    {"frames", "random and mutated frames on 4 connections", 1, RandomFrames},
    {"hangups", "16 clients that hang up in the middle of calls, in a loop", 1, HangUps},
    {"slow", "16 clients that ask for 4 MiB each time and never read", 1, SlowReaders},
    {"openers", "16 clients that open without handing over a folder", 1, Openers},
    {"refusals", "16 clients whose every call is denied and recorded", 1, Refusals},
    {"clients", "64 clients of another session, one call after the other", 1, CallersElsewhere},
    {"equals", "64 clients of the same session, one call after the other", 65, CallersBeside},
};

}  // namespace

std::span<const Attack> Attacks() { return kAttacks; }

const Attack* FindAttack(std::string_view name) {
  for (const Attack& attack : kAttacks) {
    if (attack.name == name) return &attack;
  }
  return nullptr;
}

}  // namespace krux::hostile
