// Scopes over what is not a file: hosts with their port, whole URLs, git refs.
//
//   Scope hosts{{Clause{false, {*CompileHost("*.example.org:443", "team:9 net.allow")},
//   "team:9"}}}; CheckHost(hosts, "API.Example.org.", 443).inside    // true: case and the last dot
//   are nothing CheckHost(hosts, "example.org", 443).inside         // false: `*.` stands for at
//   least one label
//
// A host pattern is `name:port`, `*.name:port`, `1.2.3.4:port` or `[2001:db8::1]:port`; the port
// may be `*`. Names are letters, digits, `-` and `_`: what is written in other scripts goes by its
// `xn--` form. An address never matches a name, nor a name an address.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "policy/match.h"

namespace krux::policy {

Result<Pattern> CompileHost(std::string_view text, std::string_view rule);
// `host` as in a URL: a name, an IPv4 address, or an IPv6 address with or without brackets.
Membership CheckHost(const Scope& scope, std::string_view host, uint16_t port);

// A whole URL, `http` or `https`, taken literally: no wildcard, no user, no fragment.
Result<Pattern> CompileUrl(std::string_view text, std::string_view rule);
Membership CheckUrl(const Scope& scope, std::string_view url);
// The one spelling under which CheckUrl compares: scheme and host in lower case, no default port,
// no last dot, `/` for an empty path. Empty for what is no such URL.
std::string CanonicalUrl(std::string_view url);

// A git ref in full: "refs/heads/feature/**". kConfig for "main", which could be many things.
Result<Pattern> CompileRef(std::string_view text, std::string_view rule);
Membership CheckRef(const Scope& scope, std::string_view ref);

}  // namespace krux::policy
