#include "gateway/turnstile.h"

#include <algorithm>
#include <utility>

namespace krux::gateway {

std::vector<Turnstile::Node*> Turnstile::Nodes(const Path& path) {
  std::vector<Node*> nodes{&root_};
  for (const std::string& key : path) {
    std::unique_ptr<Node>& child = nodes.back()->children[key];
    if (child == nullptr) child = std::make_unique<Node>();
    nodes.push_back(child.get());
  }
  return nodes;
}

// Whether `node` has room for one more of `child`, which is null where it does not exist yet.
bool Turnstile::Room(size_t depth, const Node& node, const Node* child, size_t Level::* bound,
                     size_t Node::* count) const {
  if (depth >= levels_.size()) return true;
  const size_t all = levels_[depth].*bound;
  const bool newcomer = child == nullptr || child->*count == 0;
  return node.*count < (newcomer ? all : all - all / 4);
}

bool Turnstile::HasPlace(const Path& path) const {
  static const Node kNobody;
  const Node* node = &root_;
  for (size_t depth = 0; depth < path.size(); ++depth) {
    const auto it = node->children.find(path[depth]);
    const Node* child = it == node->children.end() ? nullptr : it->second.get();
    if (!Room(depth, *node, child, &Level::waiting, &Node::waiting)) return false;
    node = child == nullptr ? &kNobody : child;
  }
  return true;
}

std::optional<uint64_t> Turnstile::Enter(const Path& path) {
  if (!HasPlace(path)) return std::nullopt;
  const std::vector<Node*> nodes = Nodes(path);
  for (size_t i = 0; i < path.size(); ++i) {
    if (nodes[i + 1]->waiting == 0) nodes[i]->turns.push_back(path[i]);
  }
  for (Node* node : nodes) ++node->waiting;
  const uint64_t ticket = next_ticket_++;
  nodes.back()->queue.push_back(ticket);
  holders_[ticket] = {path, false};
  return ticket;
}

std::optional<uint64_t> Turnstile::Next(const MayPass& may_pass) {
  const std::optional<uint64_t> ticket = Pick(root_, 0, may_pass);
  if (ticket) Pass(*ticket);
  return ticket;
}

// The first candidate in the order of turns; whoever is taken goes to the end of every line.
std::optional<uint64_t> Turnstile::Pick(Node& node, size_t depth, const MayPass& may_pass) {
  if (node.turns.empty()) {
    if (node.queue.empty()) return std::nullopt;
    const uint64_t ticket = node.queue.front();
    if (!may_pass(ticket)) return std::nullopt;
    return ticket;
  }
  for (auto turn = node.turns.begin(); turn != node.turns.end(); ++turn) {
    Node& child = *node.children.at(*turn);
    if (!Room(depth, node, &child, &Level::passed, &Node::passed)) continue;
    const std::optional<uint64_t> ticket = Pick(child, depth + 1, may_pass);
    if (!ticket) continue;
    node.turns.splice(node.turns.end(), node.turns, turn);
    return ticket;
  }
  return std::nullopt;
}

void Turnstile::Pass(uint64_t ticket) {
  Holder& holder = holders_.at(ticket);
  holder.passed = true;
  const std::vector<Node*> nodes = Nodes(holder.path);
  nodes.back()->queue.pop_front();
  for (Node* node : nodes) {
    --node->waiting;
    ++node->passed;
  }
  for (size_t i = 0; i < holder.path.size(); ++i) {
    if (nodes[i + 1]->waiting == 0) nodes[i]->turns.remove(holder.path[i]);
  }
}

void Turnstile::Done(uint64_t ticket) {
  const auto it = holders_.find(ticket);
  if (it == holders_.end()) return;
  const Holder holder = std::move(it->second);
  holders_.erase(it);
  const std::vector<Node*> nodes = Nodes(holder.path);
  for (Node* node : nodes) --(holder.passed ? node->passed : node->waiting);
  if (!holder.passed) {
    std::erase(nodes.back()->queue, ticket);
    for (size_t i = 0; i < holder.path.size(); ++i) {
      if (nodes[i + 1]->waiting == 0) nodes[i]->turns.remove(holder.path[i]);
    }
  }
  Prune(holder.path);
}

// Nodes in which nothing stands any more go, from the leaf upwards.
void Turnstile::Prune(const Path& path) {
  const std::vector<Node*> nodes = Nodes(path);
  for (size_t i = path.size(); i > 0; --i) {
    if (nodes[i]->passed + nodes[i]->waiting > 0) return;
    nodes[i - 1]->children.erase(path[i - 1]);
  }
}

}  // namespace krux::gateway
