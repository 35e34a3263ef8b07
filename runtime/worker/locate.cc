#include "runtime/worker/locate.h"

#include "base/path.h"
#include "runtime/worker/answer.h"
#include "runtime/write_risk.h"

namespace krux::runtime {
namespace {

// The innermost grant of the access `how` that holds `path`; null where there is none.
const Grant* GrantFor(const Request& request, const std::string& path, bool Grant::* how) {
  const Grant* best = nullptr;
  for (const Grant& grant : request.grants) {
    if (!(grant.*how) ||
        !krux_path_within(grant.path.data(), grant.path.size(), path.data(), path.size()))
      continue;
    if (best == nullptr || grant.path.size() > best->path.size()) best = &grant;
  }
  return best;
}

Result<std::string> PathOf(const Request& request) {
  const cbor::Value* value = request.args.Find("path");
  if (value == nullptr || value->text() == nullptr)
    return Fail(ExitCode::kInternal, "serve", "request has no path");
  // For the kernel a NUL ends the name; what the scope was asked about would be another one.
  if (value->text()->find('\0') != std::string::npos)
    return Fail(ExitCode::kBadData, "resolve", Quote(*value->text()) + " holds a NUL byte");
  return *value->text();
}

Result<void> CheckScope(const policy::Scope& scope, const char* name, const std::string& path,
                        const Found& found) {
  const policy::Membership in = policy::CheckPath(scope, found.path);
  if (in.inside) return {};
  return Fail(ExitCode::kDenied, "scope",
              Quote(path) + " is really " + Quote(found.path) + ", which is outside `" + name +
                  "` (" + in.rule + ")");
}

// What has a secret's name only after every link is gone is refused like one that was asked for.
Result<void> CheckNotSecret(const Request& request, const std::string& path, const Found& found) {
  const policy::Membership secret = policy::CheckSecret(request.secrets, found.path);
  if (!secret.inside) return {};
  return Fail(
      ExitCode::kDenied, "scope",
      Quote(path) + " is really " + Quote(found.path) + ", which is secret (" + secret.rule + ")");
}

// Calls about what is sensitive are judged by other rules: a link must not be a way around them.
Result<void> CheckNotSensitive(const Request& request, const std::string& path,
                               const Found& found) {
  if (policy::FirstMatch(request.sensitive, found.path) == nullptr) return {};
  return Fail(ExitCode::kDenied, "risk",
              Quote(path) + " is really " + Quote(found.path) +
                  ", which is sensitive (paths.sensitive); name it by that path");
}

// What was not granted does not exist here, and is not named as anything else.
std::unexpected<Error> NotThere(const std::string& path) {
  return Fail(ExitCode::kNotFound, "resolve", Quote(path) + " does not exist");
}

}  // namespace

Result<Found> Locate(const Request& request) {
  const std::string path = KRUX_TRY(PathOf(request));
  const Grant* grant = GrantFor(request, path, &Grant::read);
  if (grant == nullptr) return NotThere(path);
  Found found = KRUX_TRY(Resolve(grant->path, path));
  KRUX_TRY(CheckScope(request.read_scope, "paths.read", path, found));
  KRUX_TRY(CheckNotSecret(request, path, found));
  KRUX_TRY(CheckNotSensitive(request, path, found));
  return found;
}

Result<Found> LocatePlace(const Request& request) {
  const std::string path = KRUX_TRY(PathOf(request));
  const Grant* grant = GrantFor(request, path, &Grant::write);
  if (grant == nullptr) return NotThere(path);
  Found found = KRUX_TRY(ResolvePlace(grant->path, path));
  KRUX_TRY(CheckScope(request.write_scope, "paths.write", path, found));
  KRUX_TRY(CheckScope(request.read_scope, "paths.read", path, found));
  KRUX_TRY(CheckNotSecret(request, path, found));
  KRUX_TRY(CheckNotSensitive(request, path, found));
  if (request.as_named && found.path != path) {
    return Fail(
        ExitCode::kDenied, "label",
        Quote(path) + " is really " + Quote(found.path) +
            ", and what the session has seen is remembered with the file's path; name it by "
            "that path");
  }
  if (WriteRisk(found.path, request.work) > WriteRisk(path, request.work)) {
    return Fail(ExitCode::kDenied, "risk",
                Quote(path) + " is really " + Quote(found.path) +
                    ", which others run by themselves; name it by that path");
  }
  return found;
}

cbor::Map PathData(const Found& found) {
  cbor::Map data{{"path", SafeText(found.path)}};
  if (!krux_path_is_utf8(found.path.data(), found.path.size())) {
    data.Set("path_bytes", cbor::Bytes(found.path.begin(), found.path.end()));
  }
  return data;
}

uint64_t Number(const Request& request, const char* name) {
  const cbor::Value* value = request.args.Find(name);
  return value != nullptr && value->uint() != nullptr ? *value->uint() : 0;
}

std::string Quote(std::string_view text) { return "`" + SafeText(text) + "`"; }

}  // namespace krux::runtime
