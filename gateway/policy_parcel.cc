#include "gateway/policy_parcel.h"

#include <unistd.h>

#include <cerrno>

#include "base/cbor_value.h"
#include "base/sealed_memfd.h"

namespace krux::gateway {

Result<UniqueFd> PackPolicies(const std::vector<policy::PolicySource>& files) {
  cbor::Map map;
  for (const policy::PolicySource& file : files)
    map.Set(file.file, cbor::Bytes(file.text.begin(), file.text.end()));
  const cbor::Bytes bytes = cbor::Encode(map);
  UniqueFd memfd = KRUX_TRY(SealedMemfd::Create("krux-policies", bytes.size()));
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t written =
        pwrite(memfd.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return SysError(ExitCode::kInternal, "write memfd", errno);
    done += static_cast<size_t>(written);
  }
  KRUX_TRY(SealedMemfd::Seal(memfd.get()));
  return memfd;
}

Result<std::vector<policy::PolicySource>> UnpackPolicies(UniqueFd parcel) {
  const SealedMemfd sealed = KRUX_TRY(SealedMemfd::Accept(std::move(parcel), kMaxPolicyParcel));
  cbor::Bytes bytes(sealed.size());
  KRUX_TRY(sealed.Read(0, bytes));
  const cbor::Value value = KRUX_TRY(cbor::Decode(bytes, kMaxPolicyParcel));
  if (value.map() == nullptr) return Fail(ExitCode::kBadData, "policies", "no map of files");
  std::vector<policy::PolicySource> files;
  for (const auto& [name, text] : *value.map()) {
    if (name.text() == nullptr || name.text()->size() > kMaxPolicyNameBytes ||
        text.bytes() == nullptr) {
      return Fail(ExitCode::kBadData, "policies", "a file without name or bytes");
    }
    files.push_back(policy::OperatorFile(*name.text(),
                                         std::string(text.bytes()->begin(), text.bytes()->end())));
  }
  return files;
}

}  // namespace krux::gateway
