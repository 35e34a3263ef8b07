// Turnstile: who is next. Everybody stands in one tree — agent, session, connection — in which each
// node has a bound on what passes at once and on what waits, and takes turns with its siblings.
//
//   Turnstile calls({{32, 384}, {16, 256}, {8, 128}});   // all together, one agent, one session
//   auto ticket = calls.Enter({"uid:1000", session, "7"});
//   if (!ticket) …                                        // too many wait: busy
//   while (auto next = calls.Next(may_pass)) …            // in turn; `next` is a ticket
//   calls.Done(*ticket);
//
// A quarter of each bound (rounded down) is kept for those who have nothing yet: whoever fills all
// the rest cannot shut a newcomer out. Turns are taken at every level, so a session with a hundred
// connections waits as long for its next call as a session with one.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace krux::gateway {

class Turnstile {
 public:
  // Bounds of a node: how many below it may have passed and not be done, and how many may wait.
  struct Level {
    size_t passed = 0;
    size_t waiting = 0;
  };
  // From the widest to the narrowest, one key per level of children.
  using Path = std::vector<std::string>;

  // `levels[0]` bounds all together, `levels[i]` a node that i keys name. A Path has at least as
  // many keys as there are levels.
  explicit Turnstile(std::vector<Level> levels) : levels_(std::move(levels)) {}
  Turnstile(const Turnstile&) = delete;
  Turnstile& operator=(const Turnstile&) = delete;

  // A ticket, or nothing where too many wait already.
  std::optional<uint64_t> Enter(const Path& path);
  // Whether Enter(path) would answer with a ticket.
  bool HasPlace(const Path& path) const;
  using MayPass = std::function<bool(uint64_t ticket)>;
  // The next ticket that passes, if one may. Where `may_pass` says no to the first of a line, the
  // others have the turn.
  std::optional<uint64_t> Next(const MayPass& may_pass);
  // The holder of `ticket` is done, or goes away while it waits. A second time does nothing.
  void Done(uint64_t ticket);

  size_t waiting() const { return root_.waiting; }
  size_t passed() const { return root_.passed; }

 private:
  struct Node {
    size_t passed = 0;
    size_t waiting = 0;
    std::map<std::string, std::unique_ptr<Node>> children;
    std::list<std::string> turns;  // children in which something waits, whose turn is next first
    std::deque<uint64_t> queue;    // of a leaf
  };
  struct Holder {
    Path path;
    bool passed = false;
  };
  // The nodes of `path` from the root to the leaf.
  std::vector<Node*> Nodes(const Path& path);
  bool Room(size_t depth, const Node& node, const Node* child, size_t Level::* bound,
            size_t Node::* count) const;
  std::optional<uint64_t> Pick(Node& node, size_t depth, const MayPass& may_pass);
  void Pass(uint64_t ticket);
  void Prune(const Path& path);

  std::vector<Level> levels_;
  Node root_;
  std::map<uint64_t, Holder> holders_;
  uint64_t next_ticket_ = 1;
};

}  // namespace krux::gateway
