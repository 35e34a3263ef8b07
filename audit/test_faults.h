// TestFaults: the disk of a test build (krux-auditd-hooks). An Io that fails as a file says, which
// it reads again before every call; the file is `test-faults` in the log dir. One fault a
// line:
//
//   <call>[:<file>] <error> [<first> [<last>]]      fdatasync:segment EIO 1 2
//   short:<bytes>                                   no write takes more than so many bytes
//
// <call>: open, create, writev, fdatasync, fsync, reserve, truncate, rename, unlink, stat.
// <file>: segment, checkpoints, other. Calls are counted from when the file's text changed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "audit/io.h"

namespace krux::audit {

class TestFaults : public Io {
 public:
  explicit TestFaults(std::string path) : path_(std::move(path)) {}
  int OpenAt(int dir, const char* name, int flags, mode_t mode) override;
  ssize_t Writev(int fd, const iovec* parts, int count) override;
  int Fdatasync(int fd) override;
  int Fsync(int fd) override;
  int Reserve(int fd, uint64_t size) override;
  int Truncate(int fd, uint64_t size) override;
  int StatAt(int dir, const char* name, struct stat* out) override;
  int Rename(int dir, const char* from, const char* to) override;
  int Unlink(int dir, const char* name) override;

 private:
  struct Fault {
    std::string call;
    std::string file;  // empty: any
    int error = 0;
    int first = 1;
    int last = INT32_MAX;
    int seen = 0;
  };
  void Load();
  int Hook(const std::string& call, const std::string& file);
  int Hook(const std::string& call, int fd) { return Hook(call, files_[fd]); }

  std::string path_;
  std::string text_;
  std::vector<Fault> faults_;
  size_t longest_write_ = SIZE_MAX;
  std::map<int, std::string> files_;  // what a descriptor is open on
};

}  // namespace krux::audit
