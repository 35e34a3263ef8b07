#include "sandbox/watches.h"

#include <algorithm>
#include <cerrno>

#include "sandbox/watch.h"

namespace krux::sandbox {
namespace {

constexpr uint64_t kAnswerNs = 10'000'000'000;
constexpr const char* kEnded =
    "the watch over secrets ended, so that nobody can say what programs saw; call again";
constexpr const char* kSilent =
    "the watch over secrets did not answer in 10 s: too much changes in the work directory; call "
    "again";

}  // namespace

uint64_t Watches::Add(Channel channel, Owner owner) {
  Entry& entry = entries_.emplace_back();
  entry.id = ++last_id_;
  entry.channel = std::move(channel);
  entry.owner = std::move(owner);
  if (!entry.channel.SetNonBlocking(true)) entry.broken = kEnded;
  return entry.id;
}

void Watches::Retain(const std::vector<uint64_t>& used) {
  std::erase_if(entries_, [&](const Entry& entry) {
    return std::find(used.begin(), used.end(), entry.id) == used.end();
  });
}

uint64_t Watches::Ping(uint64_t watch, uint64_t now_ns) {
  const auto entry =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.id == watch; });
  if (entry == entries_.end()) return 0;
  WatchCommand command;
  command.kind = WatchCommand::kPing;
  command.number = ++entry->pinged;
  if (entry->asked_ns == 0) entry->asked_ns = now_ns;
  if (!entry->channel.Send({reinterpret_cast<const uint8_t*>(&command), sizeof(command)}) &&
      entry->broken.empty())
    entry->broken = kEnded;
  return entry->pinged;
}

bool Watches::Answered(uint64_t watch, uint64_t number) const {
  const auto entry =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.id == watch; });
  return entry == entries_.end() || entry->ponged >= number;
}

void Watches::AddTo(std::vector<pollfd>& fds) const {
  for (const Entry& entry : entries_) fds.push_back({entry.channel.fd(), POLLIN, 0});
}

void Watches::Read(Entry& entry, uint64_t now_ns) {
  for (;;) {
    const Result<Packet> packet = entry.channel.Receive(0);
    if (!packet && packet.error().sys_errno == EAGAIN) return;
    const Result<WatchReport> report = packet && !packet->eof
                                           ? DecodeReport(packet->bytes)
                                           : Fail(ExitCode::kSandbox, "watch", "ended");
    const auto* lost = report ? std::get_if<WatchLost>(&*report) : nullptr;
    const auto* pong = report ? std::get_if<WatchPong>(&*report) : nullptr;
    if (pong == nullptr || pong->number > entry.pinged) {
      entry.broken = lost != nullptr ? lost->message : kEnded;
      return;
    }
    entry.ponged = pong->number;
    entry.asked_ns = entry.ponged == entry.pinged ? 0 : now_ns;
  }
}

std::vector<Watches::Loss> Watches::Serve(const std::vector<pollfd>& fds, size_t first,
                                          uint64_t now_ns) {
  std::vector<Loss> losses;
  for (auto entry = entries_.begin(); entry != entries_.end(); ++first) {
    if (entry->broken.empty() && fds[first].revents != 0) Read(*entry, now_ns);
    const bool overdue = entry->asked_ns != 0 && now_ns >= entry->asked_ns + kAnswerNs;
    if (overdue && entry->broken.empty()) entry->broken = kSilent;
    if (entry->broken.empty()) {
      ++entry;
      continue;
    }
    losses.push_back({entry->id, std::move(entry->owner), entry->broken});
    entry = entries_.erase(entry);
  }
  return losses;
}

uint64_t Watches::deadline_ns() const {
  uint64_t nearest = UINT64_MAX;
  for (const Entry& entry : entries_) {
    if (!entry.broken.empty()) return 0;
    if (entry.asked_ns != 0) nearest = std::min(nearest, entry.asked_ns + kAnswerNs);
  }
  return nearest;
}

}  // namespace krux::sandbox
