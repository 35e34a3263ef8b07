// Resolver: from a path to the file it names, one component at a time, never out of its grant.
//
//   Found found = KRUX_TRY(Resolve("/home/ann/project", "/home/ann/project/docs/latest/a.md"));
//   if (!policy::CheckPath(scope, found.path).inside) …       // the path it really is
//   UniqueFd file = KRUX_TRY(Reopen(found, O_RDONLY | O_NONBLOCK));
//
// Links are expanded here, not by the kernel: relative ones that stay inside the grant work,
// absolute ones and those that climb out of it do not, and every step is an openat(2) of one name,
// never `..`, with O_NOFOLLOW. That gives the path on which the scopes are matched again, which the
// kernel never tells (there is no /proc in here). openat2(2) would do no more for a single name,
// and its flags and mode lie behind a pointer, where a filter cannot look: so no worker has it.
#pragma once

#include <sys/stat.h>

#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace krux::runtime {

inline constexpr int kMaxLinks = 40;  // as the kernel's own, path_resolution(7)

struct Found {
  UniqueFd fd;       // O_PATH: names the file, cannot read it; of ResolvePlace perhaps not valid
  UniqueFd parent;   // O_PATH of the directory it was found in
  std::string name;  // in `parent`; "." for the root of the grant
  std::string path;  // without any link; bytes, perhaps not UTF-8
  struct stat stat;
};

// `root` and `path` are canonical and `path` lies in `root`. Codes: kNotFound, kDenied (the path
// leaves the grant), kBadData (too many links, too long), kFailed (no permission, other errors).
Result<Found> Resolve(const std::string& root, const std::string& path);

// The place that `path` names, for a file to be put there: links on the way are expanded as above,
// the last name is taken as it is. `fd` is not valid where nothing is there yet; a link there is
// found as a link. kNotFound: the directory does not exist.
Result<Found> ResolvePlace(const std::string& root, const std::string& path);

// Opens what was found by its name again and makes sure that it still is the same file. `flags` as
// of open(2); O_NOFOLLOW | O_CLOEXEC are added.
Result<UniqueFd> Reopen(const Found& found, int flags);

// "a directory", "a pipe", …
const char* KindOf(mode_t mode);

}  // namespace krux::runtime
