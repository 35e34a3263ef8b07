// How a log is opened: folder, lock, key, recovery, first segment.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "audit/log.h"
#include "base/digest.h"

namespace krux::audit {
namespace {

constexpr const char* kKeyName = "audit.key";
constexpr const char* kLockName = "lock";
constexpr int kLockPollMs = 10;
constexpr size_t kMaxKeyFile = 16 * 1024;
constexpr size_t kLogIdBytes = 16;

bool FromHex(std::string_view hex, cbor::Bytes* out) {
  out->clear();
  if (hex.size() % 2 != 0) return false;
  for (size_t i = 0; i < hex.size(); i += 2) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    const size_t high = kDigits.find(hex[i]);
    const size_t low = kDigits.find(hex[i + 1]);
    if (high == kDigits.npos || low == kDigits.npos) return false;
    out->push_back(static_cast<uint8_t>(high << 4 | low));
  }
  return true;
}

// random(4): one id per boot of the machine. Zeros where /proc is not there.
cbor::Bytes MachineBootId() {
  cbor::Bytes id;
  char text[40] = {};
  UniqueFd fd(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  const ssize_t n = fd.valid() ? read(fd.get(), text, sizeof text - 1) : 0;
  std::string hex(text, n > 0 ? static_cast<size_t>(n) : 0);
  std::erase_if(hex, [](char c) { return c == '-' || c == '\n'; });
  if (!FromHex(hex, &id) || id.size() != 16) id.assign(16, 0);
  return id;
}

// The file's content, or nothing where it does not exist.
Result<std::optional<std::string>> ReadText(Io& io, int dir, const char* name) {
  UniqueFd fd(io.OpenAt(dir, name, O_RDONLY, 0));
  if (fd.get() == -ENOENT) return std::nullopt;
  if (fd.get() < 0) {
    return SysError(ExitCode::kAudit, std::string("open `") + name + "`", -fd.release());
  }
  const cbor::Bytes bytes = KRUX_TRY(ReadWhole(io, fd.get(), kMaxKeyFile));
  return std::string(bytes.begin(), bytes.end());
}

Result<void> WritePublicKey(Io& io, const std::string& path, const std::string& pem) {
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(pem.data()), pem.size());
  // A file that was made for this purpose, empty and ours, in a folder that is not: fill it.
  UniqueFd fd(io.OpenAt(AT_FDCWD, path.c_str(), O_WRONLY, 0));
  if (fd.valid()) {
    iovec part{const_cast<char*>(pem.data()), pem.size()};
    uint64_t written = 0;
    KRUX_TRY(WriteAll(io, fd.get(), std::span(&part, 1), &written));
    if (const int e = io.Fsync(fd.get()); e < 0) return SysError(ExitCode::kAudit, "fsync", -e);
    return {};
  }
  const size_t slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  UniqueFd dir(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir.valid()) return SysError(ExitCode::kAudit, "open `" + folder + "`", errno);
  const Result<void> written = WriteFileDurably(
      io, dir.get(), slash == path.npos ? path : path.substr(slash + 1), 0644, bytes);
  if (written) return {};
  return Fail(ExitCode::kAudit, "public key",
              "the public key cannot be written to `" + path + "`: " + written.error().message +
                  "; make an empty file there that belongs to uid " + std::to_string(geteuid()));
}

}  // namespace

Result<std::unique_ptr<Log>> Log::Open(LogOptions options) {
  std::unique_ptr<Log> log(new Log(std::move(options)));
  log->boot_nonce_.resize(8);
  log->options_.random->Fill(log->boot_nonce_);
  KRUX_TRY(log->OpenFolder());
  KRUX_TRY(log->OpenLogFolder());
  Io& io = *log->options_.io;
  log->checkpoints_ = std::make_unique<Checkpoints>(
      KRUX_TRY(Checkpoints::Open(io, log->log_dir_.get(), log->log_id_)));
  KRUX_TRY(log->OpenKey());
  const LogState state =
      KRUX_TRY(ReadLogState(io, log->log_dir_.get(), log->log_id_, log->checkpoints_->last()));
  KRUX_TRY(log->OpenSegment(state));
  KRUX_TRY(log->Checkpoint());
  return log;
}

Result<void> Log::OpenFolder() {
  const std::string& path = options_.dir;
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return SysError(ExitCode::kAudit, "create log folder `" + path + "`", errno);
  }
  dir_ = UniqueFd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir_.valid()) return SysError(ExitCode::kAudit, "open log folder `" + path + "`", errno);
  struct stat st;
  if (fstat(dir_.get(), &st) != 0) return SysError(ExitCode::kAudit, "stat log folder", errno);
  if (st.st_uid != geteuid() || (st.st_mode & 022) != 0) {
    return Fail(ExitCode::kAudit, "log folder",
                "the log folder `" + path + "` must belong to uid " + std::to_string(geteuid()) +
                    " and be writable by nobody else");
  }
  lock_ = UniqueFd(options_.io->OpenAt(dir_.get(), kLockName, O_RDWR | O_CREAT, 0600));
  if (!lock_.valid()) return SysError(ExitCode::kAudit, "open the log's lock", -lock_.release());
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  // An open file description lock ends with the process, and no close() elsewhere can drop it
  // (fcntl(2), F_OFD_SETLK). The writer of a gateway that was killed still signs its last records.
  for (uint64_t waited = 0; fcntl(lock_.get(), F_OFD_SETLK, &lock) != 0; waited += kLockPollMs) {
    if (errno != EAGAIN && errno != EACCES)
      return SysError(ExitCode::kAudit, "lock the log", errno);
    if (waited >= options_.lock_wait_ms) {
      return Fail(ExitCode::kAudit, "lock the log",
                  "another krux-auditd has the log `" + path + "` open; stop it first");
    }
    poll(nullptr, 0, kLockPollMs);
  }
  return {};
}

Result<void> Log::OpenLogFolder() {
  std::vector<std::string> found;
  const int copy = openat(dir_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(copy), closedir);
  if (!entries) return SysError(ExitCode::kAudit, "read log folder", errno);
  while (const dirent* entry = readdir(entries.get())) {
    cbor::Bytes id;
    if (FromHex(entry->d_name, &id) && id.size() == kLogIdBytes) found.emplace_back(entry->d_name);
  }
  if (found.size() > 1) {
    return Fail(ExitCode::kAudit, "log folder",
                "`" + options_.dir + "` holds more than one log; leave only the one to go on with");
  }
  if (found.empty()) {
    struct stat st;
    if (options_.io->StatAt(dir_.get(), kKeyName, &st) == 0) {
      return Fail(
          ExitCode::kAudit, "log folder",
          "the log is gone but its key is still in `" + options_.dir +
              "`; bring the log back, or move `audit.key` and the public key away to start a "
              "new one");
    }
    log_id_.resize(kLogIdBytes);
    options_.random->Fill(log_id_);
    found.push_back(ToHex(log_id_));
    if (mkdirat(dir_.get(), found[0].c_str(), 0750) != 0) {
      return SysError(ExitCode::kAudit, "create the log's folder", errno);
    }
    if (const int e = options_.io->Fsync(dir_.get()); e < 0) {
      return SysError(ExitCode::kAudit, "fsync log folder", -e);
    }
  }
  FromHex(found[0], &log_id_);
  log_dir_ = UniqueFd(options_.io->OpenAt(dir_.get(), found[0].c_str(), O_RDONLY | O_DIRECTORY, 0));
  if (!log_dir_.valid())
    return SysError(ExitCode::kAudit, "open the log's folder", -log_dir_.release());
  return {};
}

Result<void> Log::OpenKey() {
  Io& io = *options_.io;
  const std::optional<std::string> stored = KRUX_TRY(ReadText(io, dir_.get(), kKeyName));
  const std::optional<std::string> published =
      KRUX_TRY(ReadText(io, AT_FDCWD, options_.public_key.c_str()));
  const bool is_published = published && !published->empty();
  if (stored) {
    key_ = std::make_unique<SigningKey>(KRUX_TRY(SigningKey::FromPrivatePem(*stored)));
  } else if (checkpoints_->last() || is_published) {
    return Fail(
        ExitCode::kAudit, "signing key",
        "the signing key `audit.key` is missing from `" + options_.dir +
            "`, but the log was signed with it; bring it back, or move the log and the public "
            "key away to start a new one");
  } else {
    key_ = std::make_unique<SigningKey>(KRUX_TRY(SigningKey::Generate()));
    const std::string pem = key_->PrivatePem();
    KRUX_TRY(WriteFileDurably(io, dir_.get(), kKeyName, 0600,
                              {reinterpret_cast<const uint8_t*>(pem.data()), pem.size()}));
  }
  if (checkpoints_->last() && !checkpoints_->LastSignedBy(*key_)) {
    return Fail(ExitCode::kAudit, "checkpoints",
                "the last checkpoint is not signed by this log's key; run `krux audit verify`");
  }
  if (!is_published) return WritePublicKey(io, options_.public_key, key_->PublicPem());
  if (*published == key_->PublicPem()) return {};
  return Fail(
      ExitCode::kAudit, "public key",
      "`" + options_.public_key + "` is not the public key of this log; run `krux audit verify`");
}

Draft Log::SegmentDraft() const {
  cbor::Array open;
  for (const auto& [seq, call_id] : open_) open.push_back(cbor::Array{seq, call_id});
  return {Kind::kSegment,
          cbor::Map{{0u, log_id_},
                    {1u, 1u},  // suite 1: SHA-256, HMAC-SHA-256, Ed25519, CRC-32C
                    {2u, next_seq_},
                    {3u, head_},
                    {4u, MachineBootId()},
                    {5u, options_.build},
                    {6u, std::move(open)}},
          nullptr};
}

Result<void> Log::OpenSegment(const LogState& state) {
  next_seq_ = state.next_seq;
  head_ = state.head;
  open_ = state.open;
  carry_ = state.carry;
  std::vector<Draft> recovered;
  for (const TornTail& torn : state.torn) {
    recovered.push_back(
        {Kind::kRecovered,
         cbor::Map{
             {0u, 1u}, {4u, torn.segment}, {5u, torn.offset}, {6u, torn.bytes}, {7u, torn.sha256}},
         nullptr});
  }
  for (const auto& [seq, call_id] : state.open) {
    recovered.push_back(
        {Kind::kRecovered,
         cbor::Map{
             {0u, 0u}, {1u, seq}, {2u, call_id}, {3u, static_cast<unsigned>(Status::kUnknown)}},
         nullptr});
  }
  if (!state.has_segment || state.needs_new_segment) return StartSegment(recovered);
  segment_ = std::make_unique<Segment>(KRUX_TRY(Segment::Continue(
      *options_.io, log_dir_.get(), state.segment, state.segment_size, options_.segment_bytes)));
  for (const Appended& done : Append(recovered)) {
    if (!done.error.empty()) return Fail(ExitCode::kAudit, "recovery", done.error);
  }
  return {};
}

}  // namespace krux::audit
