#include "sandbox/setuid_scan.h"

#include <fts.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cerrno>
#include <memory>

#include "sandbox/child.h"

namespace krux::sandbox {
namespace {

// Whether a worker may enter a directory that krux-spawnd cannot look into. krux-spawnd's privilege
// covers only ids of its own namespace, so a directory of the caller's with a foreign group shuts
// it out (capable_wrt_inode_uidgid() in the kernel) and not the worker, who owns it.
bool WorkerMayEnter(const struct stat& directory) {
  // In krux-spawnd's eyes the worker is 1100; rootless, where all ids are one, it is 0 too.
  const bool owns = directory.st_uid == kInsideId || directory.st_uid == 0;
  return owns || (directory.st_mode & (S_IXGRP | S_IXOTH)) != 0;
}

// Capabilities of a file, capabilities(7). krux-spawnd's namespace may not be told which ones they
// are (EOVERFLOW), so any answer but "there are none" counts.
bool HoldsCapabilities(const char* path) {
  return lgetxattr(path, "security.capability", nullptr, 0) >= 0 ||
         (errno != ENODATA && errno != EOPNOTSUPP && errno != ENOENT);
}

std::unexpected<Error> Unseen(const FTSENT& entry) {
  return Fail(ExitCode::kDenied, "scan work",
              "`" + std::string(entry.fts_path) +
                  "` cannot be searched for setuid files, and a program could enter "
                  "it; make it readable or use a profile that does not write");
}

}  // namespace

Result<void> RefuseSetuidFiles(const std::string& path) {
  std::string root = path;
  char* const roots[] = {root.data(), nullptr};
  const std::unique_ptr<FTS, int (*)(FTS*)> tree(
      fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, nullptr), fts_close);
  if (tree == nullptr) return SysError(ExitCode::kSandbox, "scan work", errno);
  uint64_t seen = 0;
  errno = 0;
  while (FTSENT* entry = fts_read(tree.get())) {
    if (++seen > kMaxScannedEntries) {
      return Fail(
          ExitCode::kDenied, "scan work",
          "work directory holds more than 2,000,000 files; programs may write only smaller ones");
    }
    // ENOENT: removed since its name was read. Names too long for one path end here as well.
    const bool there = entry->fts_errno != ENOENT;
    if (entry->fts_info == FTS_DNR && there && WorkerMayEnter(*entry->fts_statp))
      return Unseen(*entry);
    if (entry->fts_info == FTS_NS && there && WorkerMayEnter(*entry->fts_parent->fts_statp)) {
      return Unseen(*entry->fts_parent);
    }
    if (entry->fts_info == FTS_ERR)
      return SysError(ExitCode::kSandbox, "scan work", entry->fts_errno);
    if (entry->fts_info == FTS_F && (entry->fts_statp->st_mode & (S_ISUID | S_ISGID)) != 0) {
      return Fail(ExitCode::kDenied, "scan work",
                  "`" + std::string(entry->fts_path) +
                      "` is setuid or setgid; clear the bit (chmod ug-s) or use a "
                      "profile that does not write");
    }
    if (entry->fts_info == FTS_F && HoldsCapabilities(entry->fts_path)) {
      return Fail(ExitCode::kDenied, "scan work",
                  "`" + std::string(entry->fts_path) +
                      "` has file capabilities; remove them (setcap -r) or use a "
                      "profile that does not write");
    }
    errno = 0;
  }
  if (errno != 0) return SysError(ExitCode::kSandbox, "scan work", errno);
  return {};
}

}  // namespace krux::sandbox
