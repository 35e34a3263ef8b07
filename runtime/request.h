// Request: what the worker is asked to do, as bytes in Spec::request. Written by runtime/plan.cc,
// carried unread by kruxd and krux-spawnd, read by runtime/worker.
//
//   Request request{"fs.read", args, {{"/home/ann/project", true, false, false}}, scope};
//   spec.request = KRUX_TRY(EncodeRequest(request));
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/cbor_value.h"
#include "policy/secret.h"

namespace krux::runtime {

inline constexpr size_t kMaxRequestBytes = 40 * 1024;  // leaves room for the Spec in one packet

// A tree of the sandbox that this call may use; equals a sandbox::PathRule of the Spec.
struct Grant {
  std::string path;
  bool read = false;
  bool write = false;
  bool exec = false;
  bool operator==(const Grant&) const = default;
};

struct Request {
  std::string capability;
  cbor::Map args;  // as bound by the catalog
  std::vector<Grant> grants;
  // Bound to WORK; matched again on the resolved path.
  policy::Scope read_scope = {};
  policy::Scope write_scope = {};  // of calls that write
  std::string work = {};           // canonical path of WORK; of calls that write
  bool as_named = false;  // the place must be `path` itself: a label will hang on that name
  // Bound to WORK; asked again about the resolved path. Empty for programs.
  std::vector<policy::Pattern> secrets = {};
  std::vector<policy::Pattern> sensitive = {};  // empty too where `path` itself is sensitive
};

// The patterns of `paths.secret` as bytes (TemplateSpec::secrets), empty where there are none.
// kBadData where they are too many.
Result<cbor::Bytes> EncodeSecrets(const std::vector<policy::Pattern>& secrets);
Result<std::vector<policy::Pattern>> DecodeSecrets(std::span<const uint8_t> bytes);

// Code kBadData when the request is larger than kMaxRequestBytes; the scopes are bound to their
// WORK (policy::ForWork), else kInternal.
Result<cbor::Bytes> EncodeRequest(const Request& request);
Result<Request> DecodeRequest(std::span<const uint8_t> bytes);

}  // namespace krux::runtime
