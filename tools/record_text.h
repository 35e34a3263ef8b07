// RecordText: a record of the log for people and programs: numbers become names, commitments are
// replaced by what their openings say.
//
//   Result<cbor::Map> record = NamedRecord(view);       // {"seq": 7, "kind": "intent", "args":
//   {…}, …} out.Text(RecordLine(*record) + "\n");               // one line for `krux audit tail`
//
// What an agent supplied stays as it is in the map; whoever prints it for a person escapes it.
#pragma once

#include <string>

#include "audit/verify/reader.h"
#include "base/cbor_value.h"
#include "base/error.h"

namespace krux::tools {

// kBadData for bytes that are no record of format 1.
Result<cbor::Map> NamedRecord(const audit::verify::RecordView& view);

// "7  2025-06-01 10:11:12.345  intent  fs.read  allow": one line, escaped.
std::string RecordLine(const cbor::Map& record);

// The value of `key` when it is a number or text, else 0 or "".
uint64_t NumberIn(const cbor::Map& map, const char* key);
std::string TextIn(const cbor::Map& map, const char* key);

}  // namespace krux::tools
