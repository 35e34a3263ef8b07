#include "sandbox/disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "sandbox/namespaces.h"

namespace krux::sandbox {

std::string DiskOf(uint64_t device, const std::string& sys) {
  const std::string path =
      sys + "/" + std::to_string(major(device)) + ":" + std::to_string(minor(device));
  // A link to …/block/vda, or of a partition to …/block/vda/vda1: the disk is the folder above.
  const UniqueFd folder(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return "";
  struct stat seen{};
  const bool partition = fstatat(folder.get(), "partition", &seen, 0) == 0;
  const Result<std::string> number = ReadFileAt(folder.get(), partition ? "../dev" : "dev", 64);
  if (!number) return "";
  return number->substr(0, number->find('\n'));
}

}  // namespace krux::sandbox
