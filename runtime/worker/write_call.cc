#include "runtime/worker/write_call.h"

#include <fcntl.h>
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "runtime/worker/locate.h"

namespace krux::runtime {
namespace {

constexpr size_t kChunk = 256 * 1024;
constexpr mode_t kNewFile = 0644;
constexpr mode_t kTemporary = 0600;    // what the filter demands; nobody else reads half a file
constexpr mode_t kPermissions = 0777;  // never set-user-ID or set-group-ID
constexpr int kNameAttempts = 16;
constexpr gid_t kOverflowId = 65534;

std::string Hex(std::span<const uint8_t> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : bytes) text += {kDigits[byte >> 4], kDigits[byte & 15]};
  return text;
}

// OpenSSL's oldest door to SHA-256: of a static libcrypto it links three small objects, where EVP
// would link all algorithms, their locks and their configuration files.
class Hash {
 public:
  Hash() { SHA256_Init(&state_); }
  void Add(std::span<const uint8_t> bytes) { SHA256_Update(&state_, bytes.data(), bytes.size()); }
  std::string Finish() {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256_Final(digest, &state_);
    return Hex(digest);
  }

 private:
  SHA256_CTX state_;
};

struct State {  // of the file before or after
  bool existed = false;
  uint64_t bytes = 0;
  std::string sha256;
  bool has_acl = false;
};

// The old permissions for the new file: never more for anybody. Its group is the caller's or the
// directory's, perhaps not that of the old file, and where there is an access list the group's bits
// are its mask, acl(5): then the group gets what others had. A group that is not the caller's own
// shows as the overflow id here, and two of them as one, user_namespaces(7).
mode_t ModeFor(const struct stat& then, bool had_acl, const struct stat& now) {
  const mode_t mode = then.st_mode & kPermissions;
  if (now.st_gid == then.st_gid && now.st_gid != kOverflowId && !had_acl) return mode;
  return (mode & ~mode_t{S_IRWXG}) | (mode & S_IRWXG & (mode & S_IRWXO) << 3);
}

cbor::Map Before(const State& state) {
  cbor::Map map{{"existed", state.existed}};
  if (state.existed) {
    map.Set("bytes", state.bytes);
    map.Set("sha256", state.sha256);
  }
  return map;
}

// A file that is no file yet: gone with this object, unless it has taken the place of another.
class Temporary {
 public:
  explicit Temporary(const Found& place) : place_(place) {}
  ~Temporary() {
    if (fd_.valid() && !kept_) unlinkat(place_.parent.get(), name_.c_str(), 0);
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  Result<void> Create() {
    for (int i = 0; i < kNameAttempts; ++i) {
      std::array<uint8_t, 8> random;
      if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
        return SysError(ExitCode::kInternal, "getrandom", errno);
      name_ = kTemporaryPrefix + Hex(random);
      fd_.reset(openat(place_.parent.get(), name_.c_str(),
                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kTemporary));
      if (fd_.valid()) return {};
      if (errno != EEXIST && errno != EINTR) break;
    }
    return Failed("make a file beside", errno);
  }

  Result<void> Write(std::span<const uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t put = write(fd_.get(), bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return Failed("write", put < 0 ? errno : EIO);
      bytes = bytes.subspan(static_cast<size_t>(put));
    }
    return {};
  }

  // fchmod(2) and not the mode of open(2): the umask has no say in it.
  Result<mode_t> Finish(const State& before) {
    struct stat now;
    if (fstat(fd_.get(), &now) != 0) return Failed("ask about", errno);
    const mode_t mode = before.existed ? ModeFor(place_.stat, before.has_acl, now) : kNewFile;
    if (fchmod(fd_.get(), mode) != 0) return Failed("set the mode of", errno);
    if (fsync(fd_.get()) != 0) return Failed("write", errno);
    return mode;
  }

  // Takes the place. `fresh`: nothing was there, and nothing that has come since is replaced.
  Result<void> Rename(bool fresh) {
    const auto rename = [&](unsigned flags) {
      // Not glibc's renameat2(), which asks for another system call where there are no flags.
      return syscall(SYS_renameat2, place_.parent.get(), name_.c_str(), place_.parent.get(),
                     place_.name.c_str(), flags) == 0;
    };
    kept_ = rename(fresh ? RENAME_NOREPLACE : 0);
    // rename(2): EINVAL where the file system does not know the flag.
    struct stat stat;
    if (!kept_ && fresh && errno == EINVAL &&
        fstatat(place_.parent.get(), place_.name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0)
      kept_ = rename(0);
    if (kept_) return {};
    if (errno == EEXIST || errno == EISDIR || errno == ENOTEMPTY) return Changed();
    return Failed("replace", errno);
  }

  Result<void> Changed() const {
    return Fail(
        ExitCode::kFailed, "write",
        Quote(place_.path) + " was changed by somebody else meanwhile; read it and try again");
  }

 private:
  std::unexpected<Error> Failed(const char* what, int error) const {
    return SysError(ExitCode::kFailed, std::string(what) + " " + Quote(place_.path), error,
                    "nothing was changed");
  }

  const Found& place_;
  std::string name_;
  UniqueFd fd_;
  bool kept_ = false;
};

// What stands there now. Its hash is what the record keeps, so a file that cannot be read cannot be
// replaced either.
Result<State> ReadState(const Found& place) {
  State state;
  if (!place.fd.valid()) return state;
  if (!S_ISREG(place.stat.st_mode)) {
    const bool link = S_ISLNK(place.stat.st_mode);
    return Fail(ExitCode::kBadData, "write",
                Quote(place.path) + " is " + KindOf(place.stat.st_mode) +
                    (link ? "; name the file that it points to"
                          : "; fs.write replaces regular files only"));
  }
  // rename(2) asks the directory alone. Whoever took away the right to write the file meant it.
  if (faccessat(place.fd.get(), "", W_OK, AT_EMPTY_PATH) != 0) {
    return SysError(ExitCode::kFailed, "write " + Quote(place.path), errno,
                    "its mode does not let the caller");
  }
  const UniqueFd file = KRUX_TRY(Reopen(place, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  state.existed = true;
  state.has_acl = fgetxattr(file.get(), "system.posix_acl_access", nullptr, 0) > 0;
  Hash hash;
  std::vector<uint8_t> chunk(kChunk);
  for (;;) {
    const ssize_t got = read(file.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SysError(ExitCode::kFailed, "read " + Quote(place.path), errno);
    if (got == 0) break;
    hash.Add(std::span(chunk).first(static_cast<size_t>(got)));
    state.bytes += static_cast<uint64_t>(got);
  }
  state.sha256 = hash.Finish();
  return state;
}

// The argument `expect`: "absent", or the digest of what must stand there.
Result<void> CheckExpected(const Request& request, const Found& place, const State& before) {
  const cbor::Value* value = request.args.Find("expect");
  if (value == nullptr || value->text() == nullptr) return {};
  const std::string& expected = *value->text();
  if (expected == "absent" ? !before.existed : before.existed && before.sha256 == expected)
    return {};
  return Fail(ExitCode::kFailed, "write",
              Quote(place.path) +
                  (before.existed ? " holds something else than expected" : " does not exist") +
                  (expected == "absent" ? " already" : "") + "; read it and try again");
}

// Between the hash and the rename somebody else may have written the file: then what the record
// says would not be what was replaced.
bool Unchanged(const Found& place) {
  struct stat now;
  if (fstatat(place.parent.get(), place.name.c_str(), &now, AT_SYMLINK_NOFOLLOW) != 0) return false;
  const struct stat& then = place.stat;
  return now.st_dev == then.st_dev && now.st_ino == then.st_ino && now.st_size == then.st_size &&
         now.st_mtim.tv_sec == then.st_mtim.tv_sec && now.st_mtim.tv_nsec == then.st_mtim.tv_nsec &&
         now.st_ctim.tv_sec == then.st_ctim.tv_sec && now.st_ctim.tv_nsec == then.st_ctim.tv_nsec;
}

struct Replaced {
  State after;
  mode_t mode;
  bool durable;  // the directory as well
};

Result<Replaced> Replace(const Found& place, const State& before, const Content& content,
                         const std::function<void()>& about_to) {
  // Opened first: where the directory cannot be synced, nothing is changed.
  const UniqueFd directory(
      openat(place.parent.get(), ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.valid())
    return SysError(ExitCode::kFailed, "open the directory of " + Quote(place.path), errno);
  Temporary file(place);
  KRUX_TRY(file.Create());
  State after{true, 0, {}, false};
  Hash hash;
  std::vector<uint8_t> chunk(kChunk);
  while (after.bytes < content.size()) {
    const std::span<const uint8_t> bytes = KRUX_TRY(content.Read(after.bytes, chunk));
    KRUX_TRY(file.Write(bytes));
    hash.Add(bytes);
    after.bytes += bytes.size();
  }
  const mode_t mode = KRUX_TRY(file.Finish(before));
  if (before.existed && !Unchanged(place)) KRUX_TRY(file.Changed());
  about_to();
  KRUX_TRY(file.Rename(!before.existed));
  after.sha256 = hash.Finish();
  // The outcome record says that the file is there: the name must survive a power cut as well.
  return Replaced{std::move(after), mode, fsync(directory.get()) == 0};
}

}  // namespace

Answer FsWrite(const Request& request, const Content& content,
               const std::function<void(const Answer&)>& about_to) {
  Result<Found> place = LocatePlace(request);
  if (!place) {
    if (place.error().code != ExitCode::kNotFound) return Refusal(place.error());
    return Refusal(ExitCode::kNotFound, SafeText(place.error().message) +
                                            ": its directory must exist; fs.write makes none");
  }
  Result<State> before = ReadState(*place);
  if (!before) return Refusal(before.error());
  Answer answer{.data = PathData(*place)};
  answer.data.Set("before", Before(*before));
  const auto refused = [&](const Error& error) {
    answer.code = error.code;
    answer.message = SafeText(error.message);
    return answer;
  };
  if (Result<void> fits = CheckExpected(request, *place, *before); !fits)
    return refused(fits.error());
  Result<Replaced> replaced = Replace(*place, *before, content, [&] {
    Answer ended = answer;
    ended.code = ExitCode::kFailed;
    ended.message = Quote(place->path) + " was being replaced; read it to see whether it was";
    about_to(ended);
  });
  if (!replaced) return refused(replaced.error());
  const State& after = replaced->after;
  answer.data.Set("mode", static_cast<unsigned>(replaced->mode));
  answer.data.Set("after", cbor::Map{{"bytes", after.bytes}, {"sha256", after.sha256}});
  if (!replaced->durable) {
    answer.code = ExitCode::kFailed;
    answer.message = Quote(place->path) +
                     " has its new content, but the directory could not be synced; a power cut may "
                     "bring the old one back";
  }
  return answer;
}

}  // namespace krux::runtime
