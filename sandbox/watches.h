// Watches: krux-spawnd's side of the watches over secrets, one for every mount template whose
// policy names any. A watch lives as long as its template or a call that started from it.
//
//   uint64_t watch = watches.Add(std::move(made.watch), {tag, session_id});
//   uint64_t number = watches.Ping(watch, now);      // has it seen all that happened until now?
//   for (const Watches::Loss& loss : watches.Serve(fds, first)) …   // what ran must end
//   if (watches.Answered(watch, number)) …           // nothing secret was in sight until the ping
#pragma once

#include <poll.h>

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "base/cbor_value.h"
#include "base/channel.h"

namespace krux::sandbox {

class Watches {
 public:
  // Whose secrets it watches.
  struct Owner {
    uint64_t tag = 0;  // of the BuildTemplate
    cbor::Bytes session_id;
  };
  // A watch that says so, has ended, or does not answer: nothing may be believed of its template.
  struct Loss {
    uint64_t watch = 0;
    Owner owner;
    std::string why;  // a sentence for people
  };

  // Its name, never 0.
  uint64_t Add(Channel channel, Owner owner);
  // Lets go of, and so ends, every watch that is not in `used`.
  void Retain(const std::vector<uint64_t>& used);
  uint64_t Ping(uint64_t watch, uint64_t now_ns);
  // Also of a watch that is lost: then whoever asked has heard of the loss.
  bool Answered(uint64_t watch, uint64_t number) const;

  void AddTo(std::vector<pollfd>& fds) const;
  // Reads what fds[first] and on have; also what is overdue.
  std::vector<Loss> Serve(const std::vector<pollfd>& fds, size_t first, uint64_t now_ns);
  // When one becomes overdue; UINT64_MAX where none was asked.
  uint64_t deadline_ns() const;

 private:
  struct Entry {
    uint64_t id = 0;
    Channel channel;
    Owner owner;
    uint64_t pinged = 0, ponged = 0;
    uint64_t asked_ns = 0;  // when the oldest ping without an answer was sent
    std::string broken;     // why it cannot be believed any more
  };
  static void Read(Entry& entry, uint64_t now_ns);
  std::list<Entry> entries_;
  uint64_t last_id_ = 0;
};

}  // namespace krux::sandbox
