#include "sandbox/receipt.h"

namespace krux::sandbox {

const char* Name(Evidence evidence) {
  switch (evidence) {
    case Evidence::kKernel:
      return "kernel";
    case Evidence::kProbe:
      return "probe";
    case Evidence::kSelf:
      return "self";
  }
  return "self";
}

cbor::Value ToValue(const Receipt& receipt) {
  cbor::Map map;
  for (const auto& [name, field] : receipt) {
    map.Set(name, cbor::Array{field.value, Name(field.evidence)});
  }
  return map;
}

Result<Receipt> ReceiptFromValue(const cbor::Value& value) {
  const auto bad = [] { return Fail(ExitCode::kBadData, "receipt", "receipt is malformed"); };
  if (value.map() == nullptr) return bad();
  Receipt receipt;
  for (const auto& [key, entry] : *value.map()) {
    const cbor::Array* pair = entry.array();
    if (key.text() == nullptr || pair == nullptr || pair->size() != 2) return bad();
    const std::string* evidence = (*pair)[1].text();
    if (evidence == nullptr) return bad();
    ReceiptField field{(*pair)[0], Evidence::kSelf};
    if (*evidence == "kernel")
      field.evidence = Evidence::kKernel;
    else if (*evidence == "probe")
      field.evidence = Evidence::kProbe;
    else if (*evidence != "self")
      return bad();
    receipt.emplace(*key.text(), std::move(field));
  }
  return receipt;
}

}  // namespace krux::sandbox
