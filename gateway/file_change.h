// FileChange: what a call that writes says it did to its file. A worker says it, so it is checked
// in form, and its `after` against the content that kruxd itself has hashed, before it is recorded.
//
//   cbor::Map content = ContentDigest(*args.Find("content"));
//   KRUX_TRY(CheckChange(result.data, content, result.code == ExitCode::kOk));
//   RecordChange(result.data, recorded);       // recorded gets "before" and "after"
#pragma once

#include "base/cbor_value.h"
#include "base/error.h"

namespace krux::gateway {

// {"bytes", "sha256"} of content as the catalog binds it: bytes, or such a map already.
cbor::Map ContentDigest(const cbor::Value& content);

// kBadData where `data` does not hold a well-formed "before", an "after" that is not the content's,
// or, with `must_be_whole`, not both.
Result<void> CheckChange(const cbor::Value& data, const cbor::Map& content, bool must_be_whole);

// Copies "before" {"existed", "bytes"?, "sha256"?} and "after" {"bytes", "sha256"} of a checked
// `data` into a record, digests as bytes. Does nothing where there are none.
void RecordChange(const cbor::Value& data, cbor::Map& record);

}  // namespace krux::gateway
