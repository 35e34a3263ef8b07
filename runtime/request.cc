#include "runtime/request.h"

#include <algorithm>
#include <utility>

namespace krux::runtime {
namespace {

constexpr size_t kMaxItems = 4096;

cbor::Array PatternsValue(const std::vector<policy::Pattern>& patterns) {
  cbor::Array list;
  for (const policy::Pattern& pattern : patterns) {
    cbor::Array parts;
    for (const std::string& part : pattern.parts) parts.emplace_back(part);
    list.emplace_back(std::move(parts));
  }
  return list;
}

cbor::Value ClauseValue(const policy::Clause& clause) {
  cbor::Map map{{"any", clause.any}, {"allow", PatternsValue(clause.allow)}, {"rule", clause.rule}};
  if (!clause.deny.empty()) map.Set("deny", PatternsValue(clause.deny));
  return map;
}

Result<std::vector<policy::Pattern>> PatternsFrom(const cbor::Array& list,
                                                  const std::string& rule) {
  std::vector<policy::Pattern> patterns;
  for (const cbor::Value& item : list) {
    const cbor::Array* parts = item.array();
    if (parts == nullptr)
      return Fail(ExitCode::kBadData, "request", "`scope`: a pattern is no list");
    policy::Pattern pattern;
    pattern.rule = rule;
    for (const cbor::Value& part : *parts) {
      if (part.text() == nullptr)
        return Fail(ExitCode::kBadData, "request", "`scope`: a part is no text");
      pattern.parts.push_back(*part.text());
    }
    patterns.push_back(std::move(pattern));
  }
  return patterns;
}

Result<policy::Clause> ClauseFrom(const cbor::Value& value) {
  cbor::MapReader r(value, "scope");
  policy::Clause clause;
  clause.any = r.Boolean("any");
  clause.rule = r.Text("rule");
  const cbor::Array allow = r.List("allow", kMaxItems);
  const cbor::Array deny = r.Has("deny") ? r.List("deny", kMaxItems) : cbor::Array{};
  KRUX_TRY(r.Finish());
  clause.allow = KRUX_TRY(PatternsFrom(allow, clause.rule));
  clause.deny = KRUX_TRY(PatternsFrom(deny, clause.rule));
  return clause;
}

cbor::Value GrantValue(const Grant& grant) {
  std::string how;
  if (grant.read) how += 'r';
  if (grant.write) how += 'w';
  if (grant.exec) how += 'x';
  return cbor::Array{grant.path, how};
}

Result<Grant> GrantFrom(const cbor::Value& value) {
  const cbor::Array* pair = value.array();
  if (pair == nullptr || pair->size() != 2 || (*pair)[0].text() == nullptr ||
      (*pair)[1].text() == nullptr) {
    return Fail(ExitCode::kBadData, "request", "`grants`: an item is not [path, how]");
  }
  Grant grant{*(*pair)[0].text()};
  for (const char c : *(*pair)[1].text()) {
    if (c == 'r')
      grant.read = true;
    else if (c == 'w')
      grant.write = true;
    else if (c == 'x')
      grant.exec = true;
    else
      return Fail(ExitCode::kBadData, "request", "`grants`: unknown access");
  }
  return grant;
}

Result<cbor::Array> ScopeValue(const policy::Scope& scope) {
  cbor::Array clauses;
  for (const policy::Clause& clause : scope.clauses) {
    // The parts of such a pattern are relative to a WORK that nobody named; on the wire they would
    // look absolute.
    if (std::ranges::any_of(clause.allow, &policy::Pattern::in_work) ||
        std::ranges::any_of(clause.deny, &policy::Pattern::in_work))
      return Fail(ExitCode::kInternal, "plan", "a pattern of the request has no WORK yet");
    clauses.push_back(ClauseValue(clause));
  }
  return clauses;
}

Result<policy::Scope> ScopeFrom(const cbor::Array& clauses) {
  policy::Scope scope;
  for (const cbor::Value& item : clauses) scope.clauses.push_back(KRUX_TRY(ClauseFrom(item)));
  return scope;
}

// [[rule, [pattern, …]], …]: a line of a policy file holds several, and no part holds a `/`. A
// pattern without a part (everything) is the empty text.
Result<cbor::Array> SecretsValue(const std::vector<policy::Pattern>& secrets) {
  cbor::Array groups, patterns;
  const std::string* rule = nullptr;
  const auto close = [&] {
    if (rule != nullptr) groups.emplace_back(cbor::Array{*rule, std::exchange(patterns, {})});
  };
  for (const policy::Pattern& pattern : secrets) {
    if (pattern.in_work)
      return Fail(ExitCode::kInternal, "plan", "a pattern of the request has no WORK yet");
    if (rule == nullptr || *rule != pattern.rule) close();
    rule = &pattern.rule;
    std::string joined;
    for (const std::string& part : pattern.parts) joined += "/" + part;
    patterns.emplace_back(std::move(joined));
  }
  close();
  return groups;
}

Result<std::vector<policy::Pattern>> SecretsFrom(const cbor::Array& groups) {
  const auto bad = [] { return Fail(ExitCode::kBadData, "request", "`secrets` is malformed"); };
  std::vector<policy::Pattern> secrets;
  for (const cbor::Value& group : groups) {
    const cbor::Array* pair = group.array();
    if (pair == nullptr || pair->size() != 2 || (*pair)[0].text() == nullptr ||
        (*pair)[1].array() == nullptr)
      return bad();
    for (const cbor::Value& item : *(*pair)[1].array()) {
      if (item.text() == nullptr) return bad();
      policy::Pattern& pattern = secrets.emplace_back();
      pattern.rule = *(*pair)[0].text();
      const std::string& text = *item.text();
      for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('/', at + 1), text.size());
        if (text[at] != '/') return bad();
        pattern.parts.push_back(text.substr(at + 1, end - at - 1));
        at = end;
      }
    }
  }
  return secrets;
}

}  // namespace

Result<cbor::Bytes> EncodeRequest(const Request& request) {
  cbor::Array grants;
  for (const Grant& grant : request.grants) grants.push_back(GrantValue(grant));
  cbor::Array read = KRUX_TRY(ScopeValue(request.read_scope));
  cbor::Array write = KRUX_TRY(ScopeValue(request.write_scope));
  cbor::Array secrets = KRUX_TRY(SecretsValue(request.secrets));
  if (std::ranges::any_of(request.sensitive, &policy::Pattern::in_work))
    return Fail(ExitCode::kInternal, "plan", "a pattern of the request has no WORK yet");
  cbor::Bytes bytes = cbor::Encode(cbor::Map{{"cap", request.capability},
                                             {"args", request.args},
                                             {"grants", std::move(grants)},
                                             {"read_scopes", std::move(read)},
                                             {"write_scopes", std::move(write)},
                                             {"secrets", std::move(secrets)},
                                             {"sensitive", PatternsValue(request.sensitive)},
                                             {"work", request.work},
                                             {"as_named", request.as_named}});
  if (bytes.size() > kMaxRequestBytes) {
    return Fail(ExitCode::kBadData, "plan",
                "the call and the policy's patterns are larger than 40 KiB together; shorten the "
                "arguments");
  }
  return bytes;
}

Result<cbor::Bytes> EncodeSecrets(const std::vector<policy::Pattern>& secrets) {
  if (secrets.empty()) return cbor::Bytes();
  cbor::Bytes bytes = cbor::Encode(KRUX_TRY(SecretsValue(secrets)));
  if (bytes.size() > kMaxRequestBytes) {
    return Fail(
        ExitCode::kBadData, "plan",
        "the policy's `paths.secret` are larger than 40 KiB together; write fewer patterns");
  }
  return bytes;
}

Result<std::vector<policy::Pattern>> DecodeSecrets(std::span<const uint8_t> bytes) {
  const cbor::Value value = KRUX_TRY(cbor::Decode(bytes, kMaxRequestBytes));
  if (value.array() == nullptr) return Fail(ExitCode::kBadData, "request", "`secrets` is no list");
  return SecretsFrom(*value.array());
}

Result<Request> DecodeRequest(std::span<const uint8_t> bytes) {
  const cbor::Value value = KRUX_TRY(cbor::Decode(bytes, kMaxRequestBytes));
  cbor::MapReader r(value, "request");
  Request request;
  request.capability = r.Text("cap", 64);
  request.args = r.Submap("args");
  const cbor::Array grants = r.List("grants", 64);
  const cbor::Array read = r.List("read_scopes", 64);
  const cbor::Array write = r.List("write_scopes", 64);
  const cbor::Array secrets = r.List("secrets", kMaxItems);
  const cbor::Array sensitive = r.List("sensitive", kMaxItems);
  request.work = r.Text("work", 4096);
  request.as_named = r.Boolean("as_named");
  KRUX_TRY(r.Finish());
  request.secrets = KRUX_TRY(SecretsFrom(secrets));
  request.sensitive = KRUX_TRY(PatternsFrom(sensitive, "paths.sensitive"));
  for (const cbor::Value& item : grants) request.grants.push_back(KRUX_TRY(GrantFrom(item)));
  request.read_scope = KRUX_TRY(ScopeFrom(read));
  request.write_scope = KRUX_TRY(ScopeFrom(write));
  return request;
}

}  // namespace krux::runtime
