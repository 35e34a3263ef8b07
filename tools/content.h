// Content: the bulk argument of a call on its way to the gateway: from stdin, where the user says
// so, else from the words; as a sealed memfd where it is larger than a call may carry.
//
//   UniqueFd input = KRUX_TRY(TakeContent("fs.write", /*from_stdin=*/true, args));
//   client.Call("fs.write", std::move(args), std::move(input));
//
// A word is always the content itself, never the name of a file: what an agent writes must not be
// able to name one of the caller's files.
#pragma once

#include <string_view>

#include "base/cbor_value.h"
#include "base/unique_fd.h"

namespace krux::tools {

// Takes out of `args` what does not fit there. Not valid: there is nothing to send besides `args`.
// kUsage: stdin is a terminal. kBadData: more than 16 MiB, or a capability without content.
Result<UniqueFd> TakeContent(std::string_view capability, bool from_stdin, cbor::Map& args);

}  // namespace krux::tools
