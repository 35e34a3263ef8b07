// A second matcher, written from docs/POLICY.md and sharing no code with policy/match: patterns
// become regular expressions, and those are matched by their derivatives (Brzozowski 1964). Slow,
// short, and without a special case for anything.
//
//   Regex pattern = PathPattern("/a/**/b*");
//   Matches(pattern, "/a/x/bc")    // true
//
// A path is its components, each behind one `/`; a command its words, each behind one; a host its
// labels and its port. So one alphabet of bytes serves them all, with '/' as the separator.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace krux::policy::reference {

struct Node;
using Regex = std::shared_ptr<const Node>;

struct Node {
  enum Kind { kNone, kEmpty, kByte, kThen, kOr, kStar } kind;
  unsigned char low = 0, high = 0;  // kByte: from low to high
  Regex left, right;
};

inline Regex None() { return std::make_shared<Node>(Node{Node::kNone, 0, 0, {}, {}}); }
inline Regex Empty() { return std::make_shared<Node>(Node{Node::kEmpty, 0, 0, {}, {}}); }
inline Regex Range(unsigned char low, unsigned char high) {
  return std::make_shared<Node>(Node{Node::kByte, low, high, {}, {}});
}
inline Regex Byte(unsigned char c) { return Range(c, c); }

inline Regex Or(Regex a, Regex b) {
  if (a->kind == Node::kNone) return b;
  if (b->kind == Node::kNone) return a;
  return std::make_shared<Node>(Node{Node::kOr, 0, 0, std::move(a), std::move(b)});
}
inline Regex Then(Regex a, Regex b) {
  if (a->kind == Node::kNone || b->kind == Node::kNone) return None();
  if (a->kind == Node::kEmpty) return b;
  if (b->kind == Node::kEmpty) return a;
  return std::make_shared<Node>(Node{Node::kThen, 0, 0, std::move(a), std::move(b)});
}
inline Regex Star(Regex a) {
  return std::make_shared<Node>(Node{Node::kStar, 0, 0, std::move(a), {}});
}

inline bool Nullable(const Regex& r) {
  switch (r->kind) {
    case Node::kEmpty:
    case Node::kStar:
      return true;
    case Node::kThen:
      return Nullable(r->left) && Nullable(r->right);
    case Node::kOr:
      return Nullable(r->left) || Nullable(r->right);
    default:
      return false;
  }
}

// What is left to match after `c`.
inline Regex Derive(const Regex& r, unsigned char c) {
  switch (r->kind) {
    case Node::kByte:
      return r->low <= c && c <= r->high ? Empty() : None();
    case Node::kOr:
      return Or(Derive(r->left, c), Derive(r->right, c));
    case Node::kStar:
      return Then(Derive(r->left, c), r);
    case Node::kThen: {
      const Regex first = Then(Derive(r->left, c), r->right);
      return Nullable(r->left) ? Or(first, Derive(r->right, c)) : first;
    }
    default:
      return None();
  }
}

inline bool Matches(Regex pattern, std::string_view text) {
  for (const char c : text) pattern = Derive(pattern, static_cast<unsigned char>(c));
  return Nullable(pattern);
}

// Any byte but the separator.
inline Regex NameByte() { return Or(Range(0, '/' - 1), Range('/' + 1, 255)); }

// One ASCII character of a name: the texts of the comparison hold no others, so that `?` is a byte.
inline Regex Part(std::string_view part) {
  Regex all = Empty();
  for (size_t i = 0; i < part.size(); ++i) {
    if (part[i] == '*') {
      all = Then(all, Star(NameByte()));
    } else if (part[i] == '?') {
      all = Then(all, NameByte());
    } else {
      if (part[i] == '\\') ++i;
      all = Then(all, Byte(static_cast<unsigned char>(part[i])));
    }
  }
  return all;
}

// Each part behind a '/', `**` as any number of them.
inline Regex Parts(const std::vector<std::string>& parts) {
  Regex all = Empty();
  for (const std::string& part : parts) {
    const Regex one = Then(Byte('/'), part == "**" ? Star(NameByte()) : Part(part));
    all = Then(all, part == "**" ? Star(one) : one);
  }
  return all;
}

inline std::vector<std::string> Split(std::string_view text, char at) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == at) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// "/a/**" or "**/a".
inline Regex PathPattern(std::string_view text) {
  if (text.starts_with('/')) text.remove_prefix(1);
  return text.empty() ? Empty() : Parts(Split(text, '/'));
}

// "*.example.org:443": `*.` is one or more labels, `*` as the port any. By its definition: a label
// is whatever lies between two dots.
inline bool HostMatches(std::string_view pattern, std::string_view host, unsigned port) {
  const size_t colon = pattern.rfind(':');
  const std::string_view wanted = pattern.substr(colon + 1);
  if (wanted != "*" && wanted != std::to_string(port)) return false;
  const auto lower = [](std::string_view text) {
    std::string out;
    for (const char c : text) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (out.ends_with('.')) out.pop_back();
    return out;
  };
  const std::string name = lower(pattern.substr(0, colon)), given = lower(host);
  if (!name.starts_with("*.")) return name == given;
  const std::string suffix = name.substr(1);
  return given.size() > suffix.size() && given.ends_with(suffix);
}

}  // namespace krux::policy::reference
