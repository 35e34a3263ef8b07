#include "audit/policy_store.h"

#include <fcntl.h>

#include <cerrno>

#include "base/digest.h"

namespace krux::audit {

Result<void> StorePolicy(Io& io, int log_dir, std::span<const uint8_t> text) {
  if (text.size() > kMaxPolicyBytes) {
    return Fail(ExitCode::kBadData, "policy", "the policy text has more than 60 KiB");
  }
  if (mkdirat(log_dir, "policies", 0750) != 0 && errno != EEXIST) {
    return SysError(ExitCode::kAudit, "create `policies`", errno);
  }
  UniqueFd dir(io.OpenAt(log_dir, "policies", O_RDONLY | O_DIRECTORY, 0));
  if (dir.get() < 0) return SysError(ExitCode::kAudit, "open `policies`", -dir.release());
  const std::string name = ToHex(Sha256(text));
  const Result<void> written = WriteFileDurably(io, dir.get(), name, 0640, text);
  if (written || written.error().sys_errno != EEXIST) return written;
  UniqueFd fd(io.OpenAt(dir.get(), name.c_str(), O_RDONLY, 0));
  if (fd.get() < 0) return SysError(ExitCode::kAudit, "open policy", -fd.release());
  const cbor::Bytes stored = KRUX_TRY(ReadWhole(io, fd.get(), kMaxPolicyBytes));
  if (!std::equal(stored.begin(), stored.end(), text.begin(), text.end())) {
    return Fail(ExitCode::kAudit, "policy", "the stored policy `" + name + "` was changed");
  }
  return {};
}

Result<cbor::Bytes> FindPolicy(Io& io, int log_dir, const cbor::Bytes& hash) {
  const std::string name = "policies/" + ToHex(hash);
  UniqueFd fd(io.OpenAt(log_dir, name.c_str(), O_RDONLY, 0));
  if (fd.get() == -ENOENT) return Fail(ExitCode::kNotFound, "policy", "there is no `" + name + "`");
  if (fd.get() < 0) return SysError(ExitCode::kAudit, "open `" + name + "`", -fd.release());
  cbor::Bytes text = KRUX_TRY(ReadWhole(io, fd.get(), kMaxPolicyBytes));
  if (Sha256(text) != hash)
    return Fail(ExitCode::kAudit, "policy", "the stored policy `" + name + "` was changed");
  return text;
}

}  // namespace krux::audit
