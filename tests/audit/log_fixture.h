// What the tests of audit/ share: a folder of their own, drafts that look like real ones, and an Io
// in which chosen system calls fail.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "audit/io.h"
#include "audit/log.h"
#include "audit/record.h"
#include "audit/verify/verify.h"

namespace krux::audit {

// A folder that is removed at the end, append-only files included. kMemory is a tmpfs where there
// is one: no flags, no real syncs, but thousands of runs in seconds.
class TestFolder {
 public:
  enum Place { kDisk, kMemory };
  explicit TestFolder(Place place = kDisk);
  ~TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string log_dir() const { return path_ + "/audit"; }
  std::string public_key() const { return path_ + "/audit.pub"; }
  // The one folder in log_dir() whose name is a log id; "" where there is none.
  std::string log_folder() const;
  std::string SegmentPath(uint64_t first_seq) const;
  // Names in log_folder() that start with `prefix`, sorted.
  std::vector<std::string> Names(const std::string& prefix) const;
  // Makes `to` hold what this folder holds now, as after a power cut. Flags are not copied.
  void CopyTo(const TestFolder& to) const;
  LogOptions Options(Io* io = &SystemIo()) const;
  verify::Report Verify() const;

 private:
  std::string path_;
};

std::vector<uint8_t> ReadBytes(const std::string& path);
void WriteBytes(const std::string& path, const std::vector<uint8_t>& bytes);

cbor::Bytes Id(uint8_t n);  // 16 bytes
Draft IntentDraft(uint8_t call, const std::string& path = "README.md");
Draft DenialDraft(uint8_t call);
Draft OutcomeDraft(uint8_t call, uint64_t intent_seq);

// Every fault of a report in one text, for messages of assertions.
std::string Describe(const verify::Report& report);

// Calls go to the real system unless `fail` says otherwise.
class FaultyIo : public Io {
 public:
  // Gets the name of the call ("writev", "fdatasync", "fsync", "open", "create", "reserve",
  // "rename", "unlink", "truncate") and its count so far, from 1. Answers 0 to go on, or -errno.
  std::function<int(const std::string&, int)> fail;
  size_t longest_write = SIZE_MAX;  // bytes; more comes up short
  std::vector<std::string> calls;

  int OpenAt(int dir, const char* name, int flags, mode_t mode) override;
  ssize_t Writev(int fd, const iovec* parts, int count) override;
  int Fdatasync(int fd) override;
  int Fsync(int fd) override;
  int Reserve(int fd, uint64_t size) override;
  int Truncate(int fd, uint64_t size) override;
  int Rename(int dir, const char* from, const char* to) override;
  int Unlink(int dir, const char* name) override;
  std::vector<int> synced_fds;  // every fdatasync that was let through or failed, by descriptor
  int Count(const std::string& call) const;

 private:
  int Hook(const char* call);
};

}  // namespace krux::audit
