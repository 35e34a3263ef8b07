#include "sandbox/setuid_scan.h"

#include <fts.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>

namespace krux::sandbox {

Result<void> RefuseSetuidFiles(const std::string& path) {
  std::string root = path;
  char* const roots[] = {root.data(), nullptr};
  const std::unique_ptr<FTS, int (*)(FTS*)> tree(fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, nullptr), fts_close);
  if (tree == nullptr) return SysError(ExitCode::kSandbox, "scan work", errno);
  uint64_t seen = 0;
  errno = 0;
  while (FTSENT* entry = fts_read(tree.get())) {
    if (++seen > kMaxScannedEntries) {
      return Fail(ExitCode::kDenied, "scan work",
                  "work directory holds more than 2,000,000 files; programs may write only smaller ones");
    }
    if (entry->fts_info == FTS_ERR) return SysError(ExitCode::kSandbox, "scan work", entry->fts_errno);
    if (entry->fts_info == FTS_F && (entry->fts_statp->st_mode & (S_ISUID | S_ISGID)) != 0) {
      return Fail(ExitCode::kDenied, "scan work",
                  "`" + std::string(entry->fts_path) + "` is setuid or setgid; clear the bit (chmod ug-s) or use a "
                  "profile that does not write");
    }
    errno = 0;
  }
  if (errno != 0) return SysError(ExitCode::kSandbox, "scan work", errno);
  return {};
}

}  // namespace krux::sandbox
