#include "policy/match_net.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace krux::policy {
namespace {

std::unexpected<Error> BadPattern(std::string_view text, std::string_view why) {
  std::string message = "pattern `";
  message.append(text).append("` ").append(why);
  return Fail(ExitCode::kConfig, "policy", std::move(message));
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool Digit(char c) { return c >= '0' && c <= '9'; }

std::string Lowered(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), Lower);
  return lower;
}

// RFC 1035 §2.3.4: a label has 1 to 63 bytes. `_` is used in practice.
bool IsLabel(std::string_view label) {
  return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
         std::ranges::all_of(label, [](char c) {
           return (c >= 'a' && c <= 'z') || Digit(c) || c == '-' || c == '_';
         });
}

// The labels of a name in lower case, without the last dot. Nothing for what is no name: a last
// label of digits belongs to an address (WHATWG URL §3.5).
std::optional<std::vector<std::string>> Labels(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > 253) return std::nullopt;
  const std::string lower = Lowered(name);
  std::vector<std::string> labels;
  for (size_t at = 0; at <= lower.size();) {
    const size_t end = std::min(lower.find('.', at), lower.size());
    labels.push_back(lower.substr(at, end - at));
    if (!IsLabel(labels.back())) return std::nullopt;
    at = end + 1;
  }
  const std::string& last = labels.back();
  if (std::ranges::all_of(last, Digit) || (last.starts_with("0x") && last.size() <= 10))
    return std::nullopt;
  return labels;
}

// "=7f000001": one spelling for one address; no label begins with `=`. An IPv4 address inside IPv6
// (RFC 4291 §2.5.5.2) is that IPv4 address: the packets go there.
std::optional<std::string> Address(std::string_view host) {
  std::array<unsigned char, 16> bytes{};
  size_t size = 4;
  const std::string text(host);
  if (text.find('\0') != std::string::npos) return std::nullopt;
  if (inet_pton(AF_INET, text.c_str(), bytes.data()) != 1) {
    if (inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) return std::nullopt;
    size = 16;
    static constexpr std::array<unsigned char, 12> kMapped = {0, 0, 0, 0, 0,    0,
                                                              0, 0, 0, 0, 0xff, 0xff};
    if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) {
      std::copy(bytes.begin() + 12, bytes.end(), bytes.begin());
      size = 4;
    }
  }
  std::string hex = "=";
  for (size_t i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[bytes[i] >> 4];
    hex += "0123456789abcdef"[bytes[i] & 15];
  }
  return hex;
}

std::optional<uint16_t> Port(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0 || text[0] == '0')
    return std::nullopt;
  return port;
}

// Host and port as they stand in "host:port" or "[v6]:port"; the host keeps no brackets.
struct HostPort {
  std::string_view host, port;
  bool brackets = false;
};

std::optional<HostPort> Split(std::string_view text) {
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos || text.substr(close + 1, 1) != ":") return std::nullopt;
    return HostPort{text.substr(1, close - 1), text.substr(close + 2), true};
  }
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos)
    return std::nullopt;
  return HostPort{text.substr(0, colon), text.substr(colon + 1), false};
}

// A path of a ref or a URL pattern goes through the rules of CompilePath, one truth for wildcards.
Membership Refuse(const Scope& scope, std::string_view why) {
  Membership out{false, std::string(why)};
  if (!scope.clauses.empty() && out.rule.empty()) out.rule = scope.clauses.back().rule;
  return out;
}

}  // namespace

Result<Pattern> CompileHost(std::string_view text, std::string_view rule) {
  const std::optional<HostPort> split = Split(text);
  if (text.size() > kMaxPatternBytes || !split || split->host.empty()) {
    return BadPattern(text,
                      "is no host with its port; write it like `docs.python.org:443`, "
                      "`*.example.org:443` or `[2001:db8::1]:443`");
  }
  if (split->port != "*" && !Port(split->port))
    return BadPattern(text, "needs a port from 1 to 65535 behind the `:`, or `*` for any");
  Pattern pattern{{}, false, std::string(text), std::string(rule)};
  std::string_view host = split->host;
  if (const std::optional<std::string> address = Address(host)) {
    if (split->brackets != (host.find(':') != std::string_view::npos))
      return BadPattern(text, "has brackets around what is no IPv6 address");
    pattern.parts = {*address, std::string(split->port)};
    return pattern;
  }
  if (split->brackets) return BadPattern(text, "has no IPv6 address between its brackets");
  if (host.starts_with("*.")) {
    pattern.parts = {"*", "**"};  // at least one label
    host.remove_prefix(2);
  }
  if (host.find('*') != std::string_view::npos) {
    return BadPattern(text,
                      "has a `*` that is not the whole first label; `*.example.org:443` covers "
                      "every name below `example.org`, and \"any\" instead of a list every host");
  }
  const auto labels = Labels(host);
  if (!labels) {
    return BadPattern(text,
                      "is no host name or address; names have letters, digits and `-`, and "
                      "other scripts are written in their `xn--` form");
  }
  pattern.parts.insert(pattern.parts.end(), labels->begin(), labels->end());
  pattern.parts.emplace_back(split->port);
  return pattern;
}

Membership CheckHost(const Scope& scope, std::string_view host, uint16_t port) {
  if (port == 0) return Refuse(scope, "the port is 0");
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  std::vector<std::string> parts;
  if (const auto address = Address(host)) {
    parts = {*address};
  } else if (auto labels = Labels(host)) {
    parts = std::move(*labels);
  } else {
    return Refuse(scope, "the host is no name and no address");
  }
  parts.push_back(std::to_string(port));
  return CheckArgv(scope, parts);
}

std::string CanonicalUrl(std::string_view url) {
  const auto plain = [](char c) { return c > ' ' && c < '\x7f' && c != '\\' && c != '#'; };
  if (url.size() > 4096 || !std::ranges::all_of(url, plain)) return "";
  const size_t colon = url.find("://");
  if (colon == std::string_view::npos) return "";
  const std::string scheme = Lowered(url.substr(0, colon));
  if (scheme != "http" && scheme != "https") return "";
  std::string_view rest = url.substr(colon + 3);
  const size_t slash = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view authority = rest.substr(0, slash);
  rest.remove_prefix(slash);
  if (authority.find('@') != std::string_view::npos) return "";
  const std::string with_port =
      std::string(authority) + (authority.ends_with(']') || authority.find(':') == authority.npos
                                    ? scheme == "https" ? ":443" : ":80"
                                    : "");
  const auto split = Split(with_port);
  if (!split || !Port(split->port)) return "";
  std::string host;
  if (Address(split->host)) {
    if (split->brackets != (split->host.find(':') != std::string_view::npos)) return "";
    host = split->brackets ? "[" + Lowered(split->host) + "]" : std::string(split->host);
  } else if (const auto labels = split->brackets ? std::nullopt : Labels(split->host)) {
    for (const std::string& label : *labels) host += (host.empty() ? "" : ".") + label;
  } else {
    return "";
  }
  const bool usual = split->port == (scheme == "https" ? "443" : "80");
  return scheme + "://" + host + (usual ? "" : ":" + std::string(split->port)) +
         (rest.starts_with('/') ? "" : "/") + std::string(rest);
}

Result<Pattern> CompileUrl(std::string_view text, std::string_view rule) {
  const std::string canonical = CanonicalUrl(text);
  if (text.size() > kMaxPatternBytes || canonical.empty()) {
    return BadPattern(text,
                      "is no whole URL; write it like `https://docs.python.org/3/`, without "
                      "user, fragment or blanks");
  }
  if (canonical.find('*') != std::string::npos)
    return BadPattern(text, "has a `*`; an exact URL knows no wildcards, [net] allow does");
  std::string literal;
  for (const char c : canonical) {
    if (c == '?') literal += '\\';
    literal += c;
  }
  return Pattern{{std::move(literal)}, false, std::string(text), std::string(rule)};
}

Membership CheckUrl(const Scope& scope, std::string_view url) {
  const std::string canonical = CanonicalUrl(url);
  if (canonical.empty()) return Refuse(scope, "the URL is malformed");
  return CheckName(scope, canonical);
}

Result<Pattern> CompileRef(std::string_view text, std::string_view rule) {
  if (!text.starts_with("refs/") && !text.starts_with("**/")) {
    return BadPattern(text, "is no ref in full; write `refs/heads/main` for the branch `main`");
  }
  // The wildcards of a path, one component at a time.
  Result<Pattern> pattern =
      CompilePath(text.starts_with("**/") ? std::string(text) : "/" + std::string(text), rule);
  if (!pattern) return BadPattern(text, "is no ref: it has an empty part or a wrong wildcard");
  pattern->text = std::string(text);
  return pattern;
}

Membership CheckRef(const Scope& scope, std::string_view ref) {
  // git-check-ref-format(1): no empty component, none that begins or ends in a dot, no `..`.
  if (!ref.starts_with("refs/") || ref.ends_with('/') || ref.find("//") != ref.npos ||
      ref.find("/.") != ref.npos || ref.find("..") != ref.npos) {
    return Refuse(scope, "the ref is not written in full");
  }
  return CheckPath(scope, "/" + std::string(ref));
}

}  // namespace krux::policy
