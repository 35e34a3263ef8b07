#include "tests/audit/log_fixture.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "audit/segment.h"

namespace krux::audit {
namespace fs = std::filesystem;

namespace {

// chattr -a: where the tests run as root, segments are append-only.
void MakeRemovable(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  int flags = 0;
  if (!fd.valid() || ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) return;
  if ((flags & FS_APPEND_FL) == 0) return;
  flags &= ~FS_APPEND_FL;
  ioctl(fd.get(), FS_IOC_SETFLAGS, &flags);
}

}  // namespace

TestFolder::TestFolder(Place place) {
  const char* base = std::getenv("TMPDIR");
  if (place == kMemory && access("/dev/shm", W_OK) == 0) base = "/dev/shm";
  std::string pattern = std::string(base != nullptr ? base : "/tmp") + "/krux-audit-test-XXXXXX";
  path_ = mkdtemp(pattern.data());
}

TestFolder::~TestFolder() {
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(path_, ignored)) {
    if (entry.is_regular_file(ignored)) MakeRemovable(entry.path());
  }
  fs::remove_all(path_, ignored);
}

std::string TestFolder::log_folder() const {
  if (!fs::exists(log_dir())) return {};
  for (const auto& entry : fs::directory_iterator(log_dir())) {
    if (entry.path().filename().string().size() == 32) return entry.path();
  }
  return {};
}

std::string TestFolder::SegmentPath(uint64_t first_seq) const {
  return log_folder() + "/" + SegmentName(first_seq);
}

std::vector<std::string> TestFolder::Names(const std::string& prefix) const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(log_folder())) {
    const std::string name = entry.path().filename();
    if (name.starts_with(prefix)) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

void TestFolder::CopyTo(const TestFolder& to) const {
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(to.path_, ignored)) {
    if (entry.is_regular_file(ignored)) MakeRemovable(entry.path());
  }
  fs::remove_all(to.path_);
  fs::copy(path_, to.path_, fs::copy_options::recursive);
}

LogOptions TestFolder::Options(Io* io) const {
  LogOptions options;
  options.dir = log_dir();
  options.public_key = public_key();
  options.segment_bytes = 2 << 20;
  options.io = io;
  return options;
}

verify::Report TestFolder::Verify() const {
  return verify::VerifyLog(log_dir(),
                           {.public_key = public_key(), .expected_head = {}, .live = false});
}

std::vector<uint8_t> ReadBytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void WriteBytes(const std::string& path, const std::vector<uint8_t>& bytes) {
  MakeRemovable(path);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
}

cbor::Bytes Id(uint8_t n) { return cbor::Bytes(16, n); }

namespace {

Draft CallDraft(uint8_t call, const std::string& path, DecisionCode decision) {
  Intent intent;
  intent.call_id = Id(call);
  intent.session = Id(0xaa);
  intent.agent = "uid:1000";
  intent.capability = "fs.read";
  intent.args = cbor::Map{{"path", path}};
  intent.decision = decision;
  intent.rules = {"read_only:3 paths.read"};
  intent.policy_hash = cbor::Bytes(32, 7);
  intent.state_before = cbor::Map{{0u, 0u}, {1u, 4u}};
  intent.state_after = cbor::Map{{0u, 1u}, {1u, 5u}};
  intent.inputs = cbor::Map{{"now_ms", 1700000000000u}};
  intent.footprint = cbor::Map{{"writes", false}};
  intent.layers_required = 0x3ff;
  intent.peer = cbor::Map{{"pid", 42u}, {"uid", 1000u}, {"gid", 1000u}};
  return ToDraft(intent);
}

}  // namespace

Draft IntentDraft(uint8_t call, const std::string& path) {
  return CallDraft(call, path, DecisionCode::kAllow);
}

Draft DenialDraft(uint8_t call) { return CallDraft(call, "/etc/shadow", DecisionCode::kDeny); }

Draft OutcomeDraft(uint8_t call, uint64_t intent_seq) {
  Outcome outcome;
  outcome.call_id = Id(call);
  outcome.intent_seq = intent_seq;
  outcome.status = Status::kOk;
  outcome.result = cbor::Map{{"bytes", 12u}};
  outcome.result_bytes = 12;
  outcome.cpu_us = 900;
  outcome.receipt = cbor::Map{{"pid", cbor::Array{4711u, "kernel"}}};
  return ToDraft(outcome);
}

std::string Describe(const verify::Report& report) {
  std::string text = "exit " + std::to_string(report.exit) + ", " + std::to_string(report.records) +
                     " records, " + std::to_string(report.signed_size) + " signed";
  for (const verify::Fault& fault : report.faults) {
    text += "\n  " + fault.file + ":" + std::to_string(fault.offset) + ": " + fault.text;
  }
  return text;
}

int FaultyIo::Hook(const char* call) {
  calls.emplace_back(call);
  return fail ? fail(call, Count(call)) : 0;
}

int FaultyIo::Count(const std::string& call) const {
  return static_cast<int>(std::ranges::count(calls, call));
}

int FaultyIo::OpenAt(int dir, const char* name, int flags, mode_t mode) {
  const int e = Hook((flags & O_CREAT) != 0 ? "create" : "open");
  return e < 0 ? e : Io::OpenAt(dir, name, flags, mode);
}

ssize_t FaultyIo::Writev(int fd, const iovec* parts, int count) {
  if (const int e = Hook("writev"); e < 0) return e;
  std::vector<iovec> cut;
  size_t left = longest_write;
  for (int i = 0; i < count && left > 0; ++i) {
    cut.push_back({parts[i].iov_base, std::min(parts[i].iov_len, left)});
    left -= cut.back().iov_len;
  }
  return Io::Writev(fd, cut.data(), static_cast<int>(cut.size()));
}

int FaultyIo::Fdatasync(int fd) {
  synced_fds.push_back(fd);
  const int e = Hook("fdatasync");
  return e < 0 ? e : Io::Fdatasync(fd);
}

int FaultyIo::Fsync(int fd) {
  const int e = Hook("fsync");
  return e < 0 ? e : Io::Fsync(fd);
}

int FaultyIo::Reserve(int fd, uint64_t size) {
  const int e = Hook("reserve");
  return e < 0 ? e : Io::Reserve(fd, size);
}

int FaultyIo::Truncate(int fd, uint64_t size) {
  const int e = Hook("truncate");
  return e < 0 ? e : Io::Truncate(fd, size);
}

int FaultyIo::Rename(int dir, const char* from, const char* to) {
  const int e = Hook("rename");
  return e < 0 ? e : Io::Rename(dir, from, to);
}

int FaultyIo::Unlink(int dir, const char* name) {
  const int e = Hook("unlink");
  return e < 0 ? e : Io::Unlink(dir, name);
}

}  // namespace krux::audit
